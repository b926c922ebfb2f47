//! What an attack must not do: take memory, keep others waiting, or end the process.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::rig::{Options, Reply, Rig, Version};
use crate::wire::Wire;

/// What the memory of Palisade may grow by during an attack.
const GROWTH_BYTES_MAX: u64 = 48 << 20;
/// What a well-behaved client may wait for an answer meanwhile, on a machine that is busy.
const SERVED_WITHIN: Duration = Duration::from_secs(3);
/// How long anything else may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Palisade with these limits of its listener.
pub async fn rig(limits: &str) -> Rig {
    let place = "[listeners.main.unmatched]";
    let limits = format!("[listeners.main.limits]\n{limits}\n{place}");
    Rig::with(Options { edits: vec![(place, limits)], ..Options::default() }).await
}

/// A leader that goes on working until it is stopped, and the longest that it ever waited.
struct Neighbour(JoinHandle<Duration>, tokio::sync::oneshot::Sender<()>);

impl Neighbour {
    fn start(rig: &Rig) -> Self {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let b = rig.client("leader-b").token(7);
        let working = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for number in 0_u32.. {
                let version = if number % 2 == 0 { Version::Http1 } else { Version::Http2 };
                let begun = Instant::now();
                let put = b.clone().speaking(version).put("/fenced/neighbour/x", "work").await;
                assert_eq!(put.status, 200, "{}", put.text());
                longest = longest.max(begun.elapsed());
                let pause = tokio::time::sleep(Duration::from_millis(20));
                tokio::select! {
                    _ = &mut stopped => break,
                    () = pause => {}
                }
            }
            longest
        });
        Self(working, stop)
    }

    /// Fails if it was ever kept waiting.
    async fn was_served(self, attack: &str) {
        let _ = self.1.send(());
        let longest = self.0.await.unwrap_or_else(|error| panic!("during {attack}: {error}"));
        assert!(longest < SERVED_WITHIN, "during {attack} it waited {longest:?}");
    }
}

/// Runs an attack: memory stays bounded, and a well-behaved client is served all the while.
pub async fn endure(rig: &mut Rig, attack: &str, run: impl AsyncFnOnce(&Rig)) {
    assert_eq!(
        rig.client("leader-b").token(7).put("/fenced/neighbour/x", "warm").await.status,
        200
    );
    let before = rig.palisade().rss_bytes();
    let neighbour = Neighbour::start(rig);
    run(rig).await;
    neighbour.was_served(attack).await;
    let growth = rig.palisade().rss_bytes().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{attack} took {} MiB", growth >> 20);
    assert!(rig.palisade().is_running(), "{attack}: {}", rig.palisade().everything());
}

/// Status and reason.
pub fn refused(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.header("fencing-refusal"))
}

/// Waits until the connection ends.
pub async fn ends(mut wire: Wire, what: &str) {
    let rest = tokio::time::timeout(PATIENCE, wire.rest()).await;
    assert!(rest.is_ok(), "{what} is held open");
}

/// The value of a series; 0 if it is not there.
pub fn metric(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}
