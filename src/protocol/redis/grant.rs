//! What a request needs before it goes on: each resource sealed, and each write admitted.

use std::sync::Arc;

use futures_util::FutureExt as _;
use smallvec::SmallVec;

use super::commands::Access;
use super::fences::{Fence, Fences};
use super::judge::{Need, Needs, Place, Verdict};
use super::refusal::{Denial, Problem};
use super::server::{Front, clean, swept};
use super::session::{Flow, Session, Then, Transaction};
use super::upstream::ServerId;
use crate::fence::Refusal;
use crate::gate::{Admission, Bid};
use crate::net::identity::Peer;
use crate::rules::Matched;

impl Session {
    /// What can only be done with a token, where there is none.
    pub(super) fn lacks_token(&self, needs: &Needs) -> Option<Matched> {
        let of_needs = || needs.iter().find(|need| need.needs_token());
        let lacking = self.fences_now().is_none().then(of_needs)??;
        Some(lacking.matched.clone())
    }

    /// The token that a command is under.
    fn fences_now(&self) -> Option<&Fences> {
        match &self.transaction {
            Some(Transaction { token: Some(token), .. }) => Some(token),
            _ => self.token.as_ref(),
        }
    }

    /// Whether these are granted, as far as that can be told at once.
    pub(super) fn granted(&mut self, needs: &Needs) -> Granted {
        let Some(fences) = self.fences_now() else {
            return self.lacks_token(needs).map_or(Granted::Yes, Granted::No);
        };
        let mut missing = SmallVec::<[&Fence; 2]>::new();
        for need in needs {
            let resource = &need.matched.resource;
            // What is admitted under this token is sealed with it, too.
            if self.hold.is_admitted(resource, fences.token) {
                continue;
            }
            let Some(fence) = fences.of(resource) else { return Granted::Later };
            if need.access == Access::Write {
                missing.push(fence);
            }
        }
        // Mostly nobody else wants it, and the gate says yes at once.
        let mut admissions = SmallVec::<[Admission; 2]>::new();
        for fence in missing {
            match self.front.gate.admit(&fence.bid).now_or_never() {
                Some(Ok(admission)) if admission.commit().is_ok() => admissions.push(admission),
                _ => {
                    // Nothing was sent under these.
                    admissions.iter().for_each(Admission::settle);
                    return Granted::Later;
                }
            }
        }
        admissions.into_iter().for_each(|admission| self.hold.admit(admission));
        Granted::Yes
    }

    /// Has what the request at the front needs, and lets it go on; or refuses it.
    pub(super) async fn grant(&mut self, mut needs: Needs, then: Then) -> Flow {
        let written = needs.clone();
        // Whoever waits for several does so in one order, or two could wait for each other.
        needs.sort_unstable_by(|a, b| a.matched.resource.as_str().cmp(b.matched.resource.as_str()));
        if !self.has_room(needs.len()) {
            return Flow::Go;
        }
        for need in &needs {
            let at_once = self.obtain(need).now_or_never();
            let obtained = match at_once {
                Some(obtained) => obtained,
                // Nobody who waits holds anything that another waits for.
                None if !self.pending.is_empty() => {
                    self.wants_quiet = true;
                    return Flow::Go;
                }
                None => self.obtain(need).await,
            };
            if let Err(denial) = obtained {
                if self.pending.is_empty() {
                    // Nothing was sent under what it has obtained.
                    self.hold.settle();
                }
                let problem = self.refused(denial, need);
                self.refuse_with(&problem);
                return Flow::Go;
            }
        }
        // What needs more than to be forwarded is looked at again, and found granted.
        if let Then::Forward { is_blocking } = then {
            self.forward_granted(&written, is_blocking);
        }
        Flow::Go
    }

    /// Whether there is room for so many more resources. What was used before makes it, but not
    /// while something under it is not answered yet.
    fn has_room(&mut self, more: usize) -> bool {
        let resources_max = self.front.listener.limits.resources_max;
        let is_quiet = self.pending.is_empty();
        let Some(fences) = self.fences_mut() else { return true };
        if fences.len() + more <= resources_max {
            return true;
        }
        if is_quiet {
            fences.forget();
            self.is_watch_old = true;
        } else {
            self.wants_quiet = true;
        }
        is_quiet
    }

    /// The token that a command is under.
    fn fences_mut(&mut self) -> Option<&mut Fences> {
        match &mut self.transaction {
            Some(Transaction { token: Some(token), .. }) => Some(token),
            _ => self.token.as_mut(),
        }
    }

    /// One resource of it.
    async fn obtain(&mut self, need: &Need) -> Result<(), Denial> {
        let fences = match &mut self.transaction {
            Some(Transaction { token: Some(token), .. }) => Some(token),
            _ => self.token.as_mut(),
        };
        // Without one nothing is asked for that needs it.
        let Some(fences) = fences else { return Ok(()) };
        let resource = &need.matched.resource;
        if fences.of(resource).is_none() {
            let bid = fences.bid(&need.matched, &self.peer);
            let fence = sealed(&self.front, &self.hold.server, bid).await?;
            self.unwatched.push(Arc::clone(&fence.watch));
            fences.sealed(fence);
        }
        if need.access == Access::Read || self.hold.is_admitted(resource, fences.token) {
            return Ok(());
        }
        let Some(fence) = fences.of(resource) else { return Ok(()) };
        let admission = admitted(&self.front, &fence.bid).await?;
        self.hold.admit(admission);
        Ok(())
    }

    fn refused(&self, denial: Denial, need: &Need) -> Problem {
        let command = self.arg(0).map(|name| super::judge::shown(name).to_ascii_uppercase());
        let of_transaction = self.transaction.as_ref().and_then(|open| open.token.as_ref());
        let token = of_transaction.or(self.token.as_ref()).map(|fences| fences.token);
        Problem {
            resource: Some(need.matched.resource.clone()),
            rule: Some(need.matched.rule.name.clone()),
            token,
            command,
            ..self.problem(denial)
        }
    }

    /// A command of a module: the server says which keys it has.
    pub(super) async fn ask_for_keys(&mut self, access: Access) -> Flow {
        let keys = match self.request.len() {
            Some(_) => {
                let bytes = self.from_client.open();
                let args: Vec<&[u8]> = (0..self.request.count())
                    .filter_map(|at| self.request.arg(bytes, at))
                    .collect();
                self.front.control.keys(&args).await.ok()
            }
            None => None,
        };
        let name = self.arg(0).map(super::judge::shown).unwrap_or_default();
        let mut place = Place {
            commands: &self.commands,
            rules: &self.front.listener.rules,
            identity: &self.peer.identity.name,
            database: self.database,
            sole: self.sole.as_ref(),
            rights: &mut self.rights,
        };
        let verdict = match keys {
            Some(keys) => place.told(&name, &keys, access),
            None => place.unknown(&name),
        };
        match verdict {
            Verdict::Forward { needs, is_blocking } if self.lacks_token(&needs).is_none() => {
                self.grant(needs, Then::Forward { is_blocking }).await
            }
            verdict => {
                self.act_on(verdict);
                Flow::Go
            }
        }
    }
}

/// Whether something is granted.
pub(super) enum Granted {
    Yes,
    /// It needs a token, and there is none.
    No(Matched),
    /// The gate has to be asked.
    Later,
}

/// Seals, and watches the resource from then on: for a connection to that server.
pub(super) async fn sealed(front: &Front, server: &ServerId, bid: Bid) -> Result<Fence, Denial> {
    // What a process before this one left has to be gone before anything is raised.
    swept(front, bid.wait).await?;
    front.gate.seal(&bid).await?;
    // Nor may anything of a dead replica's be left where it is used, which the seal has asked of
    // the server that was the primary then.
    clean(front, server, bid.wait).await?;
    // Nor does what this very leader has sent before, on a connection that it has lost, land any
    // more once it is answered.
    if !front.orphans.gone(&bid.resource, bid.wait).await {
        return Err(Refusal::Unsettled.into());
    }
    let watch = Arc::new(front.gate.watch(&bid)?);
    Ok(Fence { bid, watch })
}

/// Admits a write, past its commit point.
async fn admitted(front: &Front, bid: &Bid) -> Result<Admission, Denial> {
    let admission = front.gate.admit(bid).await?;
    match admission.commit() {
        Ok(()) => Ok(admission),
        Err(_) => Err(Denial::over(admission.why())),
    }
}

/// The resources of a new token, sealed one after the other.
pub(super) async fn sealed_all(
    front: &Front,
    fences: &mut Fences,
    session: (&Peer, &ServerId, &[Matched]),
) -> Result<(), Box<(Denial, Matched)>> {
    let (peer, server, matched) = session;
    for matched in matched {
        let bid = fences.bid(matched, peer);
        match sealed(front, server, bid).await {
            Ok(fence) => fences.sealed(fence),
            Err(denial) => return Err(Box::new((denial, matched.clone()))),
        }
    }
    Ok(())
}
