//! Leaders in turn on one resource, each with writers that do not know when their time is over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::log::Log;
use super::plan::{self, Opener, Planned, Reign};
use crate::history::Told;
use crate::rig::{Client, Reply, Rig, Version};

/// Who leads.
const LEADERS: [&str; 3] = ["leader-a", "leader-a2", "leader-b"];
/// A writer does not believe the first one.
const REFUSALS: usize = 2;
/// Between two tries of one that was refused for now.
const RETRY: Duration = Duration::from_millis(40);

/// What leaders need to do their work.
#[derive(Clone, Debug)]
pub struct Crew {
    clients: Arc<BTreeMap<&'static str, Client>>,
    /// Whether there is a seal to ask for.
    can_seal: bool,
    pub log: Arc<Log>,
}

/// One write.
#[derive(Debug)]
pub struct Write<'a> {
    pub resource: &'a str,
    pub token: u64,
    pub name: String,
    pub planned: Planned,
}

impl Crew {
    /// A crew that goes through Palisade.
    pub fn new(rig: &Rig, log: &Arc<Log>) -> Self {
        let clients = LEADERS.map(|who| (who, rig.client(who)));
        Self { clients: Arc::new(clients.into()), can_seal: true, log: Arc::clone(log) }
    }

    /// A crew of which each request goes through another one of several Palisades.
    pub fn balanced(clients: impl Fn(&str) -> Client, log: &Arc<Log>) -> Self {
        let clients = LEADERS.map(|who| (who, clients(who)));
        Self { clients: Arc::new(clients.into()), can_seal: true, log: Arc::clone(log) }
    }

    /// A crew that goes through something that only knows tokens.
    pub fn plain(address: SocketAddr, log: &Arc<Log>) -> Self {
        let clients = LEADERS.map(|who| (who, Client::plain(address)));
        Self { clients: Arc::new(clients.into()), can_seal: false, log: Arc::clone(log) }
    }

    /// A client of one of the leaders.
    pub fn client(&self, who: &str, token: u64) -> Client {
        self.clients[who].clone().token(token)
    }

    /// Asks for a seal until there is one, or until it is late, and notes it.
    pub async fn seal(
        &self,
        client: &Client,
        resource: &str,
        token: u64,
        until: Instant,
    ) -> Option<Reply> {
        let path = format!("/.palisade/seal?path=/{resource}/state");
        let reply = self.insist(client, Method::POST, &path, until).await?;
        self.log.opened(resource, token, "seal");
        Some(reply)
    }

    /// Reads with a token until there is an answer.
    async fn read(
        &self,
        client: &Client,
        resource: &str,
        token: u64,
        until: Instant,
    ) -> Option<Reply> {
        let path = format!("/{resource}/object-0");
        let reply = self.insist(client, Method::GET, &path, until).await?;
        self.log.opened(resource, token, "read");
        Some(reply)
    }

    /// Tries again what may be tried again. A new leader is never told that it is stale.
    async fn insist(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        until: Instant,
    ) -> Option<Reply> {
        loop {
            match client.try_send(method.clone(), path, "").await {
                Ok(reply) if reply.status.is_success() || reply.status == 404 => {
                    return Some(reply);
                }
                Ok(reply) if !reply.status.is_server_error() => {
                    let (status, text) = (reply.status, reply.text());
                    let what = format!("the newest leader was told {status} on {path}: {text}");
                    self.log.complain(what);
                    return None;
                }
                Ok(_) | Err(_) => {}
            }
            if Instant::now() >= until {
                return None;
            }
            sleep(RETRY).await;
        }
    }

    /// Writes once, and notes what was told.
    pub async fn write(&self, client: &Client, write: Write<'_>) -> Told {
        let Write { resource, token, name, planned } = write;
        if !self.log.begin(&name) {
            return Told::NotApplied;
        }
        let client = client
            .clone()
            .with("x-amz-meta-token", token)
            .with("x-amz-meta-write", &name)
            .with("x-amz-meta-delay-ms", planned.delay_ms);
        let path = format!("/{resource}/object-{}", planned.object);
        let mut upload = client.begin(Method::PUT, &path, name.len());
        let (first, rest) = name.split_at(name.len() / 2);
        upload.send(first.to_owned()).await;
        if planned.stall_ms > 0 {
            sleep(Duration::from_millis(planned.stall_ms)).await;
        }
        upload.send(rest.to_owned()).await;
        let reply = upload.finish().await;
        self.log.told(&name, &reply)
    }
}

/// Leaders in turn, until it is stopped; then until the last writer has ended.
pub async fn take_turns(crew: Crew, seed: u64, round: u64, resource: u64, stop: Arc<AtomicBool>) {
    let name = format!("fenced/r{resource}");
    let mut writers = JoinSet::new();
    for index in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let plan = plan::reign(seed, round, resource, index);
        reign(&crew, &name, round, plan, &mut writers).await;
        while writers.try_join_next().is_some() {}
    }
    while writers.join_next().await.is_some() {}
}

async fn reign(crew: &Crew, resource: &str, round: u64, plan: Reign, writers: &mut JoinSet<()>) {
    let until = Instant::now() + Duration::from_millis(plan.ms);
    let token = crew.log.token(resource, plan.gap);
    let client = crew.client(plan.who, token).speaking(match crew.can_seal {
        true => plan.version,
        false => Version::Http1,
    });
    let name = format!("{round}.{resource}.{token}");
    let has_begun = match plan.opener {
        Opener::Seal if crew.can_seal => crew.seal(&client, resource, token, until).await.is_some(),
        Opener::Seal | Opener::Read => crew.read(&client, resource, token, until).await.is_some(),
        Opener::Write => {
            let planned = Planned { object: 0, pause_ms: 0, delay_ms: 0, stall_ms: 0 };
            let write = Write { resource, token, name: format!("{name}.first"), planned };
            let told = crew.write(&client, write).await;
            if told == Told::Applied {
                crew.log.opened(resource, token, "first write");
            }
            true
        }
    };
    if !has_begun {
        // The next candidate tries, with the next token.
        return sleep_until(until).await;
    }
    for (writer, writes) in plan.writers.into_iter().enumerate() {
        let (crew, client) = (crew.clone(), client.clone());
        let (resource, name) = (resource.to_owned(), format!("{name}.{writer}"));
        writers.spawn(async move {
            let mut refusals = 0;
            for (index, planned) in writes.into_iter().enumerate() {
                sleep(Duration::from_millis(planned.pause_ms)).await;
                let name = format!("{name}.{index}");
                let write = Write { resource: &resource, token, name, planned };
                refusals += usize::from(crew.write(&client, write).await == Told::NotApplied);
                if refusals == REFUSALS {
                    break;
                }
            }
        });
    }
    // The next leader does not wait until they are done; they go on into its reign.
    sleep_until(until).await;
}
