//! The connections to the primary, each judged before it is used: what kind of server it is, whether
//! it keeps what it answers, and whether it has what was acknowledged before.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::dial::Dialer;
use super::facts::{Facts, rights};
use super::keys::Keys;
use super::link::{Behind, Fault, Link, Quorum};
use super::script::{Answer, CONFIRM, JUDGE, Script, Status};
use super::settings::Settings;
use super::standing::{Standing, call, lock};
use super::{GAP, LOG_MAX};
use crate::ledger::Unavailable;
use crate::ledger::replicated::store::About;

/// Connections on which changes are made: while one waits for replicas, another goes on.
const CHANGES_MAX: usize = 4;

/// For how long a failure to connect is the answer for those that come meanwhile.
const FAILED_FOR: Duration = Duration::from_millis(100);

/// How often a process that begins asks whether another one vouches for the server's history.
const VOUCHER_INTERVAL: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Links {
    pub(super) settings: Arc<Settings>,
    pub(super) keys: Keys,
    pub(super) standing: Standing,
    dialer: Dialer,
    asks: Slot,
    changes: Vec<Slot>,
    next: AtomicUsize,
    seen: Mutex<Seen>,
}

/// The server that was connected to last.
#[derive(Default)]
struct Seen {
    run_id: String,
    /// Counts the servers: connections to one before it are not used any more.
    view: u64,
    about: About,
}

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Anything that does not begin a session.
    Look,
    /// To begin one: another process that is alive may know more, and is waited for.
    Begin,
    /// To begin one, and no other has said anything.
    Decide,
}

/// A connection that many use.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Held>);

#[derive(Default)]
struct Held {
    link: Option<Arc<Link>>,
    failed: Option<(Instant, String)>,
}

/// What the judge has said of a connection.
pub(super) struct Judged {
    pub(super) link: Link,
    /// The newest change that is there.
    pub(super) generation: u64,
    /// What the feed told last is not there.
    pub(super) has_missed: bool,
}

impl Links {
    /// Reads the certificates. Blocking.
    pub(super) fn new(settings: Settings, process: String) -> Result<Self, Unavailable> {
        let settings = Arc::new(settings);
        let changes = if settings.wait_replicas == 0 { 1 } else { CHANGES_MAX };
        Ok(Self {
            keys: Keys::new(&settings.namespace),
            standing: Standing::new(process),
            dialer: Dialer::new(settings.clone())?,
            asks: Slot::default(),
            changes: (0..changes).map(|_| Slot::default()).collect(),
            next: AtomicUsize::new(0),
            seen: Mutex::default(),
            settings,
        })
    }

    pub(super) fn about(&self) -> About {
        lock(&self.seen).about.clone()
    }

    /// How many replicas have to acknowledge.
    pub(super) fn quorum(&self) -> Option<Quorum> {
        let Settings { wait_replicas: replicas, wait_timeout: within, .. } = *self.settings;
        (replicas > 0).then_some(Quorum { replicas, within })
    }

    /// Runs a script that changes nothing anybody relies on. It is tried again once: what it does,
    /// it may do twice.
    pub(super) async fn ask(
        &self,
        script: &Script,
        keys: &[String],
        args: &[Vec<u8>],
    ) -> Result<Answer, Unavailable> {
        let until = Instant::now() + self.settings.timeout;
        let mut result = self.run(&self.asks, script, keys, args, Behind::Role, until).await;
        if result.is_err() && Instant::now() < until {
            result = self.run(&self.asks, script, keys, args, Behind::Role, until).await;
        }
        result.map(|(answer, _)| answer).map_err(|fault| Unavailable(fault.why().to_owned()))
    }

    /// Runs a script that changes something, once. When this returns an answer, replicas have
    /// acknowledged as the settings ask for.
    pub(super) async fn change(
        &self,
        script: &Script,
        keys: &[String],
        args: &[Vec<u8>],
    ) -> Result<Answer, Fault> {
        let until = Instant::now() + self.settings.timeout;
        let quorum = self.quorum();
        let behind = quorum.map_or(Behind::Nothing, Behind::Wait);
        let (answer, count) = self.run(self.turn(), script, keys, args, behind, until).await?;
        if answer.made > 0 {
            self.suffices(count)?;
        }
        self.standing.acknowledge(&answer);
        Ok(answer)
    }

    /// Runs a script that reads, and that writes a little when its argument is 1. What is read is
    /// what was acknowledged: a primary that was cut off from its replicas, and perhaps is none
    /// any more, has its own changes, which are as good as lost, and sessions that go on elsewhere.
    pub(super) async fn read(
        &self,
        script: &Script,
        keys: &[String],
    ) -> Result<Answer, Unavailable> {
        let Some(quorum) = self.quorum() else {
            return self.ask(script, keys, &[b"0".to_vec()]).await;
        };
        let until = Instant::now() + self.settings.timeout;
        let behind = Behind::Wait(quorum);
        let read = self.run(self.turn(), script, keys, &[b"1".to_vec()], behind, until).await;
        let read = read.and_then(|(answer, count)| self.suffices(count).map(|()| answer));
        read.map_err(|fault| Unavailable(fault.why().to_owned()))
    }

    /// Whether so many replicas that have acknowledged something are enough.
    fn suffices(&self, count: u32) -> Result<(), Fault> {
        match self.quorum() {
            Some(quorum) if count < quorum.replicas => Err(Fault::Unknown(format!(
                "{count} of the {} replicas asked for have acknowledged it within {} ms: see that \
                 the replicas of Redis are up, and wait_replicas and wait_timeout of [ledger.redis]",
                quorum.replicas,
                quorum.within.as_millis()
            ))),
            _ => Ok(()),
        }
    }

    fn turn(&self) -> &Slot {
        &self.changes[self.next.fetch_add(1, Ordering::Relaxed) % self.changes.len()]
    }

    async fn run(
        &self,
        slot: &Slot,
        script: &Script,
        keys: &[String],
        args: &[Vec<u8>],
        behind: Behind,
        until: Instant,
    ) -> Result<(Answer, u32), Fault> {
        let late = || Err("Redis takes no connection in time".to_owned());
        let link = match timeout_at(until, self.take(slot)).await.unwrap_or_else(|_| late()) {
            Ok(link) => link,
            // With the Sentinels away, what is open goes on.
            Err(why) => self.beside().ok_or(Fault::NotDone(why))?,
        };
        self.run_on(&link, script, keys, args, behind, until).await
    }

    /// On that connection, with what every script is told first.
    pub(super) async fn run_on(
        &self,
        link: &Link,
        script: &Script,
        keys: &[String],
        args: &[Vec<u8>],
        behind: Behind,
        until: Instant,
    ) -> Result<(Answer, u32), Fault> {
        let mut first = self.standing.args(LOG_MAX);
        first.extend_from_slice(args);
        let call = call(self.keys.fixed(), keys, first);
        let result = link.run(script, &call, behind, until).await;
        let (answer, count) = result.map_err(|fault| match fault {
            Fault::NotDone(why) => Fault::NotDone(self.mend(&link.at, &why)),
            Fault::Unknown(why) => Fault::Unknown(self.mend(&link.at, &why)),
        })?;
        if answer.status == Status::Behind {
            // The next connection is judged: perhaps this is not the primary any more.
            link.give_up();
            return Err(Fault::NotDone(format!(
                "{} does not have what it, or the primary before it, had acknowledged",
                link.at
            )));
        }
        self.standing.hear(&answer);
        Ok((answer, count))
    }

    fn mend(&self, at: &str, why: &str) -> String {
        let user = self.settings.login.user.as_deref().unwrap_or("default");
        rights(at, why, &self.keys, user)
    }

    /// Whether a connection is to the primary of now, as far as is known, and open.
    pub(super) fn is_usable(&self, link: &Link) -> bool {
        link.is_usable() && link.view == lock(&self.seen).view
    }

    async fn take(&self, slot: &Slot) -> Result<Arc<Link>, String> {
        let mut held = slot.0.lock().await;
        if let Some(link) = held.link.take_if(|link| !self.is_usable(link)) {
            drop(link);
        }
        if let Some(link) = &held.link {
            return Ok(link.clone());
        }
        if let Some((at, why)) = &held.failed
            && at.elapsed() < FAILED_FOR
        {
            return Err(why.clone());
        }
        match self.open(Purpose::Look).await {
            Ok(judged) => {
                let link = Arc::new(judged.link);
                *held = Held { link: Some(link.clone()), failed: None };
                Ok(link)
            }
            Err(why) => {
                held.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// Any connection for changes that is open.
    fn beside(&self) -> Option<Arc<Link>> {
        self.changes.iter().find_map(|slot| {
            let held = slot.0.try_lock().ok()?;
            held.link.clone().filter(|link| self.is_usable(link))
        })
    }

    /// A connection to the primary, judged.
    pub(super) async fn open(&self, purpose: Purpose) -> Result<Judged, String> {
        let mut link = self.dialer.primary("palisade-ledger").await?;
        let facts = self.facts(&link).await?;
        let about = facts.judge(&link.at, &self.settings)?;
        link.view = self.see(facts.field("run_id").unwrap_or_default(), about);
        let (generation, has_missed) = self.judge(&link, &facts, purpose).await?;
        Ok(Judged { link, generation, has_missed })
    }

    fn see(&self, run_id: &str, about: About) -> u64 {
        let mut seen = lock(&self.seen);
        if seen.run_id != run_id {
            seen.run_id = run_id.to_owned();
            seen.view += 1;
        }
        seen.about = about;
        seen.view
    }

    /// Asks the server again what it is, and vouches for its history: a primary without replicas
    /// takes a new replication id by itself.
    pub(super) async fn recheck(&self) -> Result<(), String> {
        let link = self.take(&self.asks).await?;
        let facts = self.facts(&link).await?;
        let about = facts.judge(&link.at, &self.settings)?;
        lock(&self.seen).about = about;
        self.judge(&link, &facts, Purpose::Look).await.map(|_| ())
    }

    /// An operator lets takeovers go on, on the server that is the primary now.
    pub(super) async fn confirm(&self) -> Result<(), Unavailable> {
        let Judged { link, .. } = self.open(Purpose::Look).await.map_err(Unavailable)?;
        let facts = self.facts(&link).await.map_err(Unavailable)?;
        let highest = self.standing.highest().to_string();
        let args = [highest, facts.history().to_owned(), GAP.to_string()].map(String::into_bytes);
        let until = Instant::now() + self.settings.timeout;
        let behind = self.quorum().map_or(Behind::Nothing, Behind::Wait);
        let confirmed = self.run_on(&link, &CONFIRM, &[], &args, behind, until).await;
        let (_, count) = confirmed.map_err(|fault| Unavailable(fault.why().to_owned()))?;
        let again = |fault: Fault| Unavailable(format!("{}; then confirm again", fault.why()));
        self.suffices(count).map_err(again)
    }

    async fn facts(&self, link: &Link) -> Result<Facts, String> {
        let user = self.settings.login.user.as_deref().unwrap_or("default");
        Facts::read(link, &self.keys, user).await
    }

    /// Whether the server has what was acknowledged; if not, the ledger is frozen. The newest
    /// change there, and whether the feed has missed something.
    async fn judge(
        &self,
        link: &Link,
        facts: &Facts,
        purpose: Purpose,
    ) -> Result<(u64, bool), String> {
        let (told, tag) = self.standing.told().unwrap_or_default();
        let is_trusted = self.settings.sentinel.is_none() && self.settings.wait_replicas == 0;
        let begun = Instant::now();
        let mut purpose = purpose;
        loop {
            let what_for = match purpose {
                Purpose::Look => "look",
                Purpose::Begin => "begin",
                Purpose::Decide => "decide",
            };
            let args = [
                facts.history().to_owned(),
                told.to_string(),
                tag.clone(),
                what_for.to_owned(),
                u8::from(is_trusted).to_string(),
                GAP.to_string(),
            ]
            .map(String::into_bytes);
            let until = Instant::now() + self.settings.timeout;
            let keys = [self.keys.sessions()];
            let judged = self.run_on(link, &JUDGE, &keys, &args, Behind::Nothing, until).await;
            let (answer, _) = judged.map_err(|fault| fault.why().to_owned())?;
            if answer.status == Status::Done {
                let has_missed = answer.rest.first().is_some_and(is_missed);
                return Ok((answer.generation, has_missed));
            }
            if begun.elapsed() > self.settings.timeout / 2 {
                purpose = Purpose::Decide;
            }
            sleep(VOUCHER_INTERVAL).await;
        }
    }
}

fn is_missed(value: &redis::Value) -> bool {
    super::script::text(value) == Some("missed")
}
