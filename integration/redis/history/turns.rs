//! The leaders' turns, and what goes wrong in each: every fault at every point, once a round.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::child::Leader;
use super::errand::{Errand, Fate, Line, POINTS, Point, Way, key};
use super::ills::{ILLS, Ill};
use super::journal::Journal;
use super::judge::{Story, judge};
use super::naive;
use super::network::Network;
use crate::rig::redis::{Choice, Front, Layout, Server, Setup};
use crate::trial::Chance;

const RESOURCES: u32 = 4;
/// How long a leader may take to get where it has to stop.
const AT_DEADLINE: Duration = Duration::from_secs(40);
/// How long one may take to end when there is nothing left for it to do.
const END_DEADLINE: Duration = Duration::from_secs(40);
/// How long the next leader is given before those that are frozen are thawed, where nobody fences.
const UNFENCED: Duration = Duration::from_secs(1);
pub const POLL: Duration = Duration::from_millis(5);
/// How long a leader tries to get in.
const PATIENCE_MS: u64 = 25_000;
/// What is in a queue at most, unless nobody takes from it for a moment.
const QUEUE_MAX: u64 = 5;

/// The journal: written before the answers, and never made anew.
pub const SERVER: &str = "appendonly yes\nappendfsync no\nauto-aof-rewrite-percentage 0\n";

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub seed: u64,
    /// How long; one round at least.
    pub time: Duration,
    pub fence: Fence,
}

/// Who is in front.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fence {
    Palisade,
    /// Somebody who only looks when a command arrives.
    Naive,
    Nobody,
}

/// A run that failed.
#[derive(Debug)]
pub struct Failed {
    pub why: String,
    /// Where the logs of all processes are.
    pub folder: PathBuf,
}

pub struct Field {
    settings: Settings,
    way: Vec<Way>,
    dir: PathBuf,
    pub front: Arc<Mutex<Option<Front>>>,
    /// Between Palisade and the server.
    pub network: Option<Arc<Network>>,
    stories: Mutex<Vec<Story>>,
    hits: Mutex<BTreeMap<(Ill, Point), u32>>,
    turns: AtomicU32,
}

/// Runs it; what it says is how much was done.
pub async fn run(settings: &Settings) -> Result<String, Failed> {
    let prefix = format!("redis-{}-", settings.seed);
    let mut dir = tempfile::Builder::new().prefix(&prefix).tempdir().unwrap();
    // Until it has passed: also when something panics.
    dir.disable_cleanup(true);
    let folder = dir.path().to_owned();
    let (server, front, way);
    let (mut naive, mut between) = (None, None);
    if settings.fence == Fence::Palisade {
        let edits = vec![
            ("drain = \"1s\"", "drain = \"300ms\"".to_owned()),
            ("filter = \"info\"", "filter = \"warn\"".to_owned()),
        ];
        let choice = Choice { layout: Layout::Queues, server: SERVER, edits, ..Choice::default() };
        let mut made = Front::prepare_in(dir, &choice).await;
        made.keep(true);
        let network = Network::start(made.server.socket()).await;
        made.reach(network.address);
        between = Some(network);
        made.run().await;
        way = ["leader-a", "leader-b"]
            .map(|who| Way::Palisade { addresses: vec![made.address], door: made.door(who) })
            .to_vec();
        (server, front) = (None, Some(made));
    } else {
        let alone = Server::start(dir.path(), Setup { lines: SERVER, ..Setup::default() });
        way = vec![match settings.fence {
            Fence::Naive => {
                Way::Naive(naive.insert(naive::listen(&folder, alone.socket())).1.clone())
            }
            _ => Way::Direct(alone.socket()),
        }];
        (server, front) = (Some(alone), None);
    }
    let socket = front.as_ref().map(|front| &front.server).or(server.as_ref()).unwrap().socket();
    let field = Arc::new(Field {
        settings: *settings,
        way,
        dir: folder.clone(),
        front: Arc::new(Mutex::new(front)),
        network: between.map(Arc::new),
        stories: Mutex::default(),
        hits: Mutex::default(),
        turns: AtomicU32::new(0),
    });
    let mut feeding = JoinSet::new();
    for resource in 0..RESOURCES {
        feeding.spawn(feed(socket.clone(), resource, Chance::of(settings.seed, &[u64::MAX])));
    }
    let outcome = rounds(&field, server.as_ref()).await;
    feeding.shutdown().await;
    let hits = field.hits.lock().await;
    let turns = field.turns.load(Ordering::Relaxed);
    let mut summary = format!("{turns} leaders: {}\n", told(&field.stories.lock().await));
    for ((ill, point), count) in &*hits {
        summary += &format!("  {ill:?} {point:?}: {count}\n");
    }
    let wanted = plan(settings, 0).len();
    drop(naive);
    let outcome = outcome.and_then(|()| match hits.len() {
        hit if hit >= wanted => Ok(()),
        hit => Err(format!("only {hit} of {wanted} kinds of faults were there:\n{summary}")),
    });
    match outcome {
        Ok(()) => {
            drop((server, field.front.lock().await.take()));
            let _ = std::fs::remove_dir_all(&folder);
            Ok(summary)
        }
        Err(why) => Err(Failed { why, folder }),
    }
}

/// How much of each.
pub fn told(stories: &[Story]) -> String {
    let lines = || stories.iter().flat_map(|story| &story.lines);
    let of = |wanted: Fate| {
        let is_it = |line: &&Line| matches!(line, Line::Told { fate, .. } if *fate == wanted);
        lines().filter(is_it).count()
    };
    format!(
        "{} writes applied, {} not applied, {} unknown, {} popped",
        of(Fate::Applied),
        of(Fate::NotApplied),
        of(Fate::Unknown),
        lines().filter(|line| matches!(line, Line::Popped { .. })).count()
    )
}

/// Somebody who knows nothing of tokens fills the queues that leaders take from.
pub async fn feed(socket: PathBuf, resource: u32, mut chance: Chance) {
    let mut wire = super::around(&socket).await;
    for item in 0_u64.. {
        let name = chance.one_of(&["queue", "jobs"]);
        let list = key(resource, name);
        let length = wire.say(&format!("LLEN {list}")).await;
        if length.trim_start_matches(':').parse::<u64>().unwrap() < QUEUE_MAX {
            wire.say(&format!("RPUSH {list} r{resource}-{name}-{item}")).await;
        }
        sleep(Duration::from_millis(chance.within(10..=120))).await;
    }
}

/// What has to happen in a round, in any order.
fn plan(settings: &Settings, round: u64) -> Vec<(Ill, Point)> {
    let ills = ILLS.iter().filter(|ill| settings.fence == Fence::Palisade || ill.is_leaders());
    let mut plan: Vec<_> = ills.flat_map(|ill| POINTS.map(|point| (*ill, point))).collect();
    Chance::of(settings.seed, &[round]).shuffle(&mut plan);
    plan
}

async fn rounds(field: &Arc<Field>, server: Option<&Server>) -> Result<(), String> {
    let begun = Instant::now();
    let mut tokens = vec![0; RESOURCES as usize];
    for round in 0.. {
        let plan = plan(&field.settings, round);
        let mut running = JoinSet::new();
        for (resource, token) in (0..RESOURCES).zip(&tokens) {
            let mine = plan.iter().skip(resource as usize).step_by(RESOURCES as usize);
            let (field, mine, token) = (Arc::clone(field), mine.copied().collect(), *token);
            running.spawn(async move { (resource, turns(&field, resource, token, mine).await) });
        }
        while let Some(ended) = running.join_next().await {
            let (resource, outcome) = ended.map_err(|error| format!("{error:?}"))?;
            tokens[resource as usize] = outcome?;
        }
        let front = field.front.lock().await;
        let server = server.or(front.as_ref().map(|front| &front.server)).unwrap();
        verdict(field, server).await?;
        if begun.elapsed() >= field.settings.time {
            break;
        }
        let turns = field.turns.load(Ordering::Relaxed);
        eprintln!("{:5}s  {turns} leaders", begun.elapsed().as_secs());
    }
    Ok(())
}

/// The turns of one resource, from the token behind that one on; returns the last.
async fn turns(
    field: &Field,
    resource: u32,
    mut token: u64,
    plan: Vec<(Ill, Point)>,
) -> Result<u64, String> {
    let mut chance = Chance::of(field.settings.seed, &[u64::from(resource), token]);
    // Those that have been overtaken and have not ended.
    let mut before: Vec<Leader> = Vec::new();
    for (ill, point) in plan {
        token += chance.within(1..=3);
        let leader = field.spawn(resource, token, Some(point), ill == Ill::LeaderKilled);
        field.overtakes(&leader, &mut before).await?;
        let limit = Instant::now() + AT_DEADLINE;
        while leader.at().is_none() && !leader.has_ended() {
            if Instant::now() > limit {
                return Err(format!("{}: never got to {point:?}", leader.name()));
            }
            sleep(POLL).await;
        }
        if leader.at().is_none() {
            return Err(format!("{} ended before {point:?}: {:?}", leader.name(), leader.lines()));
        }
        *field.hits.lock().await.entry((ill, point)).or_default() += 1;
        ill.inflict(field, &leader, &mut chance).await;
        before.push(leader);
    }
    // One more, so that the last of them is overtaken, too.
    token += 1;
    let last = field.spawn(resource, token, None, false);
    field.overtakes(&last, &mut before).await?;
    before.push(last);
    let limit = Instant::now() + END_DEADLINE;
    for leader in before {
        // Without a fence nobody finds that others lead.
        if leader.token == token || field.settings.fence == Fence::Nobody {
            std::fs::write(field.enough_of(resource), "").unwrap();
        }
        while !leader.has_ended() {
            if Instant::now() > limit {
                return Err(format!("{} goes on for ever", leader.name()));
            }
            sleep(POLL).await;
        }
        field.note(leader).await;
    }
    std::fs::remove_file(field.enough_of(resource)).unwrap();
    Ok(token)
}

impl Field {
    fn enough_of(&self, resource: u32) -> PathBuf {
        self.dir.join(format!("enough.{resource}"))
    }

    fn spawn(&self, resource: u32, token: u64, point: Option<Point>, is_fatal: bool) -> Leader {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let way = self.way[turn as usize % self.way.len()].clone();
        let (seed, enough) = (self.settings.seed, self.enough_of(resource));
        let patience_ms = PATIENCE_MS;
        let errand =
            Errand { way, resource, token, seed, after: 3, point, is_fatal, enough, patience_ms };
        Leader::start(&errand, None, &self.dir)
    }

    /// Waits until a leader writes; then those before it are thawed, and find that they are late.
    async fn overtakes(&self, leader: &Leader, before: &mut Vec<Leader>) -> Result<(), String> {
        let is_fenced = self.settings.fence != Fence::Nobody;
        let limit = if is_fenced { AT_DEADLINE } else { UNFENCED };
        let begun = Instant::now();
        while leader.applied() < 2 && leader.at().is_none() && begun.elapsed() < limit {
            if leader.has_ended() {
                break;
            }
            sleep(POLL).await;
        }
        if is_fenced && begun.elapsed() >= limit {
            return Err(format!("{} does not get to write", leader.name()));
        }
        let mut left = Vec::new();
        for one in before.drain(..) {
            one.thaw();
            match one.has_ended() {
                true => self.note(one).await,
                false => left.push(one),
            }
        }
        *before = left;
        Ok(())
    }

    async fn note(&self, leader: Leader) {
        let Leader { resource, token, .. } = leader;
        let lines = leader.lines();
        self.stories.lock().await.push(Story { resource, token, lines });
    }
}

async fn verdict(field: &Field, server: &Server) -> Result<(), String> {
    let journal = journal_of(server, RESOURCES).await?;
    let events: usize = journal.events.values().map(Vec::len).sum();
    if events < 200 {
        return Err(format!("only {events} events: nothing was tried"));
    }
    judge(&journal.events, &field.stories.lock().await)
}

/// What a server has done with so many resources, by its file, which has everything.
pub async fn journal_of(server: &Server, resources: u32) -> Result<Journal, String> {
    let mut wire = server.session().await;
    // What was answered is in the file.
    let mut lengths = Vec::new();
    for resource in 0..resources {
        lengths.push(wire.say(&format!("LLEN {}", key(resource, "taken"))).await);
    }
    let journal = Journal::read(server.socket().parent().unwrap());
    for (resource, length) in (0..resources).zip(lengths) {
        let read = journal.list(resource, "taken").len();
        if length != format!(":{read}") {
            return Err(format!("r{resource}: the server has {length} in a list, its file {read}"));
        }
    }
    Ok(journal)
}
