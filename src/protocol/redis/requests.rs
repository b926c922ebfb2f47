//! What is done with each request of the client.

use super::codec::request::RequestError;
use super::codec::write;
use super::commands::Access;
use super::grant::Granted;
use super::judge::{Needs, Place, Verdict};
use super::pending::Look;
use super::pump::Step;
use super::refusal::{Denial, Problem};
use super::session::{Event, Mode, Phase, Session, Then};
use crate::fence::Action;
use crate::rules::{Matched, Reads};

/// Palisade's own answers that a client has not read yet, in bytes.
const OWN_ANSWERS_BYTES_MAX: usize = 64 * 1024;
/// Changes between the server's answers and our own that are remembered. A pipeline of one kind
/// of requests has none, however long it is.
const PENDING_ENTRIES_MAX: usize = 16 * 1024;

impl Session {
    /// Looks at the client's next request.
    pub(super) fn request(&mut self) -> Step {
        if self.phase != Phase::Open {
            return Step::Wait;
        }
        if let Some(what) = &self.broken {
            // What came before it is answered first.
            return match self.unanswered() == 0 {
                true => {
                    let denial = Denial::Protocol(what.clone());
                    Step::Event(Event::End(Box::new(self.problem(denial))))
                }
                false => Step::Wait,
            };
        }
        if let Some(step) = self.rest() {
            return step;
        }
        let is_full = self.pending.own_bytes() >= OWN_ANSWERS_BYTES_MAX
            || self.pending.len() >= PENDING_ENTRIES_MAX
            || self.to_client.len() >= OWN_ANSWERS_BYTES_MAX;
        if is_full && self.unread_until.is_none() {
            return Step::Event(Event::Full);
        }
        if !is_full {
            self.unread_until = None;
        }
        let is_waiting = self.is_barred || self.wants_quiet && !self.pending.is_empty();
        if is_full || is_waiting {
            return Step::Wait;
        }
        if self.is_closing {
            return match self.pending.is_empty() {
                true => Step::Event(Event::Quiet),
                false => Step::Wait,
            };
        }
        let open = self.from_client.open();
        let read = match self.is_begun {
            true => self.request.read_on(open),
            false => self.request.read(open),
        };
        self.is_begun = !open.is_empty();
        match read {
            Ok(true) => {}
            Ok(false) => return self.more(),
            Err(error) => return self.breaks(&error),
        }
        if self.request.count() == 0 {
            return self.skip_front();
        }
        let verdict = self.judge();
        self.act_on(verdict)
    }

    /// What is left of a request that was decided about.
    fn rest(&mut self) -> Option<Step> {
        if let Some(passing) = &mut self.passing {
            match passing.advance(self.from_client.open()) {
                Ok(count) => self.from_client.clear(count),
                Err(error) => return Some(self.breaks(&error)),
            }
            if !passing.is_done() {
                return Some(Step::More);
            }
            self.passing = None;
        }
        if self.skipping.is_some() && !self.is_all_forwarded() {
            return Some(Step::Wait);
        }
        if let Some(skipping) = &mut self.skipping {
            match skipping.advance(self.from_client.open()) {
                Ok(count) => self.from_client.skip(count),
                Err(error) => return Some(self.breaks(&error)),
            }
            if !skipping.is_done() {
                return Some(Step::More);
            }
            self.skipping = None;
        }
        None
    }

    fn judge(&mut self) -> Verdict {
        let (bytes, request) = (self.from_client.open(), &self.request);
        let mut place = Place {
            commands: &self.commands,
            rules: &self.front.listener.rules,
            identity: &self.peer.identity.name,
            database: self.database,
            sole: self.sole.as_ref(),
            rights: &mut self.rights,
        };
        place.judge(request.count(), |index| request.arg(bytes, index))
    }

    pub(super) fn act_on(&mut self, verdict: Verdict) -> Step {
        if let Some(step) = self.out_of_place(&verdict) {
            return step;
        }
        match verdict {
            Verdict::Forward { needs, is_blocking } => match self.granted(&needs) {
                Granted::Yes if self.mode == Mode::Subscribed => self.subscriptions(),
                Granted::Yes => self.forward_granted(&needs, is_blocking),
                Granted::No(matched) => self.needs_token(&matched),
                Granted::Later => self.in_turn(Event::Grant(needs, Then::Forward { is_blocking })),
            },
            Verdict::Act(act, needs) => match self.granted(&needs) {
                Granted::Yes => self.act(act),
                Granted::No(matched) => self.needs_token(&matched),
                Granted::Later => self.in_turn(Event::Grant(needs, Then::Act(act))),
            },
            Verdict::More => self.more(),
            Verdict::Ask(access) => self.in_turn(Event::Ask(access)),
            Verdict::Refuse(refused) => {
                let (denial, matched) = *refused;
                self.refuse(denial, matched.as_ref())
            }
        }
    }

    /// A request is on its way: goes on granted.
    pub(super) fn forward_granted(&mut self, needs: &Needs, is_blocking: bool) -> Step {
        let look = (is_blocking && self.transaction.is_none()).then_some(Look::Blocking);
        let Some(step) = self.forward(look) else { return Step::Wait };
        if let Some(transaction) = &mut self.transaction {
            transaction.queued += 1;
            for need in needs.iter().filter(|need| need.access == Access::Write) {
                let resource = &need.matched.resource;
                if !transaction.needs.iter().any(|known| known.matched.resource == *resource) {
                    transaction.needs.push(need.clone());
                }
            }
        }
        step
    }

    /// Has the request at the front go on. `None`: what is before it has to go first.
    pub(super) fn forward(&mut self, look: Option<Look>) -> Option<Step> {
        if self.request.is_inline() {
            // As an array there is only one way to read it.
            if !self.is_all_forwarded() {
                return None;
            }
            let bytes = self.from_client.open();
            let args: Vec<&[u8]> =
                (0..self.request.count()).filter_map(|at| self.request.arg(bytes, at)).collect();
            write::command(&mut self.to_server, &args);
            self.skipping = Some(self.request.passing());
        } else if let Some(len) = self.request.len() {
            self.from_client.clear(len);
        } else {
            self.passing = Some(self.request.passing());
        }
        self.is_begun = false;
        self.waits_for(look);
        Some(Step::Again)
    }

    /// Sends this in the place of the request at the front. `None` as in [`Session::forward`].
    pub(super) fn forward_instead(&mut self, args: &[&[u8]], look: Option<Look>) -> Option<Step> {
        if !self.is_all_forwarded() {
            return None;
        }
        write::command(&mut self.to_server, args);
        self.skip_front();
        self.waits_for(look);
        Some(Step::Again)
    }

    pub(super) fn waits_for(&mut self, look: Option<Look>) {
        match look {
            None => self.pending.pass(),
            Some(look) => {
                self.pending.look(look);
                self.is_barred = true;
            }
        }
    }

    pub(super) fn needs_token(&mut self, matched: &Matched) -> Step {
        let identity = &self.peer.identity.name;
        let is_open =
            matched.rule.reads == Reads::Open && matched.rule.who.may(identity, Action::Read);
        let what = if is_open { "a write" } else { "everything under this rule" };
        self.refuse(Denial::TokenRequired(what), Some(matched))
    }

    /// Refuses the request at the front. The connection goes on; a transaction does not.
    pub(super) fn refuse(&mut self, denial: Denial, matched: Option<&Matched>) -> Step {
        let command = self.arg(0).map(|name| super::judge::shown(name).to_ascii_uppercase());
        let mut problem = Problem { command, ..self.problem(denial) };
        if let Some(matched) = matched {
            problem.resource = Some(matched.resource.clone());
            problem.rule = Some(matched.rule.name.clone());
        }
        self.refuse_with(&problem)
    }

    /// Refuses the request at the front with that.
    pub(super) fn refuse_with(&mut self, problem: &Problem) -> Step {
        self.front.tell_refused(&self.peer, problem);
        self.pending.own(problem.error());
        if let Some(transaction) = &mut self.transaction {
            transaction.is_dirty = true;
        }
        self.skip_front()
    }

    /// The request at the front goes nowhere.
    pub(super) fn skip_front(&mut self) -> Step {
        self.is_begun = false;
        self.skipping = Some(self.request.passing());
        Step::Again
    }

    /// An event, once everything before the request at the front has gone on.
    pub(super) fn in_turn(&self, event: Event) -> Step {
        match self.is_all_forwarded() {
            true => Step::Event(event),
            false => Step::Wait,
        }
    }

    /// An event, once everything before the request at the front is answered.
    pub(super) fn quietly(&mut self, event: Event) -> Step {
        // Its arguments are few and short; all of them have to be there.
        if self.request.len().is_none() {
            return self.more();
        }
        match self.pending.is_empty() {
            // What is answered now comes behind every answer before.
            true if self.from_server.cleared().is_empty() => self.in_turn(event),
            true => Step::Wait,
            false => self.wait_for_quiet(),
        }
    }

    pub(super) fn wait_for_quiet(&mut self) -> Step {
        self.wants_quiet = true;
        Step::Wait
    }

    /// More of the request at the front has to be there, but not too much.
    pub(super) fn more(&mut self) -> Step {
        let bytes_max = self.front.listener.limits.command_bytes_max;
        if self.from_client.open().len() < bytes_max {
            return Step::More;
        }
        match self.request.here() {
            0 => {
                self.broken =
                    Some(format!("no command within command_bytes_max, {bytes_max} bytes"));
                Step::Again
            }
            _ => {
                let command = super::judge::shown(self.arg(0).unwrap_or_default());
                self.refuse(Denial::TooLong { command, bytes_max }, None)
            }
        }
    }

    pub(super) fn arg(&self, index: usize) -> Option<&[u8]> {
        self.request.arg(self.from_client.open(), index)
    }

    pub(super) fn is_all_forwarded(&self) -> bool {
        self.from_client.cleared().is_empty() && self.to_server.is_empty()
    }

    /// What came is not the protocol.
    fn breaks(&mut self, error: &RequestError) -> Step {
        self.broken = Some(error.to_string());
        Step::Again
    }
}
