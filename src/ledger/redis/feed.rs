//! The feed: the log of the ledger, read as it grows, and the sessions that have expired.

use std::time::Duration;

use redis::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::link::{Link, milliseconds};
use super::links::{Judged, Links, Purpose};
use super::script::{END, SESSIONS, bytes, number, parts, text};
use crate::fence::{Resource, SessionId};
use crate::ledger::Unavailable;
use crate::ledger::replicated::store::{Event, Session, Stored};

/// How long one asking for changes waits for some.
pub(super) const BLOCK: Duration = Duration::from_secs(1);

/// Changes that are read at once.
const BATCH_MAX: usize = 512;

/// How often sessions are looked at: Redis tells nobody that one has expired.
const SESSIONS_INTERVAL: Duration = Duration::from_millis(500);

/// How often the server is judged again while all goes well.
const VOUCH_INTERVAL: Duration = Duration::from_secs(10);

/// See [`crate::ledger::replicated::store::Store::follow`].
pub(super) async fn follow(
    links: &Links,
    from: Option<u64>,
    events: &mpsc::Sender<Event>,
) -> Unavailable {
    let opening = tokio::time::timeout(links.settings.timeout, links.open(Purpose::Look)).await;
    let judged = match opening {
        Ok(Ok(judged)) => judged,
        Ok(Err(why)) => return Unavailable(why),
        Err(_) => return Unavailable("Redis takes no connection in time".to_owned()),
    };
    let Judged { link, generation, has_missed } = judged;
    let at = match from {
        None => begin(links, generation, false, events).await,
        // What comes now begins anew: the log is of another history, or was cut.
        Some(from) if has_missed || generation < from => {
            begin(links, generation, true, events).await
        }
        Some(from) => Ok(from),
    };
    let at = match at {
        Ok(at) => at,
        Err(why) => return why,
    };
    tokio::select! {
        why = read(links, &link, at, events) => why,
        why = look(links, &link, generation) => why,
    }
}

async fn begin(
    links: &Links,
    at: u64,
    has_missed: bool,
    events: &mpsc::Sender<Event>,
) -> Result<u64, Unavailable> {
    links.standing.forget_told();
    if has_missed {
        tell(events, Event::Missed).await?;
    }
    tell(events, Event::Position(at)).await?;
    Ok(at)
}

async fn tell(events: &mpsc::Sender<Event>, event: Event) -> Result<(), Unavailable> {
    events.send(event).await.map_err(|_| Unavailable("nobody listens any more".to_owned()))
}

/// Reads on from a position.
async fn read(links: &Links, link: &Link, from: u64, events: &mpsc::Sender<Event>) -> Unavailable {
    let mut at = from;
    loop {
        if !links.is_usable(link) {
            return Unavailable(format!("{} is not the primary any more, or is gone", link.at));
        }
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(BATCH_MAX).arg("BLOCK").arg(milliseconds(BLOCK));
        command.arg("STREAMS").arg(links.keys.log()).arg(format!("{at}-0"));
        let limit = BLOCK + links.settings.timeout;
        let answer = match tokio::time::timeout(limit, link.ask(&command)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Unavailable(format!("{}: {why}", link.at)),
            Err(_) => return Unavailable(format!("{} does not answer in time", link.at)),
        };
        // One stream, with its name: or nothing.
        let stream = parts(&answer).first().map(parts).and_then(|stream| stream.get(1));
        let entries = stream.map(parts).unwrap_or_default();
        if let Err(why) = pass_on(links, entries, &mut at, events).await {
            return why;
        }
    }
}

async fn pass_on(
    links: &Links,
    entries: &[Value],
    at: &mut u64,
    events: &mpsc::Sender<Event>,
) -> Result<(), Unavailable> {
    let mut last = None;
    for entry in entries {
        let Some((generation, fields)) = entry_of(entry) else {
            return Err(Unavailable("its log has an entry that is none of Palisade's".to_owned()));
        };
        // They are numbered without a gap: what is between was trimmed.
        if generation != *at + 1 {
            tell(events, Event::Missed).await?;
        }
        *at = generation;
        if let Some(event) = event(generation, fields) {
            tell(events, event).await?;
        }
        last = fields.get(1).and_then(text).map(str::to_owned);
    }
    if let Some(tag) = last {
        links.standing.tell(*at, tag);
        tell(events, Event::Position(*at)).await?;
    }
    Ok(())
}

/// The number of a change, and its fields: `by TAG KIND NAME ...`.
fn entry_of(entry: &Value) -> Option<(u64, &[Value])> {
    let [id, fields] = parts(entry) else { return None };
    let generation = text(id)?.strip_suffix("-0")?.parse().ok()?;
    Some((generation, parts(fields)))
}

fn event(generation: u64, fields: &[Value]) -> Option<Event> {
    let (kind, name) = (text(fields.get(2)?)?, text(fields.get(3)?)?);
    Some(match kind {
        "row" => {
            let text = bytes(fields.get(5)?)?.to_vec();
            let stored = Stored { text, version: generation };
            Event::Row { resource: Resource::new(name).ok()?, stored }
        }
        "session" => {
            let about = String::from_utf8_lossy(bytes(fields.get(5)?)?).into_owned();
            Event::Session(Session { id: name.parse().ok()?, about })
        }
        "gone" => Event::Gone(name.parse().ok()?),
        // Of a later version: nothing that this one would do anything about.
        _ => return None,
    })
}

/// Looks after the sessions, and after the server.
async fn look(links: &Links, link: &Link, from: u64) -> Unavailable {
    let mut generation = from;
    let mut ticks = interval(SESSIONS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut vouched = Instant::now();
    loop {
        ticks.tick().await;
        match links.ask(&SESSIONS, &[links.keys.sessions()], &[]).await {
            Ok(answer) if answer.generation < generation => {
                return Unavailable(format!("{} has less than it had", link.at));
            }
            Ok(answer) => {
                generation = answer.generation;
                if !expired(&answer.rest).is_empty()
                    && let Err(why) = end_expired(links).await
                {
                    tracing::debug!(%why, "sessions that have expired cannot be ended");
                }
            }
            // Perhaps what the feed is read from is the primary no more.
            Err(why) => return why,
        }
        if vouched.elapsed() >= VOUCH_INTERVAL {
            vouched = Instant::now();
            if let Err(why) = links.recheck().await {
                tracing::warn!(%why, "the ledger's server cannot be judged again");
            }
        }
    }
}

/// Tells everybody, in the log, which sessions have expired. That they have must be read as what
/// was acknowledged is: on a primary that was cut off, all expire that go on elsewhere.
async fn end_expired(links: &Links) -> Result<(), Unavailable> {
    let answer = links.read(&SESSIONS, &[links.keys.sessions()]).await?;
    for session in expired(&answer.rest) {
        let args = [session.to_string().into_bytes()];
        let ended = links.change(&END, &[links.keys.session(&session)], &args).await;
        ended.map_err(|fault| Unavailable(fault.why().to_owned()))?;
    }
    Ok(())
}

/// The sessions that have expired: those of which nothing but the name is left.
fn expired(rest: &[Value]) -> Vec<SessionId> {
    let session = |entry: &Value| match parts(entry) {
        [id] => text(id)?.parse().ok(),
        _ => None,
    };
    rest.iter().filter_map(session).collect()
}

/// The sessions that are alive, as the script tells them.
pub(super) fn sessions(rest: &[Value]) -> Vec<Session> {
    let session = |entry: &Value| {
        let [id, about] = parts(entry) else { return None };
        let about = String::from_utf8_lossy(bytes(about)?).into_owned();
        Some(Session { id: text(id)?.parse().ok()?, about })
    };
    rest.iter().filter_map(session).collect()
}

/// A version and a text, both empty where there is no row.
pub(super) fn stored(row: &[Value]) -> Option<Stored> {
    let [version, text] = row else { return None };
    let version = number(version)?;
    Some(Stored { text: bytes(text)?.to_vec(), version })
}
