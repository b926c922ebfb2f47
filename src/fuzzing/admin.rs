//! The admin listener: any bytes on a loopback connection.

use std::pin::Pin;
use std::sync::Arc;

use tokio::io::DuplexStream;

use crate::admin::{Caller, Readiness, Server, State};
use crate::protocol::http::fuzzing::connection::with_rig;
use crate::protocol::http::fuzzing::judge;
use crate::protocol::http::fuzzing::rig::Rig;
use crate::rules::Globs;

/// The first byte says in what pieces, the others are the client's.
///
/// # Panics
/// When a handler panics, or what comes back is not HTTP.
pub fn http(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else { return };
    with_rig(|rig| {
        let serve = |io: DuplexStream| serve(rig, io);
        let answers = rig.converse(serve, bytes, usize::from(first));
        let asked = judge::requests(bytes);
        let (answers, _) = judge::answers_cut(&answers, &asked)
            .unwrap_or_else(|why| panic!("{why}: {}", bytes.escape_ascii()));
        for answer in answers {
            // What panics is caught, and told as that.
            assert_ne!(answer.line[1], "500", "{answer:?} to {}", bytes.escape_ascii());
        }
    });
}

fn serve(rig: &Rig, io: DuplexStream) -> Pin<Box<dyn Future<Output = ()>>> {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let server = Server::new(State {
        gate: Arc::clone(&rig.gate),
        ledger: Arc::clone(&rig.ledger),
        metrics: recorder.handle(),
        readiness: Readiness::new([]),
        audit: crate::audit::Audit::disabled(),
        operators: Globs::default(),
    });
    let caller = Caller::Loopback(([127, 0, 0, 1], 1).into());
    Box::pin(async move { server.serve_connection(io, caller).await })
}
