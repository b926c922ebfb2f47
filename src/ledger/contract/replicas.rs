//! What a ledger that several replicas share has to do, whatever store it is kept in.
//!
//! A store brings itself as a [`Ground`], and runs [`all`]: first what every ledger has to do, then
//! what several processes do to each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{End, Subject, mark, resource};
use crate::fence::{Granted, RaiseOutcome, Record, Resource, SessionId, Token};
use crate::ledger::replicated::store::Store;
use crate::ledger::replicated::{Replicated, Settings};
use crate::ledger::{Ledger, News, Pending};

mod store;

/// How long anything may take that is to happen by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// An empty store, to which several processes have ways of their own.
pub trait Ground: Send + Sync {
    /// A way to it for one more process.
    fn store(&self) -> Arc<dyn Store>;

    /// The shortest time to live of a session that it can tell from others.
    fn ttl_min(&self) -> Duration;
}

/// Runs every case on ground of its own.
pub async fn all<G: Ground + 'static>(mut make: impl AsyncFnMut() -> G) {
    super::all(async || Process::start(Arc::new(make().await)).await).await;
    store::swaps_are_compared(&make().await).await;
    store::the_feed_goes_on_where_it_broke_off(&make().await).await;
    a_takeover_from_one_to_the_other(&make().await).await;
    only_the_dead_are_buried(&make().await).await;
    a_clean_end_leaves_nothing(&make().await).await;
    a_session_that_is_ended_is_followed_by_another(&make().await).await;
    racing_replicas_leave_the_largest(&make().await).await;
    a_frozen_process_notices(&make().await).await;
    replicas_are_told(&make().await).await;
}

/// The bounds of a session that lives as long as a test.
pub fn settings(replica: &str) -> Settings {
    lasting(replica, Duration::from_secs(60))
}

fn lasting(replica: &str, ttl: Duration) -> Settings {
    Settings {
        replica: replica.into(),
        ttl,
        margin: ttl / 10,
        drain: ttl / 10,
        timeout: Duration::from_secs(5),
    }
}

/// A process on the ground, for the cases of all ledgers.
struct Process {
    ground: Arc<dyn Ground>,
    ledger: Option<Arc<Replicated>>,
}

impl Process {
    async fn start(ground: Arc<dyn Ground>) -> Self {
        let ledger = Some(open(&*ground, settings("r1")).await);
        Self { ground, ledger }
    }
}

impl Subject for Process {
    fn ledger(&self) -> &dyn Ledger {
        &**self.ledger.as_ref().unwrap()
    }

    fn restart(&mut self, end: End) -> Pending<'_, ()> {
        Box::pin(async move {
            let ledger = self.ledger.take().unwrap();
            if end == End::Close {
                ledger.close().await.unwrap();
            }
            drop(ledger);
            self.ledger = Some(open(&*self.ground, settings("r1")).await);
        })
    }

    fn is_shared(&self) -> bool {
        true
    }
}

pub async fn open(ground: &dyn Ground, settings: Settings) -> Arc<Replicated> {
    Replicated::open(ground.store(), settings).await.unwrap()
}

/// Asks again and again until the answer is yes.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The next piece of news that is wanted.
pub async fn told<T>(
    news: &mut mpsc::Receiver<News>,
    what: &str,
    mut is_wanted: impl FnMut(News) -> Option<T>,
) -> T {
    let wait = async {
        loop {
            let news = news.recv().await.expect("there is more news");
            if let Some(wanted) = is_wanted(news) {
                return wanted;
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("{what} was not told"))
}

/// The news of a row at that mark.
fn row_at(counter: u64) -> impl FnMut(News) -> Option<(Resource, Record, bool)> {
    move |news| match news {
        News::Row { resource, record, is_owing, .. }
            if record.mark.token == Token::new(0, counter) =>
        {
            Some((resource, record, is_owing))
        }
        _ => None,
    }
}

fn is_suspended(news: News) -> Option<()> {
    matches!(news, News::Suspended).then_some(())
}

fn is_hang_up(news: News) -> Option<()> {
    matches!(news, News::HangUp(_)).then_some(())
}

fn is_resumed(news: News) -> Option<()> {
    matches!(news, News::Resumed).then_some(())
}

async fn behind(ledger: &Replicated, name: &Resource, below: u64) -> Vec<(SessionId, bool)> {
    let behind = ledger.behind(name, Token::new(0, below), true).await.unwrap();
    behind.into_iter().map(|behind| (behind.session, behind.gone.is_some())).collect()
}

fn done(counter: u64, grant: u64, behind: bool) -> RaiseOutcome {
    let grant = Token::new(0, grant);
    RaiseOutcome::Done(Record { mark: mark(counter, "leader"), grant, behind })
}

async fn a_takeover_from_one_to_the_other(ground: &dyn Ground) {
    let (one, two) = (open(ground, settings("r1")).await, open(ground, settings("r2")).await);
    let (mut news_one, mut news_two) = (one.news().unwrap(), two.news().unwrap());
    assert!(one.news().is_none(), "taken");
    let name = resource("a");
    assert_eq!(one.raise(&name, &mark(5, "leader"), true).await, done(5, 5, false));
    let found = two.load(&name).await.unwrap();
    assert_eq!(found, Record { mark: mark(5, "leader"), grant: Token::ZERO, behind: false });
    assert_eq!(two.raise(&name, &mark(6, "leader"), true).await, done(6, 6, true));
    let session = one.session().unwrap();
    assert_eq!(behind(&two, &name, 6).await, [(session, false)]);
    assert_eq!(behind(&one, &name, 6).await, []);
    // The grant of the one below the mark is its to give up, and no grant is set there any more.
    assert_eq!(one.grant(&name, Token::new(0, 5)).await, Granted::Moved);
    let (told_name, record, is_owing) = told(&mut news_one, "the higher mark", row_at(6)).await;
    assert_eq!(told_name, name);
    assert_eq!((record.grant, is_owing), (Token::new(0, 5), true));
    assert!(one.release(&name).await);
    told(&mut news_two, "that nobody is behind", |news| {
        row_at(6)(news).filter(|(_, record, _)| !record.behind)
    })
    .await;
    assert_eq!(behind(&two, &name, 6).await, []);
    assert_eq!(one.raise(&name, &mark(6, "other"), true).await, done(6, 0, false));
    assert_eq!(one.grant(&name, Token::new(0, 6)).await, Granted::Done { behind: false });
    assert_eq!(two.raise(&name, &mark(7, "leader"), false).await, done(7, 6, true));
    // Its own grant is below the mark, too, until it has quiesced.
    let told_two = told(&mut news_two, "its own mark", row_at(7)).await;
    assert!(told_two.2);
    assert_eq!(two.grant(&name, Token::new(0, 7)).await, Granted::Done { behind: true });
}

async fn only_the_dead_are_buried(ground: &dyn Ground) {
    let two = open(ground, settings("r2")).await;
    let one = open(ground, lasting("r1", ground.ttl_min())).await;
    let name = resource("a");
    let raised = one.raise(&name, &mark(5, "leader"), true).await;
    assert_eq!(raised, done(5, 5, false));
    let dead = one.session().unwrap();
    drop(one);
    assert_eq!(two.raise(&name, &mark(6, "leader"), true).await, done(6, 6, true));
    // Alive for the store as long as it may be for the process.
    if behind(&two, &name, 6).await == [(dead.clone(), false)] {
        let was_buried = two.bury(&name, &dead).await;
        let is_gone = behind(&two, &name, 6).await != [(dead.clone(), false)];
        assert!(!was_buried || is_gone, "a session that is alive was buried");
    }
    let own = two.session().unwrap();
    assert!(!two.bury(&name, &own).await, "its own");
    until("the end of a dead process's session", async || {
        behind(&two, &name, 6).await == [(dead.clone(), true)]
    })
    .await;
    let since = two.behind(&name, Token::new(0, 6), true).await.unwrap()[0].gone;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(
        two.behind(&name, Token::new(0, 6), true).await.unwrap()[0].gone,
        since,
        "the first time"
    );
    for _ in 0..2 {
        assert!(two.bury(&name, &dead).await);
    }
    assert_eq!(behind(&two, &name, 6).await, []);
    let found = two.load(&name).await.unwrap();
    assert_eq!((found.grant, found.behind), (Token::new(0, 6), false));
}

async fn a_clean_end_leaves_nothing(ground: &dyn Ground) {
    let (one, two) = (open(ground, settings("r1")).await, open(ground, settings("r2")).await);
    let names: Vec<_> = (0..60).map(|i| resource(&format!("db/{i}"))).collect();
    let (five, six) = (mark(5, "leader"), mark(6, "leader"));
    let raises = names.iter().map(|name| one.raise(name, &five, true));
    for outcome in futures_util::future::join_all(raises).await {
        assert_eq!(outcome, done(5, 5, false));
    }
    let session = one.session().unwrap();
    one.close().await.unwrap();
    let alive = two.replicas().await.unwrap();
    assert!(alive.iter().all(|replica| replica.session != session.to_string()), "{alive:?}");
    let raises = names.iter().map(|name| two.raise(name, &six, true));
    for outcome in futures_util::future::join_all(raises).await {
        assert_eq!(outcome, done(6, 6, false));
    }
    assert!(!one.lease().admits() && two.lease().admits());
}

async fn a_session_that_is_ended_is_followed_by_another(ground: &dyn Ground) {
    let (one, two) = (open(ground, settings("r1")).await, open(ground, settings("r2")).await);
    let mut news = one.news().unwrap();
    let (a, b) = (resource("a"), resource("b"));
    for name in [&a, &b] {
        assert_eq!(one.raise(name, &mark(5, "leader"), true).await, done(5, 5, false));
    }
    let before = one.session().unwrap();
    ground.store().end(&before).await.unwrap();
    // The first change that is refused tells it.
    assert_eq!(one.raise(&a, &mark(6, "leader"), true).await, RaiseOutcome::Failed);
    told(&mut news, "the end of the session", is_suspended).await;
    told(&mut news, "the end of its connections", is_hang_up).await;
    told(&mut news, "the new session", is_resumed).await;
    let after = one.session().unwrap();
    assert!(after.replica() == "r1" && after.number() > before.number(), "{after}");
    until("the new lease", async || one.lease().admits() && one.health().is_ok()).await;
    // What the session before left is this process's own to give up, and is no other's grant.
    let found = one.load(&a).await.unwrap();
    assert_eq!(found, Record { mark: mark(5, "leader"), grant: Token::ZERO, behind: false });
    assert_eq!(one.grant(&a, Token::new(0, 5)).await, Granted::Done { behind: false });
    assert_eq!(two.raise(&a, &mark(6, "leader"), true).await, done(6, 6, true));
    assert_eq!(behind(&two, &a, 6).await, [(after, false)]);
    assert_eq!(two.raise(&b, &mark(6, "leader"), true).await, done(6, 6, true));
    assert_eq!(behind(&two, &b, 6).await, [(before.clone(), true)]);
    assert!(!one.bury(&b, &before).await, "what it had on its way is not known to have settled");
    for name in [&a, &b] {
        assert!(one.release(name).await);
        assert_eq!(behind(&two, name, 6).await, []);
    }
}

async fn racing_replicas_leave_the_largest(ground: &dyn Ground) {
    let (one, two) = (open(ground, settings("r1")).await, open(ground, settings("r2")).await);
    let names: Vec<_> = (0..4).map(|i| resource(&format!("db/{i}"))).collect();
    let climb = async |ledger: &Replicated, mine: u64| {
        for step in 0..10 {
            for name in &names {
                let to = mark(2 * step + mine, &format!("r{mine}"));
                let RaiseOutcome::Done(found) = ledger.raise(name, &to, true).await else {
                    panic!("{to:?} was not raised")
                };
                assert!(found.mark.token >= to.token);
                assert!(found.mark.token > to.token || found.mark.holder == to.holder);
            }
        }
    };
    tokio::join!(climb(&one, 1), climb(&two, 2));
    for name in &names {
        let (by_one, by_two) = (one.entry(name).await.unwrap(), two.entry(name).await.unwrap());
        let entry = by_one.unwrap();
        assert_eq!(entry.record.mark, mark(20, "r2"));
        assert_eq!(entry.history, by_two.unwrap().history);
        assert!(entry.history.is_sorted_by_key(|raised| raised.token));
        assert!(entry.record.behind || entry.record.grant < Token::new(0, 20));
    }
}

/// The test's own thread stands still: to the ledger it is as if the process were stopped.
async fn a_frozen_process_notices(ground: &dyn Ground) {
    let ttl = ground.ttl_min();
    let one = open(ground, lasting("r1", ttl)).await;
    let mut news = one.news().unwrap();
    let before = one.session().unwrap();
    assert!(one.lease().admits());
    std::thread::sleep(ttl + ttl / 5);
    // At once, and not when somebody has noticed.
    assert!(!one.lease().admits());
    assert!(one.health().is_err());
    told(&mut news, "the end of the session", is_suspended).await;
    told(&mut news, "the end of its connections", is_hang_up).await;
    told(&mut news, "the new session", is_resumed).await;
    assert_ne!(one.session().unwrap(), before);
    until("the new lease", async || one.health().is_ok()).await;
}

async fn replicas_are_told(ground: &dyn Ground) {
    // Short sessions say something often.
    let ttl = ground.ttl_min() * 3;
    let one = open(ground, lasting("r1", ttl)).await;
    let two = open(ground, lasting("r2", ttl)).await;
    one.raise(&resource("a"), &mark(1, "leader"), true).await;
    until("the number of grants", async || {
        let replicas = two.replicas().await.unwrap();
        let names: Vec<_> = replicas.iter().map(|replica| replica.session.as_str()).collect();
        let (first, second) = (one.session().unwrap(), two.session().unwrap());
        assert_eq!(names, [first.to_string(), second.to_string()]);
        assert!(!replicas[0].is_this && replicas[1].is_this);
        assert_eq!(replicas[0].version, env!("CARGO_PKG_VERSION"));
        assert_eq!(replicas[0].state, "serving");
        replicas[0].grants == 1 && replicas[1].grants == 0
    })
    .await;
}
