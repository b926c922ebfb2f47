//! The task that keeps the connection: to the primary, as far as it can be found.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::login::{RIGHTS, shown};
use super::super::sentinel::Said;
use super::super::server::ServerId;
use super::super::settings::Upstream;
use super::super::wire::{Batch, Wire, refusal, text};
use super::asks::Ask;
use super::changes::Witness;
use super::complaint::Complaint;
use super::failover::Seen;
use super::round::{self, BATCH_MAX};
use super::sweep::{self, Unswept};
use super::{Shared, names};

/// How long it is waited before a server is connected to again, at first and at most.
pub const RECONNECT_MIN: Duration = Duration::from_millis(50);
/// See [`RECONNECT_MIN`].
pub const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// How long it is waited between looks whether a client is gone, at first and at most.
pub const LOOK_MIN: Duration = Duration::from_millis(5);
/// See [`LOOK_MIN`].
pub const LOOK_MAX: Duration = Duration::from_millis(100);

/// Why a connection is given up.
enum End {
    /// It is over, or of no use.
    Lost(String),
    /// It has to be found out anew who is the primary.
    Anew,
}

/// See the module.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    complaint: Complaint,
    witness: Witness,
}

/// A connection, and what is known of the server.
struct Held {
    wire: Wire,
    server: Arc<ServerId>,
    is_primary: bool,
    /// The first order that was not given yet when the login began.
    until: u64,
    /// Whether the server has refused something: asking again soon is no use.
    is_refused: bool,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let complaint = Complaint::new(shared.connector.upstream().name.clone());
        let witness = Witness::new(shared.changes.clone());
        Self { shared, complaint, witness }
    }

    /// For ever.
    pub(super) async fn keep(mut self) {
        let shared = self.shared.clone();
        // Nobody else has it, except a task that has ended.
        let mut asked = shared.asked.lock().await;
        let mut pause = RECONNECT_MIN;
        loop {
            match self.connect().await {
                Ok(mut held) => {
                    let since = Instant::now();
                    let end = self.serve(&mut held, &mut asked).await;
                    if since.elapsed() > RECONNECT_MAX {
                        pause = RECONNECT_MIN;
                    }
                    match end {
                        End::Lost(why) => {
                            let host = &held.server.host;
                            self.complaint.say(&format!("lost the connection to {host}: {why}"));
                        }
                        End::Anew if pause == RECONNECT_MIN => {
                            pause *= 2;
                            continue;
                        }
                        End::Anew => {}
                    }
                }
                Err(why) => {
                    self.complaint.say(&why);
                    self.kill_elsewhere(None).await;
                }
            }
            // An order may be for a server that has come meanwhile.
            let _ = timeout(pause, shared.orders.wake.notified()).await;
            if pause > RECONNECT_MIN {
                sleep(RECONNECT_MIN).await;
            }
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }

    fn upstream(&self) -> &Arc<Upstream> {
        self.shared.connector.upstream()
    }

    async fn connect(&mut self) -> Result<Held, String> {
        let until = self.shared.orders.next();
        let said = self.shared.connector.primary(Duration::ZERO).await;
        let held = self.open(&said.map_err(|error| error.to_string())?, until).await?;
        if held.is_primary {
            self.shared.orders.superseded_by(&held.server, until);
        }
        Ok(held)
    }

    async fn open(&self, said: &Said, until: u64) -> Result<Held, String> {
        let name = names::control_name(&self.upstream().replica);
        let opened = self.shared.connector.open_on(said, name.as_bytes()).await;
        let (opened, is_primary) = opened.map_err(|error| error.to_string())?;
        let wire = Wire::new(opened.stream);
        Ok(Held { wire, server: opened.server, is_primary, until, is_refused: false })
    }

    async fn serve(&mut self, held: &mut Held, asked: &mut mpsc::Receiver<Ask>) -> End {
        let mut look = LOOK_MIN;
        let mut check = Instant::now();
        let mut asks = Vec::new();
        if let Err(why) = self.prepare(held).await {
            return End::Lost(why);
        }
        loop {
            if let Err(end) = self.round(held, &mut asks).await {
                return end;
            }
            let is_buried = match self.bury(held).await {
                Ok(is_buried) => is_buried,
                Err(end) => return end,
            };
            if Instant::now() >= check {
                if let Err(end) = self.look(held).await {
                    return end;
                }
                if !held.is_primary {
                    self.kill_elsewhere(Some(&held.server)).await;
                }
                check = Instant::now() + self.upstream().check_interval;
            }
            if held.server.view < self.shared.connector.view()
                || self.shared.orders.is_any_elsewhere(&held.server, held.until)
            {
                return End::Anew;
            }
            let is_done = is_buried && self.shared.orders.pending(&held.server, None, 1).is_empty();
            if std::mem::take(&mut held.is_refused) {
                look = RECONNECT_MAX;
            }
            let next = if is_done { check } else { check.min(Instant::now() + look) };
            look = if is_done { LOOK_MIN } else { (look * 2).min(LOOK_MAX) };
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.shared.orders.wake.notified() => look = LOOK_MIN,
                _ = asked.recv_many(&mut asks, BATCH_MAX) => {}
            }
        }
    }

    /// Sweeps if it was not done yet, reads the table of commands, and tells who is the primary.
    async fn prepare(&mut self, held: &mut Held) -> Result<(), String> {
        if !held.is_primary {
            self.shared.primary.send_replace(None);
            let host = &held.server.host;
            self.complaint.say(&format!("{host} is a replica; is a failover under way?"));
            return Ok(());
        }
        if self.shared.swept.borrow().is_none() {
            self.sweep(held).await?;
        }
        let mut batch = Batch::new();
        batch.words("COMMAND");
        let mut answers = round::ask(&mut held.wire, &batch).await?;
        let mut table = answers.pop();
        if let Some(why) = table.as_ref().and_then(refusal) {
            self.refused(held, &why);
            table = None;
        }
        self.shared.commands.send_replace(table.map(Arc::new));
        let is_new = self.shared.primary.borrow().as_ref() != Some(&held.server);
        if is_new {
            let (upstream, server) = (&self.upstream().name, &held.server.host);
            tracing::info!(%upstream, %server, version = %held.server.version, "it is the primary");
            self.shared.primary.send_replace(Some(held.server.clone()));
        }
        Ok(())
    }

    async fn sweep(&mut self, held: &mut Held) -> Result<(), String> {
        let suffix = names::session_suffix(&self.upstream().replica);
        let is_ours = |name: &str| name.ends_with(&suffix);
        let killed = match sweep::sweep(&mut held.wire, is_ours).await {
            Ok(killed) => killed,
            Err(Unswept::Over(why)) => return Err(why),
            Err(Unswept::Refused(why)) => {
                self.refused(held, &why);
                sleep(sweep::REFUSED_PAUSE).await;
                return Err("what an earlier process has left cannot be ended".to_owned());
            }
        };
        let killed = killed + sweep::sweep_others(&self.shared.connector, &is_ours).await;
        if killed > 0 {
            let upstream = &self.upstream().name;
            tracing::warn!(%upstream, killed, "killed clients that were left behind");
        }
        self.shared.swept.send_replace(Some(killed));
        Ok(())
    }

    /// Kills what dead replicas have left; true when nothing of them is left to do.
    async fn bury(&mut self, held: &mut Held) -> Result<bool, End> {
        let dead = self.shared.dead.pending(&held.server);
        if dead.is_empty() || !held.is_primary {
            return Ok(true);
        }
        let is_theirs = |name: &str| dead.iter().any(|dead| names::is_of(name, dead));
        let killed = match sweep::sweep(&mut held.wire, is_theirs).await {
            Ok(killed) => killed,
            Err(Unswept::Over(why)) => return Err(End::Lost(why)),
            Err(Unswept::Refused(why)) => {
                self.refused(held, &why);
                return Ok(false);
            }
        };
        let killed = killed + sweep::sweep_others(&self.shared.connector, &is_theirs).await;
        if killed > 0 {
            let upstream = &self.upstream().name;
            tracing::warn!(%upstream, killed, "killed clients of dead replicas");
        }
        self.shared.dead.end(&held.server, dead);
        Ok(true)
    }

    /// Kills what is to be killed, once, and asks what is to be asked.
    async fn round(&mut self, held: &mut Held, asks: &mut Vec<Ask>) -> Result<(), End> {
        // Whoever asked may have gone; and another process has not the same clients.
        asks.retain(|ask| {
            let is_here = match &ask.server {
                Some(server) => **server == *held.server,
                None => held.is_primary,
            };
            is_here && !ask.answer.is_closed()
        });
        if !asks.is_empty() {
            let mut batch = Batch::new();
            asks.iter().for_each(|ask| ask.push_to(&mut batch));
            let answers = round::ask(&mut held.wire, &batch).await.map_err(End::Lost)?;
            for (ask, answer) in asks.drain(..).zip(answers) {
                let _ = ask.answer.send(answer);
            }
        }
        self.kill(held).await.map_err(End::Lost)
    }

    async fn kill(&mut self, held: &mut Held) -> Result<(), String> {
        let mut after = None;
        loop {
            let pending = self.shared.orders.pending(&held.server, after, BATCH_MAX);
            let Some((last, _)) = pending.last() else { return Ok(()) };
            after = Some(*last);
            let ids: Vec<_> = pending.iter().map(|(_, id)| *id).collect();
            let killed = round::kill(&mut held.wire, &ids).await?;
            for (number, id) in &pending {
                if !killed.left.contains(id) {
                    self.shared.orders.done(*number);
                }
            }
            if let Some(why) = killed.refused {
                self.refused(held, &why);
                return Ok(());
            }
        }
    }

    /// The primary cannot be had: the oldest order's own server is asked, as far as it answers.
    async fn kill_elsewhere(&mut self, server: Option<&ServerId>) {
        if self.upstream().sentinel.is_none() {
            // It is the one that was asked.
            return;
        }
        let Some(server) = self.shared.orders.elsewhere(server) else { return };
        let said = Said { endpoint: server.endpoint.clone(), view: server.view };
        // Another process there has no such orders.
        if let Ok(mut held) = self.open(&said, 0).await {
            let _ = self.kill(&mut held).await;
        }
    }

    /// Whether it is the primary still, and how far it has come.
    async fn look(&mut self, held: &mut Held) -> Result<(), End> {
        let mut batch = Batch::new();
        batch.words("INFO replication");
        batch.words("INFO persistence");
        let answers = round::ask(&mut held.wire, &batch).await.map_err(End::Lost)?;
        if let Some(why) = answers.iter().find_map(refusal) {
            self.refused(held, &why);
            return Ok(());
        }
        let said: Vec<_> = answers.iter().filter_map(text).map(String::from_utf8_lossy).collect();
        let [replication, persistence] = said.as_slice() else {
            return Err(End::Lost("its answers to INFO are none".to_owned()));
        };
        let Some(seen) = Seen::read(replication, persistence) else {
            return Err(End::Lost("INFO replication does not tell its history".to_owned()));
        };
        let is_primary = seen.is_primary;
        self.witness.look(&held.server, seen);
        // A new login tells what it means for the orders.
        if is_primary == held.is_primary { Ok(()) } else { Err(End::Anew) }
    }

    fn refused(&mut self, held: &mut Held, why: &str) {
        let (host, why) = (&held.server.host, shown(why));
        if why.starts_with("BUSY") {
            self.complaint.say(&format!("{host} runs a script: {why}"));
            return;
        }
        held.is_refused = true;
        let user = self.upstream().user.as_deref().unwrap_or("default");
        let mend = match why.starts_with("NOPERM") {
            true => format!("; type there: ACL SETUSER {user} {RIGHTS}"),
            false => String::new(),
        };
        self.complaint.say(&format!("{host} refuses user {user} what Palisade needs: {why}{mend}"));
    }
}
