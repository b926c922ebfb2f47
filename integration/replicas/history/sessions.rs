//! Leaders on PostgreSQL and Redis: processes on a machine of their own, each of which connects to
//! another replica every time, and stops or dies where it is told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Settings;
use crate::postgres::history as pg;
use crate::redis::history as redis;
use crate::rig::cluster::{Cluster, Kind, WRITERS, Wish};
use crate::rig::net::Node;
use crate::rig::{postgres::Door as PgDoor, redis::Door};
use crate::trial::Chance;

const RESOURCES: u32 = 3;
const POLL: Duration = Duration::from_millis(10);
/// How long a leader tries to get in: longer than any fault, with all that comes after it.
const PATIENCE_MS: u64 = 60_000;
/// How long a leader may take until it writes, or has ended.
const WRITES_DEADLINE: Duration = Duration::from_secs(75);
/// Leaders that were overtaken and have not ended.
const BEFORE_MAX: usize = 6;

/// Shared by the turns of all resources.
struct Field {
    kind: Kind,
    node: Node,
    seed: u64,
    /// One for each name that a leader may have.
    doors: Vec<Door>,
    addresses: Vec<std::net::SocketAddr>,
    dir: PathBuf,
    turns: AtomicU64,
    stories: Mutex<Stories>,
}

#[derive(Default)]
struct Stories {
    pg: Vec<pg::judge::Story>,
    redis: Vec<redis::judge::Story>,
}

pub struct Sessions {
    field: Arc<Field>,
    turns: JoinSet<Result<(), String>>,
    feeding: JoinSet<()>,
    failed: Option<String>,
}

/// A leader's process.
enum Leader {
    Pg(pg::child::Leader),
    Redis(redis::child::Leader),
}

/// For both: whoever is stale is not let in to read.
pub fn wish(store: Kind) -> Wish {
    let mut edits = vec![("filter = \"info\"", "filter = \"warn\"".to_owned())];
    if store == Kind::Postgres {
        let readers =
            "resource = \"pg/{database}/{name}\"\nread = [\"leader-*\", \"follower\", \"reader\"]";
        edits.push((readers, "resource = \"pg/{database}/{name}\"".to_owned()));
        return Wish { store, edits, ..Wish::default() };
    }
    edits.push(("drain = \"1s\"", "drain = \"300ms\"".to_owned()));
    Wish { store, edits, server: redis::turns::SERVER, ..Wish::default() }
}

/// The tables.
pub async fn set_up(cluster: &mut Cluster) {
    cluster.postgres().session("app").await.simple(pg::SETUP).await.good();
}

impl Sessions {
    /// Leaders begin to take turns.
    pub fn begin(cluster: &mut Cluster, settings: &Settings, stop: &Arc<AtomicBool>) -> Self {
        let mut feeding = JoinSet::new();
        if settings.store == Kind::Redis {
            let socket = cluster.redis_server().socket();
            for resource in 0..RESOURCES {
                let chance = Chance::of(settings.seed, &[u64::MAX]);
                feeding.spawn(redis::turns::feed(socket.clone(), resource, chance));
            }
        }
        let field = Arc::new(Field {
            kind: settings.store,
            node: cluster.net.node(WRITERS),
            seed: settings.seed,
            doors: ["leader-a", "leader-b"].map(|who| cluster.door(who)).to_vec(),
            addresses: cluster.replicas.iter().map(|replica| replica.address).collect(),
            dir: cluster.dir().to_owned(),
            turns: AtomicU64::new(0),
            stories: Mutex::default(),
        });
        let mut turns = JoinSet::new();
        for resource in 0..RESOURCES {
            let (field, stop) = (Arc::clone(&field), Arc::clone(stop));
            turns.spawn(async move { field.take_turns(resource, &stop).await });
        }
        Self { field, turns, feeding, failed: None }
    }

    pub fn so_far(&mut self) -> Result<(), String> {
        while let Some(ended) = self.turns.try_join_next() {
            if let Err(why) = ended.unwrap_or_else(|error| Err(format!("{error:?}"))) {
                self.failed.get_or_insert(why);
            }
        }
        self.failed.clone().map_or(Ok(()), Err)
    }

    pub async fn end(&mut self, cluster: &mut Cluster) -> Result<String, String> {
        while let Some(ended) = self.turns.join_next().await {
            if let Err(why) = ended.unwrap_or_else(|error| Err(format!("{error:?}"))) {
                self.failed.get_or_insert(why);
            }
        }
        self.feeding.shutdown().await;
        let stories = self.field.stories.lock().await;
        let judged = match self.field.kind {
            Kind::Postgres => {
                let rows = pg::turns::rows(cluster.postgres()).await;
                let judged = pg::judge::judge(&rows, &stories.pg);
                judged.map(|()| (rows.len(), String::new()))
            }
            _ => {
                let server = cluster.redis_server();
                let journal = redis::turns::journal_of(server, RESOURCES).await?;
                let judged = redis::judge::judge(&journal.events, &stories.redis);
                let count = journal.events.values().map(Vec::len).sum();
                judged.map(|()| (count, redis::turns::told(&stories.redis)))
            }
        };
        // What the store has says more than who did not get in.
        let (count, told) = judged?;
        self.failed.clone().map_or(Ok(()), Err)?;
        let turns = self.field.turns.load(Ordering::Relaxed);
        if count < 50 || turns < 10 {
            return Err(format!("only {count} events by {turns} leaders: nothing was tried"));
        }
        Ok(format!("{turns} leaders, {count} events; {told}"))
    }
}

impl Field {
    /// Leaders in turn, until it is stopped; then until the last has ended.
    async fn take_turns(&self, resource: u32, stop: &AtomicBool) -> Result<(), String> {
        let mut token = 0;
        // Those that have been overtaken and have not ended.
        let mut before: Vec<Leader> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut chance = Chance::of(self.seed, &[u64::from(resource), token]);
            token += chance.within(1..=3);
            let leader = self.spawn(resource, token, &mut chance);
            self.writes(&leader).await?;
            sleep(Duration::from_millis(chance.within(50..=800))).await;
            before.push(leader);
            // Those that stand still go on when others lead, and find that they are late.
            for one in &before[..before.len() - 1] {
                one.thaw();
            }
            self.sort_out(&mut before).await;
            if before.len() > BEFORE_MAX {
                return Err(format!("{} does not end", before[0].name()));
            }
        }
        // One more, so that the last of them is overtaken, too.
        token += 1;
        let last = self.start(resource, token, None, false);
        self.writes(&last).await?;
        before.push(last);
        std::fs::write(self.enough(resource), "").unwrap();
        let deadline = Instant::now() + WRITES_DEADLINE;
        while !before.is_empty() {
            before.iter().for_each(Leader::thaw);
            self.sort_out(&mut before).await;
            if Instant::now() > deadline {
                return Err(format!("{} goes on for ever", before[0].name()));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until a leader writes, stands still or has ended.
    async fn writes(&self, leader: &Leader) -> Result<(), String> {
        let deadline = Instant::now() + WRITES_DEADLINE;
        while leader.applied() < 2 && !leader.is_at() && !leader.has_ended() {
            if Instant::now() > deadline {
                return Err(format!("{} does not get to write", leader.name()));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn sort_out(&self, before: &mut Vec<Leader>) {
        let mut left = Vec::new();
        for leader in before.drain(..) {
            match leader.has_ended() {
                true => self.note(leader).await,
                false => left.push(leader),
            }
        }
        *before = left;
    }

    async fn note(&self, leader: Leader) {
        let mut stories = self.stories.lock().await;
        match leader {
            Leader::Pg(leader) => {
                let lines = leader.lines();
                let (resource, token) = (leader.resource, leader.token);
                stories.pg.push(pg::judge::Story { resource, token, lines });
            }
            Leader::Redis(leader) => {
                let lines = leader.lines();
                let (resource, token) = (leader.resource, leader.token);
                stories.redis.push(redis::judge::Story { resource, token, lines });
            }
        }
    }

    /// A leader; half of them stop somewhere, some for good.
    fn spawn(&self, resource: u32, token: u64, chance: &mut Chance) -> Leader {
        let stops = chance.percent(50).then(|| chance.number());
        self.start(resource, token, stops, chance.percent(40))
    }

    fn start(&self, resource: u32, token: u64, stops: Option<u64>, is_fatal: bool) -> Leader {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let door = self.doors[turn as usize % self.doors.len()].clone();
        let addresses = self.addresses.clone();
        let (seed, after, patience_ms) = (self.seed, 2, PATIENCE_MS);
        let (enough, node, dir): (_, _, &Path) =
            (self.enough(resource), Some(&self.node), &self.dir);
        match self.kind {
            Kind::Postgres => {
                let Door { ca, chain, key } = door;
                let way = pg::errand::Way::Palisade { addresses, door: PgDoor { ca, chain, key } };
                let points = &pg::errand::POINTS;
                let point = stops.map(|number| points[number as usize % points.len()]);
                let errand = pg::errand::Errand {
                    way,
                    resource,
                    token,
                    seed,
                    after,
                    point,
                    is_fatal,
                    enough,
                    patience_ms,
                };
                Leader::Pg(pg::child::Leader::start(&errand, node, dir))
            }
            _ => {
                let way = redis::errand::Way::Palisade { addresses, door };
                let points = &redis::errand::POINTS;
                let point = stops.map(|number| points[number as usize % points.len()]);
                let errand = redis::errand::Errand {
                    way,
                    resource,
                    token,
                    seed,
                    after,
                    point,
                    is_fatal,
                    enough,
                    patience_ms,
                };
                Leader::Redis(redis::child::Leader::start(&errand, node, dir))
            }
        }
    }

    fn enough(&self, resource: u32) -> PathBuf {
        self.dir.join(format!("enough.{resource}"))
    }
}

impl Leader {
    fn name(&self) -> String {
        match self {
            Self::Pg(leader) => leader.name(),
            Self::Redis(leader) => leader.name(),
        }
    }

    fn applied(&self) -> usize {
        match self {
            Self::Pg(leader) => leader.applied(),
            Self::Redis(leader) => leader.applied(),
        }
    }

    fn is_at(&self) -> bool {
        match self {
            Self::Pg(leader) => leader.at().is_some(),
            Self::Redis(leader) => leader.at().is_some(),
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            Self::Pg(leader) => leader.has_ended(),
            Self::Redis(leader) => leader.has_ended(),
        }
    }

    fn thaw(&self) {
        match self {
            Self::Pg(leader) => leader.thaw(),
            Self::Redis(leader) => leader.thaw(),
        }
    }
}
