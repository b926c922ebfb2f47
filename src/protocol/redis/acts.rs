//! Commands that change what the connection is in: transactions, databases, names, subscriptions.

use super::codec::write;
use super::commands::Act;
use super::grant::Granted;
use super::judge::{Needs, Verdict};
use super::pending::Look;
use super::pump::Step;
use super::refusal::{Denial, Problem};
use super::session::{Event, Mode, Session, Then, Transaction};

impl Session {
    /// Transactions, and what changes what the connection is in.
    pub(super) fn act(&mut self, act: Act) -> Step {
        let is_bare = self.request.count() == 1;
        match act {
            Act::Multi if is_bare => {
                let step = self.forward(None);
                if step.is_some() && self.transaction.is_none() {
                    self.transaction = Some(Transaction::default());
                }
                step.unwrap_or(Step::Wait)
            }
            Act::Exec if is_bare && self.transaction.is_some() => self.execute(),
            Act::Discard if is_bare => {
                let step = self.forward(None);
                if step.is_some() {
                    self.end_transaction();
                }
                step.unwrap_or(Step::Wait)
            }
            Act::Multi | Act::Exec | Act::Discard | Act::Unwatch | Act::Watch => {
                self.forward_granted(&Needs::new(), false)
            }
            Act::ReplyMode => self.reply_mode(),
            Act::GetName if self.transaction.is_some() => {
                self.forward_granted(&Needs::new(), false)
            }
            Act::SetName => self.set_name(),
            Act::Palisade if self.transaction.is_some() => self.own_in_transaction(),
            // RESET discards a transaction, as at the server.
            Act::Quit | Act::Reset => self.quietly(Event::Own(act)),
            _ if self.transaction.is_some() => {
                self.refuse(Denial::Never("not between MULTI and EXEC: send it before MULTI"), None)
            }
            Act::Select => self.selects(),
            Act::Subscribe | Act::PatternSubscribe | Act::Unsubscribe => self.subscriptions(),
            Act::Monitor => match self.pending.is_empty() {
                true => {
                    self.mode = Mode::Monitors;
                    self.forward(None).unwrap_or(Step::Wait)
                }
                false => self.wait_for_quiet(),
            },
            Act::Auth | Act::Hello | Act::GetName | Act::Palisade => self.quietly(Event::Own(act)),
        }
    }

    /// EXEC: everything that was queued has to be admitted now.
    fn execute(&mut self) -> Step {
        let Some(transaction) = &self.transaction else { return Step::Wait };
        if transaction.is_dirty {
            let error = Problem::from(Denial::Aborted).error();
            if !self.is_all_forwarded() {
                return Step::Wait;
            }
            write::command(&mut self.to_server, &[b"DISCARD"]);
            self.skip_front();
            self.pending.replace(error);
            self.end_transaction();
            return Step::Again;
        }
        let needs = transaction.needs.clone();
        match self.granted(&needs) {
            Granted::Yes => {}
            Granted::No(matched) => return self.needs_token(&matched),
            Granted::Later => return self.in_turn(Event::Grant(needs, Then::Act(Act::Exec))),
        }
        let Some(step) = self.forward(None) else { return Step::Wait };
        self.end_transaction();
        step
    }

    /// EXEC or DISCARD is on its way. Until all of it is answered something may be admitted under
    /// the transaction's own token, which is watched for as long.
    fn end_transaction(&mut self) {
        if let Some(Transaction { token: Some(token), .. }) = self.transaction.take() {
            self.ended = Some(token);
        }
    }

    fn selects(&mut self) -> Step {
        let number = self.arg(1).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let look = match number {
            Some(database) if self.request.count() == 2 => Some(Look::Select(database)),
            // The server says what is wrong with it.
            _ => None,
        };
        match self.pending.is_empty() {
            true => self.forward(look).unwrap_or(Step::Wait),
            false => self.wait_for_quiet(),
        }
    }

    /// What changes subscriptions, or comes among them: how many values answer it nobody can tell
    /// beforehand, so a PING of our own behind it tells when they are over.
    pub(super) fn subscriptions(&mut self) -> Step {
        if !self.pending.is_empty() {
            return self.wait_for_quiet();
        }
        if !self.is_all_forwarded() || self.request.len().is_none() {
            return match self.request.len() {
                None => self.more(),
                Some(_) => Step::Wait,
            };
        }
        let nonce = Box::new(super::server::nonce());
        let bytes = self.from_client.open();
        let args: Vec<&[u8]> =
            (0..self.request.count()).filter_map(|at| self.request.arg(bytes, at)).collect();
        write::command(&mut self.to_server, &args);
        write::command(&mut self.to_server, &[b"PING", &nonce[..]]);
        self.skip_front();
        self.waits_for(Some(Look::Subscriptions(nonce)));
        Step::Again
    }

    fn reply_mode(&mut self) -> Step {
        match self.arg(2) {
            Some(mode) if mode.eq_ignore_ascii_case(b"on") => {
                self.forward_granted(&Needs::new(), false)
            }
            _ => self.refuse(
                Denial::Never("CLIENT REPLY OFF and SKIP: the answers tell when a write has ended"),
                None,
            ),
        }
    }

    fn set_name(&mut self) -> Step {
        let (3, Some(name)) = (self.request.count(), self.arg(2)) else {
            return match self.request.count() {
                3 => self.more(),
                _ => self.forward_granted(&Needs::new(), false),
            };
        };
        if !self.is_all_forwarded() {
            return Step::Wait;
        }
        let name = name.to_vec();
        if let Err(why) = self.name.set(&name) {
            return self.refuse(Denial::AsRedis(format!("ERR {why}")), None);
        }
        let full = self.name.full();
        let step = self.forward_instead(&[b"CLIENT", b"SETNAME", &full], None);
        if let Some(transaction) = &mut self.transaction {
            transaction.queued += 1;
        }
        step.unwrap_or(Step::Wait)
    }

    /// `PALISADE TOKEN` as the first command of a transaction: its token.
    fn own_in_transaction(&mut self) -> Step {
        let is_token = self.arg(1).is_some_and(|word| word.eq_ignore_ascii_case(b"token"));
        let is_first = self.transaction.as_ref().is_some_and(|open| open.queued == 0);
        match is_token && is_first {
            true => self.quietly(Event::Own(Act::Palisade)),
            false => self.refuse(
                Denial::Never(
                    "only PALISADE TOKEN may stand between MULTI and EXEC, as the first command",
                ),
                None,
            ),
        }
    }

    /// Where few commands are allowed, it is another one.
    pub(super) fn out_of_place(&mut self, verdict: &Verdict) -> Option<Step> {
        let is_allowed = match self.mode {
            Mode::Answers => true,
            Mode::Monitors => matches!(verdict, Verdict::Act(Act::Quit, _)),
            Mode::Subscribed => is_for_subscribers(verdict, self.arg(0)),
        };
        if is_allowed {
            return None;
        }
        if self.mode == Mode::Monitors {
            let denial = Denial::Never("this connection monitors: it can only QUIT");
            return Some(Step::Event(Event::End(Box::new(self.problem(denial)))));
        }
        let name = self.arg(0).map(super::judge::shown).unwrap_or_default().to_lowercase();
        let begun = match verdict {
            Verdict::Act(Act::Exec, _) => "EXECABORT Transaction discarded because of:",
            _ => "ERR",
        };
        let text = format!(
            "{begun} Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
             RESET are allowed in this context"
        );
        Some(self.refuse(Denial::AsRedis(text), None))
    }
}

/// Whether it may be sent among subscriptions of RESP2.
fn is_for_subscribers(verdict: &Verdict, name: Option<&[u8]>) -> bool {
    match verdict {
        Verdict::Act(act, _) => matches!(
            act,
            Act::Subscribe | Act::PatternSubscribe | Act::Unsubscribe | Act::Quit | Act::Reset
        ),
        Verdict::More | Verdict::Refuse(_) => true,
        Verdict::Forward { .. } => name.is_some_and(|name| name.eq_ignore_ascii_case(b"ping")),
        Verdict::Ask(_) => false,
    }
}
