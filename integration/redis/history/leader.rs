//! A leader: a process that connects with its token, looks at nothing but its own memory, writes
//! in every way there is, and stops itself where it is told to.

use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use tokio::time::sleep;

use super::errand::{Errand, Fate, Line, Point, Way, key};
use crate::rig::redis::{CUT, PASSWORD, Value, Wire, command};
use crate::trial::Chance;

/// How long one of several Palisades may take to let it in.
const DOOR_TIMEOUT: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(30);

pub struct Leader {
    pub errand: Errand,
    pub chance: Chance,
    pub wire: Wire,
    /// What it believes the counter to be.
    pub counter: u64,
    /// Its connection to the server is slow.
    pub is_slow: bool,
    /// It was told that others lead.
    pub is_fenced: bool,
    made: u32,
    settled: u32,
}

fn say(line: &Line) {
    println!("{}", serde_json::to_string(line).unwrap());
}

pub fn complain(what: String) {
    say(&Line::Complaint { what });
}

fn end(why: impl ToString) -> ! {
    say(&Line::Ended { why: why.to_string() });
    // Past the test harness: nothing is left to be torn down.
    std::process::exit(0);
}

/// Leads until it is told to stop, or that others do.
pub async fn lead(mut errand: Errand) {
    let mut chance = Chance::of(errand.seed, &[u64::from(errand.resource), errand.token]);
    let wire = enter(&mut errand, &mut chance).await;
    let mut leader = Leader {
        errand,
        chance,
        wire,
        counter: 0,
        is_slow: false,
        is_fenced: false,
        made: 0,
        settled: 0,
    };
    loop {
        let is_open = leader.open().await;
        if is_open.is_some() {
            leader.stop_at(Point::Sealed);
            while leader.write().await.is_some() {
                if leader.errand.enough.exists() {
                    end("enough");
                }
                let pause = leader.chance.within(0..=10);
                sleep(Duration::from_millis(pause)).await;
            }
        }
        sleep(AGAIN).await;
        leader.is_slow = false;
        leader.wire = enter(&mut leader.errand, &mut leader.chance).await;
    }
}

/// Connects and brings its token, again and again where that may help.
async fn enter(errand: &mut Errand, chance: &mut Chance) -> Wire {
    let (begun, patience) = (Instant::now(), Duration::from_millis(errand.patience_ms));
    for turn in 0.. {
        if let Some(mut wire) = connect(&errand.way, errand.token + turn).await {
            stop(errand, Point::BeforeToken);
            let told = wire.call(&words(errand, chance)).await;
            let told = told.to_string();
            // RESP3 answers HELLO with a map.
            if !told.starts_with('-') {
                return wire;
            }
            match word(&told) {
                "FENCED" => end("stale"),
                // A takeover takes long; it is starting; Palisade was killed just now.
                "TRYAGAIN" | CUT => {}
                _ => complain(format!("at the start: {told}")),
            }
        }
        if errand.enough.exists() {
            end("enough");
        }
        if begun.elapsed() > patience {
            complain(format!("not let in within {patience:?}"));
            end("patience");
        }
        sleep(AGAIN).await;
    }
    unreachable!("it has no patience left")
}

async fn connect(way: &Way, turn: u64) -> Option<Wire> {
    let stream = match way {
        Way::Palisade { addresses, door } => match addresses[..] {
            [address] => door.tls(address).await.ok()?,
            _ => {
                let address = addresses[turn as usize % addresses.len()];
                tokio::time::timeout(DOOR_TIMEOUT, door.tls(address)).await.ok()?.ok()?
            }
        },
        Way::Naive(path) | Way::Direct(path) => {
            Box::new(tokio::net::UnixStream::connect(path).await.ok()?) as _
        }
    };
    Some(Wire::raw(stream))
}

/// What it says first.
fn words(errand: &Errand, chance: &mut Chance) -> Vec<String> {
    let key = key(errand.resource, "log");
    let user = format!("token={},key={key}", errand.token);
    let line = match (&errand.way, chance.within(0..=2)) {
        (Way::Direct(_), _) => format!("AUTH {PASSWORD}"),
        (Way::Naive(_), _) | (_, 0) => format!("AUTH {user} x"),
        (_, 1) => format!("HELLO 3 AUTH {user} x"),
        _ => format!("PALISADE TOKEN {} {key}", errand.token),
    };
    line.split(' ').map(str::to_owned).collect()
}

/// The word that an error begins with.
pub fn word(error: &str) -> &str {
    error.trim_start_matches('-').split(' ').next().unwrap_or_default()
}

/// Stops here, if this is where it has to.
fn stop(errand: &mut Errand, point: Point) {
    if errand.point == Some(point) {
        errand.point = None;
        say(&Line::At { point });
        let signal = if errand.is_fatal { Signal::KILL } else { Signal::STOP };
        kill_process(getpid(), signal).unwrap();
    }
}

impl Leader {
    /// Reads what it builds on. `None`: cut, or nobody lets it read.
    pub async fn open(&mut self) -> Option<()> {
        let log = self.number(&["LLEN", &self.key("log")]).await?;
        let taken = self.number(&["LLEN", &self.key("taken")]).await?;
        self.counter = self.read_counter().await?;
        say(&Line::Opened { log, taken });
        Some(())
    }

    /// What the counter is now.
    pub async fn read_counter(&mut self) -> Option<u64> {
        self.number(&["GET", &self.key("counter")]).await
    }

    /// The first number of what it is answered, 0 where nothing is there.
    pub async fn number(&mut self, arguments: &[&str]) -> Option<u64> {
        match self.wire.call(arguments).await {
            Value::Error(told) => {
                if !["FENCED", "TRYAGAIN", "UNKNOWN", CUT].contains(&word(&told)) {
                    complain(format!("{arguments:?}: {told}"));
                }
                None
            }
            Value::Null => Some(0),
            value => {
                let text = value.to_string();
                Some(text.trim_start_matches(':').split(' ').next()?.parse().unwrap())
            }
        }
    }

    /// Whether Palisade is in front.
    pub fn has_palisade(&self) -> bool {
        matches!(self.errand.way, Way::Palisade { .. })
    }

    pub fn key(&self, name: &str) -> String {
        key(self.errand.resource, name)
    }

    /// The name of a new write of that kind.
    pub fn begin(&mut self, kind: &str) -> String {
        self.made += 1;
        let Errand { resource, token, .. } = self.errand;
        // Two processes with one token do not have one name.
        let write = format!("r{resource}-t{token}-{}-{}-{kind}", std::process::id(), self.made);
        say(&Line::Begun { write: write.clone() });
        write
    }

    pub fn told(&mut self, write: &str, fate: Fate) {
        self.settled += 1;
        say(&Line::Told { write: write.to_owned(), fate });
    }

    pub fn popped(&mut self, write: &str, item: String) {
        self.settled += 1;
        say(&Line::Popped { write: write.to_owned(), item });
    }

    /// Stops here, if this is where it has to by now.
    pub fn stop_at(&mut self, point: Point) {
        if point == Point::Sealed || self.is_due() == Some(point) {
            stop(&mut self.errand, point);
        }
    }

    /// The point at which its next write has to stop.
    pub fn is_due(&self) -> Option<Point> {
        self.errand.point.filter(|_| self.settled >= self.errand.after)
    }

    pub async fn send<A: AsRef<[u8]>>(&mut self, arguments: &[A]) {
        self.wire.send(&command(arguments)).await;
    }

    pub fn heed(&mut self, answer: Option<&Value>) {
        self.is_fenced |= matches!(answer, Some(Value::Error(told)) if word(told) == "FENCED");
    }

    /// The answers to those writes, one each; true if all are applied. `None`: the session is
    /// over.
    pub async fn settle(&mut self, writes: &[String]) -> Option<bool> {
        let (mut is_good, mut is_over) = (true, false);
        for write in writes {
            let answer = self.wire.answer().await;
            is_over = answer.is_none();
            let fate = match &answer {
                // The last word is for all that has no answer.
                None if self.is_fenced => Fate::NotApplied,
                None => Fate::Unknown,
                Some(value) => fate(value),
            };
            self.heed(answer.as_ref());
            is_good &= fate == Fate::Applied;
            self.told(write, fate);
        }
        (!is_over).then_some(is_good)
    }
}

/// What an answer says of the write that it is for.
pub fn fate(answer: &Value) -> Fate {
    let Value::Error(told) = answer else { return Fate::Applied };
    match word(told) {
        "UNKNOWN" | CUT => Fate::Unknown,
        "FENCED" | "TRYAGAIN" | "EXECABORT" => Fate::NotApplied,
        _ => {
            complain(format!("a write is answered {told}"));
            Fate::NotApplied
        }
    }
}
