//! Lets the faults in, one after the other, and holds Palisade to what it promises about each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::leaders::{Crew, Write};
use super::log::{Log, now_ms};
use super::plan::{Fault, Planned};
use super::shim::{Shim, Strike};
use crate::history::{self, Told};
use crate::rig::{Client, Rig};

/// Within which a process dies that is to die, and anything that was refused works again.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often a fault is let in until it hits: what it is to hit may not be there just then.
const TRIES: usize = 3;
/// Resources that belong to the faults.
const STAGES: u64 = 4;
pub(super) const POLL: Duration = Duration::from_millis(5);

/// Who lets the faults in.
pub struct Conductor {
    pub rig: Rig,
    pub shim: Shim,
    pub crew: Crew,
    pub log: Arc<Log>,
    pub(super) count: u64,
    /// The highest token of each resource in the journal, and how far that was read.
    written: BTreeMap<String, u64>,
    at: u64,
}

/// A write without hurry.
pub(super) fn plain(delay_ms: u64, stall_ms: u64) -> Planned {
    Planned { object: 0, pause_ms: 0, delay_ms, stall_ms }
}

impl Conductor {
    /// Nothing has happened yet.
    pub fn new(rig: Rig, shim: Shim, crew: Crew, log: Arc<Log>) -> Self {
        Self { rig, shim, crew, log, count: 0, written: BTreeMap::new(), at: 0 }
    }

    /// Lets one fault in, and waits until Palisade serves again.
    ///
    /// # Errors
    /// Palisade did not do what it has to.
    pub async fn inflict(&mut self, fault: &Fault) -> Result<(), String> {
        for _ in 0..TRIES {
            let has_hit = self.once(fault).await;
            let has_hit = has_hit.map_err(|error| format!("{}: {error}", fault.kind()))?;
            self.log.fault(fault.kind(), has_hit);
            if has_hit {
                break;
            }
        }
        Ok(())
    }

    /// Says whether it has hit.
    async fn once(&mut self, fault: &Fault) -> Result<bool, String> {
        self.count += 1;
        match fault {
            Fault::Strike(_, strike) => self.strike(strike).await,
            Fault::StrikeAtStart(_, strike) => self.strike_at_start(strike).await,
            Fault::KillWaiting => self.kill_waiting().await,
            Fault::KillSometime { after_ms } => self.kill_sometime(*after_ms).await,
            Fault::Restart => self.restart().await,
            Fault::FreezeWriter { ms } => self.freeze_writer(*ms).await,
            Fault::FreezePalisade { ms, .. } => self.freeze_palisade(*ms).await,
            Fault::FreezeStore { ms, .. } => self.freeze_store(*ms).await,
            Fault::SyncFails { is_killed } => self.sync_fails(*is_killed).await,
            Fault::SyncHangs { ms } => self.sync_hangs(*ms).await,
            Fault::DiskFull => self.disk_full().await,
            Fault::Revoke => self.revoke().await,
            Fault::Race { span_ms } => self.race(*span_ms).await,
        }
    }

    /// Every resource can be taken over again, written and read.
    pub async fn revive(&mut self, resources: u64) -> Result<(), String> {
        let stages = (0..STAGES.min(self.count)).map(|index| format!("fenced/s{index}"));
        let mut reviving = JoinSet::new();
        for resource in (0..resources).map(|index| format!("fenced/r{index}")).chain(stages) {
            let crew = self.crew.clone();
            reviving.spawn(async move {
                let (token, client) = open(&crew, "leader-b", &resource).await?;
                let name = format!("revive.{resource}.{token}").replace('/', ".");
                let write =
                    Write { resource: &resource, token, name: name.clone(), planned: plain(0, 0) };
                let told = crew.write(&client, write).await;
                let read = client.get(&format!("/{resource}/object-0")).await.text();
                match told {
                    Told::Applied if read == name => Ok(()),
                    _ => Err(format!("{resource}: {name} was {told:?}, and {read:?} is read")),
                }
            });
        }
        while let Some(revived) = reviving.join_next().await {
            revived.map_err(|error| error.to_string())??;
        }
        Ok(())
    }

    /// A resource for one fault.
    pub(super) fn stage(&self) -> String {
        format!("fenced/s{}", self.count % STAGES)
    }

    /// The same, of which no mark is moved meanwhile.
    pub(super) fn other_stage(&self) -> String {
        format!("fenced/s{}", (self.count + 1) % STAGES)
    }

    /// A name for a write of a fault.
    pub(super) fn name(&self, what: &str, token: u64) -> String {
        format!("fault-{}.{what}.{token}", self.count)
    }

    async fn strike(&mut self, strike: &Strike) -> Result<bool, String> {
        let deaths = self.shim.deaths();
        self.shim.arm(strike);
        let mut storm = JoinSet::new();
        storm.spawn(takeovers(self.crew.clone(), self.stage(), self.count));
        let has_died = self.dies().await;
        self.shim.disarm();
        drop(storm);
        self.come_back(has_died, deaths).await
    }

    async fn strike_at_start(&mut self, strike: &Strike) -> Result<bool, String> {
        self.kill();
        let deaths = self.shim.deaths();
        self.shim.arm(strike);
        self.rig.launch();
        // If it comes so far, then it dies in one of the next takeovers.
        let has_died = self.dies().await;
        self.shim.disarm();
        self.come_back(has_died, deaths).await
    }

    async fn dies(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.rig.palisade().is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(POLL).await;
        }
        true
    }

    async fn come_back(&mut self, has_died: bool, deaths: u64) -> Result<bool, String> {
        if has_died {
            if self.shim.deaths() == deaths {
                let said = self.rig.palisade().everything();
                return Err(format!("palisade has ended by itself: {said}"));
            }
            self.log.killed();
            self.start().await?;
        }
        Ok(has_died)
    }

    async fn kill_sometime(&mut self, after_ms: u64) -> Result<bool, String> {
        sleep(Duration::from_millis(after_ms)).await;
        self.kill();
        self.start().await?;
        Ok(true)
    }

    /// Killed while the seal of a new leader waits for a write past its commit point, which
    /// lands when nobody is there to wait for it.
    async fn kill_waiting(&mut self) -> Result<bool, String> {
        let stage = self.stage();
        let (token, client) = open(&self.crew, "leader-a", &stage).await?;
        let mut tasks = JoinSet::new();
        let (crew, resource, name) = (self.crew.clone(), stage.clone(), self.name("late", token));
        tasks.spawn(async move {
            let planned = plain(600, 0);
            crew.write(&client, Write { resource: &resource, token, name, planned }).await;
        });
        self.sees(&stage, |status| status["sent"] == 1).await?;
        let (crew, resource) = (self.crew.clone(), stage.clone());
        tasks.spawn(async move { drop(open(&crew, "leader-b", &resource).await) });
        let is_waiting = |status: &Value| status["busy"] == true && status["sent"] == 1;
        let has_hit = self.sees(&stage, is_waiting).await.is_ok();
        self.kill();
        self.start().await?;
        Ok(has_hit)
    }

    async fn restart(&mut self) -> Result<bool, String> {
        let ended = self.rig.palisade().end();
        if !ended.success() {
            return Err(format!("SIGTERM: {ended}: {}", self.rig.palisade().everything()));
        }
        self.start().await?;
        Ok(true)
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        self.rig.palisade().kill();
        self.log.killed();
    }

    /// Starts Palisade, which has to be ready, to know every mark, and to let reads through.
    pub(super) async fn start(&mut self) -> Result<(), String> {
        self.rig.launch();
        self.rig.ready().await?;
        self.check_marks().await?;
        self.reads_go_on().await
    }

    async fn check_marks(&mut self) -> Result<(), String> {
        let (applied, at) = history::journal_from(&self.rig.store.journal, self.at);
        self.at = at;
        let written = applied.iter().map(|write| (&write.resource()[1..], write.token));
        let mut least = self.log.raised();
        for (resource, token) in written {
            let highest = self.written.entry(resource.to_owned()).or_default();
            *highest = token.max(*highest);
        }
        for (resource, token) in &self.written {
            let least = least.entry(resource.clone()).or_default();
            *least = (*token).max(*least);
        }
        for (resource, least) in least {
            let status = self.status(&resource).await?;
            let mark = status["mark"].as_str().and_then(|mark| mark.parse::<u64>().ok());
            let mark = mark.ok_or_else(|| format!("{resource} has no mark: {status}"))?;
            let most = self.log.asked(&resource);
            if !(least..=most).contains(&mark) {
                self.log.complain(format!(
                    "{resource}: the mark is {mark} after a start; {least} had been raised to \
                     before it, and {most} asked for"
                ));
            }
        }
        Ok(())
    }

    /// Reads without a token need neither the ledger nor a leader.
    pub(super) async fn reads_go_on(&self) -> Result<(), String> {
        let path = format!("/{}/object-0", self.stage());
        let read = self.rig.client("reader").try_send(Method::GET, &path, "").await?;
        match read.status.as_u16() {
            200 | 404 => Ok(()),
            status => Err(format!("a read was answered with {status}: {}", read.text())),
        }
    }

    async fn status(&self, resource: &str) -> Result<Value, String> {
        let path = format!("/.palisade/status?path=/{resource}/x");
        let status = self.rig.client("leader-b").try_send(Method::GET, &path, "").await?;
        if !status.status.is_success() {
            return Err(format!("the status of {resource}: {}", status.text()));
        }
        Ok(status.json())
    }

    /// Waits until the status of a resource is so.
    pub(super) async fn sees(
        &self,
        resource: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(3);
        loop {
            let status = self.status(resource).await?;
            if is_so(&status) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("{resource} did not come so far: {status}"));
            }
            sleep(POLL).await;
        }
    }

    /// Freezes Palisade.
    async fn freeze_palisade(&mut self, ms: u64) -> Result<bool, String> {
        self.rig.palisade().freeze();
        sleep(Duration::from_millis(ms)).await;
        self.rig.palisade().thaw();
        self.log.count(|counts| counts.freezes += 1);
        self.reads_go_on().await?;
        Ok(true)
    }

    /// Freezes the store with a write of the old leader in it, and lets a new one come meanwhile.
    async fn freeze_store(&mut self, ms: u64) -> Result<bool, String> {
        let stage = self.stage();
        let (token, client) = open(&self.crew, "leader-a", &stage).await?;
        let mut tasks = JoinSet::new();
        let (crew, resource, name) = (self.crew.clone(), stage.clone(), self.name("late", token));
        tasks.spawn(async move {
            let planned = plain(150, 0);
            crew.write(&client, Write { resource: &resource, token, name, planned }).await;
        });
        self.sees(&stage, |status| status["sent"] == 1).await?;
        let from_ms = now_ms();
        self.rig.store.process.freeze();
        let (crew, resource) = (self.crew.clone(), stage.clone());
        tasks.spawn(async move { drop(open(&crew, "leader-b", &resource).await) });
        sleep(Duration::from_millis(ms)).await;
        self.rig.store.process.thaw();
        self.log.stalled(from_ms, now_ms());
        self.log.count(|counts| counts.freezes += 1);
        tasks.join_all().await;
        Ok(true)
    }
}

/// A new leader of a resource, which has to be let in within a bound.
pub(super) async fn open(crew: &Crew, who: &str, resource: &str) -> Result<(u64, Client), String> {
    let token = crew.log.token(resource, 1);
    let client = crew.client(who, token);
    let until = Instant::now() + PATIENCE;
    match crew.seal(&client, resource, token, until).await {
        Some(_) => Ok((token, client)),
        None => Err(format!("{resource} could not be taken over within {PATIENCE:?}")),
    }
}

/// One takeover after the other, each with an older write that is waited for and one that is cut.
async fn takeovers(crew: Crew, stage: String, count: u64) {
    let mut older = JoinSet::new();
    let leaders = ["leader-a", "leader-b"].into_iter().cycle();
    for (turn, who) in leaders.enumerate() {
        let token = crew.log.token(&stage, 1);
        let client = crew.client(who, token);
        let writes = [("first", 0, 0), ("sent", 80, 0), ("streaming", 0, 300)];
        for (what, delay_ms, stall_ms) in writes {
            let (crew, client, resource) = (crew.clone(), client.clone(), stage.clone());
            let name = format!("fault-{count}.{what}.{turn}.{token}");
            let writing = async move {
                let planned = plain(delay_ms, stall_ms);
                crew.write(&client, Write { resource: &resource, token, name, planned }).await;
            };
            match what {
                "first" => writing.await,
                _ => drop(older.spawn(writing)),
            }
        }
        sleep(Duration::from_millis(30)).await;
        while older.try_join_next().is_some() {}
    }
}
