//! Ending what a dead replica has left on one server.
//!
//! The name of each session has the session with the ledger in it that its Palisade had when it
//! began to log in. All that bear the dead one's number or a smaller one of that replica are listed
//! once, and ended until the server lists none of them. After that nothing can take effect any more
//! of what was sent under the dead session:
//!
//! - A statement is sent under an admission, an admission is had while the session with the ledger
//!   lives, and on a connection that has logged in already. The list is asked for after that
//!   session was over. So whatever a statement was, or is still to be, sent on under it, is in the
//!   list, under that number or, where the connection is older, under a smaller one.
//! - What the server lists no more has rolled back or committed, and holds no lock.
//! - It may be that the replica is not dead but frozen, between its last look at its session and
//!   the write to a socket. When it thaws, that socket leads to a process that is gone. A connection
//!   that it was just opening may come to be a session after the list; but nothing was sent on it,
//!   since it had not been let in, and from then on it is used by a process that looks at its clock
//!   before it sends anything, and finds its session over. So what comes after the list is let be.
//!
//! A client can have changed the name just before. Palisade puts it back as soon as what runs ends,
//! which a dead one does not. So in the roles that only Palisade logs in as, sessions that bear no
//! name are the dead one's or somebody's who is about to put it back: they are waited for, and
//! ended after [`NAMELESS_PATIENCE`].

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::super::wire::Wire;
use super::host::{Keeper, own_roles};
use super::mend::Deed;
use super::orders::Order;
use super::statements::{self, BATCH_MAX, Listed};
use crate::fence::SessionId;

/// How long a session in one of Palisade's own roles may be without a name, while a dead replica's
/// are ended. A statement that takes its own session's name away and then takes longer than this
/// is the one thing of a living replica that is ended with them.
pub const NAMELESS_PATIENCE: Duration = Duration::from_secs(2);

/// A dead session, and what it has left on this server.
pub(super) struct Burial {
    dead: SessionId,
    /// To be ended, by process.
    left: Vec<(u64, Order)>,
    found: usize,
    /// Those that may be its, by process and beginning.
    nameless: HashSet<(u32, i64)>,
    since: Instant,
}

impl Burial {
    fn new(dead: SessionId, listed: &[Listed]) -> Self {
        let (mut left, mut nameless) = (Vec::new(), HashSet::new());
        for session in listed {
            match Whose::of(session, &dead) {
                Whose::Dead => left.push(order(session.pid, session.began_us)),
                Whose::Nobody => nameless.extend(session.began_us.map(|at| (session.pid, at))),
                Whose::Another => {}
            }
        }
        let found = left.len();
        Self { dead, left, found, nameless, since: Instant::now() }
    }

    /// Looks again at those without a name.
    fn look(&mut self, listed: &[Listed]) {
        let is_late = self.since.elapsed() >= NAMELESS_PATIENCE;
        let before = std::mem::take(&mut self.nameless);
        for session in listed {
            let Some(began_us) = session.began_us else { continue };
            if !before.contains(&(session.pid, began_us)) {
                continue;
            }
            match Whose::of(session, &self.dead) {
                Whose::Another => {}
                Whose::Nobody if !is_late => {
                    self.nameless.insert((session.pid, began_us));
                }
                Whose::Dead | Whose::Nobody => {
                    self.left.push(order(session.pid, Some(began_us)));
                    self.found += 1;
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        self.left.is_empty() && self.nameless.is_empty()
    }
}

fn order(pid: u32, began_us: Option<i64>) -> (u64, Order) {
    (u64::from(pid), Order { pid, began_us, server_began_us: None })
}

/// Whose a session is.
enum Whose {
    Another,
    Dead,
    /// It bears nobody's name.
    Nobody,
}

impl Whose {
    fn of(session: &Listed, dead: &SessionId) -> Self {
        let name = session.name.as_deref().unwrap_or_default();
        match statements::owner(name) {
            Some(owner) if owner.replica() == dead.replica() && owner.number() <= dead.number() => {
                Self::Dead
            }
            _ if statements::is_named(name) => Self::Another,
            _ => Self::Nobody,
        }
    }
}

impl Keeper {
    /// Goes on with ending what dead replicas have left; true when nothing of them is left to do.
    /// Each is a matter of its own: one that cannot be ended keeps nobody from the others.
    pub(super) async fn bury(&mut self, wire: &mut Wire) -> Result<bool, String> {
        let mut wanted = self.shared.wanted(self.host);
        self.burials.retain(|burial| wanted.contains(&burial.dead));
        wanted.retain(|dead| self.burials.iter().all(|burial| burial.dead != *dead));
        let is_any_nameless = self.burials.iter().any(|burial| !burial.nameless.is_empty());
        if is_any_nameless || !wanted.is_empty() {
            let Some(listed) = self.list_all(wire).await? else { return Ok(false) };
            self.burials.iter_mut().for_each(|burial| burial.look(&listed));
            self.burials.extend(wanted.into_iter().map(|dead| Burial::new(dead, &listed)));
        }
        for mut burial in std::mem::take(&mut self.burials) {
            let mut remaining = HashSet::new();
            for batch in burial.left.chunks(BATCH_MAX) {
                let still = self.terminate(wire, batch).await?;
                remaining.extend(still.into_iter().map(|(id, _)| id));
            }
            burial.left.retain(|(id, _)| remaining.contains(id));
            match burial.is_done() {
                true => self.shared.end(self.host, &burial.dead, burial.found),
                false => self.burials.push(burial),
            }
        }
        Ok(self.burials.is_empty())
    }

    /// `None` when the server does not let us see them.
    async fn list_all(&mut self, wire: &mut Wire) -> Result<Option<Vec<Listed>>, String> {
        let upstream = self.shared.upstream().clone();
        let text = statements::sessions(&own_roles(&upstream));
        let Some(rows) = self.ask(wire, Deed::List, &text).await? else { return Ok(None) };
        let listed = statements::listed(&rows).ok_or("it does not tell its sessions")?;
        let is_hidden = |session: &Listed| session.name.is_none() || session.began_us.is_none();
        if listed.iter().any(is_hidden) {
            self.is_refused = true;
            self.hidden("the server does not show whose the sessions of other roles are");
            return Ok(None);
        }
        Ok(Some(listed))
    }
}
