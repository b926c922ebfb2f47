//! The leaders' turns, and what goes wrong in each: every fault at every point, once a round.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::SETUP;
use super::child::Leader;
use super::errand::{Errand, POINTS, Point, Way};
use super::judge::{Row, Story, judge};
use crate::rig::postgres::{Choice, Front, Server};
use crate::trial::Chance;

const RESOURCES: u32 = 3;
/// How long a leader may take to get where it has to stop.
const AT_DEADLINE: Duration = Duration::from_secs(40);
/// How long one may take to end when there is nothing left for it to do.
const END_DEADLINE: Duration = Duration::from_secs(40);
/// How long the next leader is given before one that is frozen is thawed, where nobody fences:
/// the locks of the one may keep the other from writing.
const UNFENCED: Duration = Duration::from_millis(1_000);
const POLL: Duration = Duration::from_millis(5);
/// How long a leader tries to get in.
const PATIENCE_MS: u64 = 25_000;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub seed: u64,
    /// How long; one round at least.
    pub time: Duration,
    /// Whether Palisade is in front.
    pub is_fenced: bool,
}

/// A run that failed.
#[derive(Debug)]
pub struct Failed {
    pub why: String,
    /// Where the logs of all processes are.
    pub folder: PathBuf,
}

/// What goes wrong while a leader is at its point.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Ill {
    /// It is frozen, and thawed when the next one writes.
    LeaderFrozen,
    LeaderKilled,
    PalisadeKilled,
    PalisadeFrozen,
}

const ILLS: [Ill; 4] =
    [Ill::LeaderFrozen, Ill::LeaderKilled, Ill::PalisadeKilled, Ill::PalisadeFrozen];

struct Field {
    settings: Settings,
    way: Vec<Way>,
    dir: PathBuf,
    enough: PathBuf,
    front: Mutex<Option<Front>>,
    stories: Mutex<Vec<Story>>,
    hits: Mutex<BTreeMap<(Ill, Point), u32>>,
    turns: AtomicU32,
}

/// Runs it; what it says is how much was done.
pub async fn run(settings: &Settings) -> Result<String, Failed> {
    // Not below target/: the server's user may not be able to get there.
    let prefix = format!("postgres-{}-", settings.seed);
    let mut dir = tempfile::Builder::new().prefix(&prefix).tempdir().unwrap();
    // Until it has passed: also when something panics.
    dir.disable_cleanup(true);
    let folder = dir.path().to_owned();
    let (server, front, way);
    if settings.is_fenced {
        // Whoever is stale is not let in to read.
        let readers =
            "resource = \"pg/{database}/{name}\"\nread = [\"leader-*\", \"follower\", \"reader\"]";
        let edits = vec![
            (readers, "resource = \"pg/{database}/{name}\"".to_owned()),
            ("filter = \"info\"", "filter = \"warn\"".to_owned()),
        ];
        let mut made = Front::prepare(dir, &Choice { edits, ..Choice::default() });
        made.keep(true);
        made.server.session("app").await.simple(SETUP).await.good();
        made.run().await;
        way = ["leader-a", "leader-b"]
            .map(|who| Way::Palisade { addresses: vec![made.address], door: made.door(who) })
            .to_vec();
        (server, front) = (None, Some(made));
    } else {
        let alone = Server::start(dir.path());
        alone.session("app").await.simple(SETUP).await.good();
        way = vec![Way::Socket(alone.socket())];
        (server, front) = (Some(alone), None);
    }
    let enough = folder.join("enough");
    let field = Arc::new(Field {
        settings: *settings,
        way,
        dir: folder.clone(),
        enough,
        front: Mutex::new(front),
        stories: Mutex::default(),
        hits: Mutex::default(),
        turns: AtomicU32::new(0),
    });
    let outcome = rounds(&field, server.as_ref()).await;
    let hits = field.hits.lock().await;
    let mut summary = format!(
        "{} leaders, {} writes told\n",
        field.turns.load(Ordering::Relaxed),
        field.stories.lock().await.iter().map(|story| story.lines.len()).sum::<usize>()
    );
    for ((ill, point), count) in &*hits {
        summary += &format!("  {ill:?} {point:?}: {count}\n");
    }
    let wanted = if settings.is_fenced { ILLS.len() } else { 2 } * POINTS.len();
    let outcome = outcome.and_then(|()| match hits.len() {
        hit if hit == wanted => Ok(()),
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

async fn rounds(field: &Arc<Field>, server: Option<&Server>) -> Result<(), String> {
    let begun = Instant::now();
    let mut tokens = vec![0; RESOURCES as usize];
    for round in 0.. {
        let mut plan: Vec<_> =
            ILLS.iter().flat_map(|ill| POINTS.map(|point| (*ill, point))).collect();
        if !field.settings.is_fenced {
            plan.retain(|(ill, _)| matches!(ill, Ill::LeaderFrozen | Ill::LeaderKilled));
        }
        Chance::of(field.settings.seed, &[round]).shuffle(&mut plan);
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
        field.inflict(ill, &leader, chance.within(50..=600)).await?;
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
        if leader.token == token || !field.settings.is_fenced {
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
        self.enough.with_extension(resource.to_string())
    }

    fn spawn(&self, resource: u32, token: u64, point: Option<Point>, is_fatal: bool) -> Leader {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let way = self.way[turn as usize % self.way.len()].clone();
        let errand = Errand {
            way,
            resource,
            token,
            seed: self.settings.seed,
            after: 3,
            point,
            is_fatal,
            enough: self.enough_of(resource),
            patience_ms: PATIENCE_MS,
        };
        Leader::start(&errand, None, &self.dir)
    }

    /// Waits until a leader writes; then those before it are thawed, and find that they are late.
    async fn overtakes(&self, leader: &Leader, before: &mut Vec<Leader>) -> Result<(), String> {
        let limit = if self.settings.is_fenced { AT_DEADLINE } else { UNFENCED };
        let begun = Instant::now();
        while leader.applied() < 2 && leader.at().is_none() && begun.elapsed() < limit {
            if leader.has_ended() {
                break;
            }
            sleep(POLL).await;
        }
        if self.settings.is_fenced && begun.elapsed() >= limit {
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

    async fn inflict(&self, ill: Ill, leader: &Leader, ms: u64) -> Result<(), String> {
        match ill {
            // It has killed itself, or stands still until the next one writes.
            Ill::LeaderKilled | Ill::LeaderFrozen => return Ok(()),
            Ill::PalisadeKilled => {
                let mut front = self.front.lock().await;
                let front = front.as_mut().unwrap();
                // What was sent gets on its way, or not.
                sleep(Duration::from_millis(ms % 30)).await;
                front.palisade().kill();
                leader.thaw();
                front.launch();
                front.ready().await;
            }
            Ill::PalisadeFrozen => {
                let mut front = self.front.lock().await;
                let palisade = front.as_mut().unwrap().palisade();
                palisade.freeze();
                leader.thaw();
                sleep(Duration::from_millis(ms)).await;
                palisade.thaw();
            }
        }
        Ok(())
    }

    async fn note(&self, leader: Leader) {
        let Leader { resource, token, .. } = leader;
        let lines = leader.lines();
        self.stories.lock().await.push(Story { resource, token, lines });
    }
}

async fn verdict(field: &Field, server: &Server) -> Result<(), String> {
    let rows = rows(server).await;
    if rows.len() < 50 {
        return Err(format!("only {} rows: nothing was tried", rows.len()));
    }
    judge(&rows, &field.stories.lock().await)
}

/// What was committed, in its order.
pub async fn rows(server: &Server) -> Vec<Row> {
    let sql = "SELECT resource, clock, token, write, value FROM log ORDER BY resource, clock";
    let row = |row: &String| {
        let parts: Vec<_> = row.split('|').collect();
        let number = |at: usize| parts[at].parse().unwrap();
        Row {
            resource: number(0) as u32,
            clock: number(1),
            token: number(2),
            write: parts[3].to_owned(),
            value: number(4),
        }
    };
    server.ask(sql).await.iter().map(row).collect()
}
