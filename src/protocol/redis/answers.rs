//! What is done with each value that comes from the server.

use super::codec::write::{self, Protocol};
use super::pending::{Entry, Look};
use super::pump::Step;
use super::refusal::{Denial, Outcome, Problem};
use super::session::{Event, Mode, Phase, Reply, Session};

/// What the server says to a command that waited, when it was told to wait no more.
const UNBLOCKED: &[u8] = b"-UNBLOCKED";

/// What the value at the front is.
enum Front {
    /// What is done with it.
    Is(Reply),
    /// More of it has to be there to tell.
    More,
    /// The answer to our own PING, in so many bytes: whether there are subscriptions.
    Pong(usize, bool),
}

impl Session {
    /// Looks at what comes next for the client: an answer of our own, or a value of the server.
    pub(super) fn answer(&mut self) -> Step {
        if self.reply == Reply::None {
            if let Some(Entry::Own(bytes, _)) = self.pending.first() {
                if !self.is_all_sent() {
                    return Step::Wait;
                }
                self.to_client.extend_from_slice(bytes);
                return self.answered();
            }
            if self.from_server.open().is_empty() {
                return Step::More;
            }
            match self.front() {
                Front::More => return Step::More,
                Front::Pong(count, is_subscribed) => {
                    if !self.is_all_sent() {
                        return Step::Wait;
                    }
                    self.from_server.skip(count);
                    self.mode = match is_subscribed {
                        true => Mode::Subscribed,
                        false => Mode::Answers,
                    };
                    return self.answered();
                }
                Front::Is(Reply::None) => {
                    let what = "it sent an answer that nothing had asked for";
                    let denial = Denial::Unavailable(what.to_owned());
                    return Step::Event(Event::End(Box::new(self.problem(denial))));
                }
                Front::Is(reply) => {
                    self.reply = reply;
                    if reply == Reply::Passes {
                        self.heed();
                    }
                }
            }
        }
        let is_dropped = matches!(self.reply, Reply::Drops);
        if is_dropped && !self.is_all_sent() {
            return Step::Wait;
        }
        if self.from_server.open().is_empty() {
            return Step::More;
        }
        let step = match self.replies.advance(self.from_server.open()) {
            Ok(step) => step,
            Err(error) => {
                let denial = Denial::Unavailable(format!("it broke the protocol: {error}"));
                return Step::Event(Event::End(Box::new(self.problem(denial))));
            }
        };
        match is_dropped {
            true => self.from_server.skip(step.bytes),
            false => self.from_server.clear(step.bytes),
        }
        if !step.is_end {
            return Step::More;
        }
        match std::mem::replace(&mut self.reply, Reply::None) {
            Reply::Aside => Step::Again,
            Reply::Drops => {
                match self.pending.first() {
                    Some(Entry::Replace(bytes)) => self.to_client.extend_from_slice(bytes),
                    // It waited in vain, because it was told to stop.
                    _ => {
                        let problem = Problem { outcome: Outcome::Nothing, ..self.over() };
                        self.to_client.extend_from_slice(&problem.error());
                        self.is_told = true;
                    }
                }
                self.answered()
            }
            Reply::Passes | Reply::None => self.answered(),
        }
    }

    /// Says what the value at the front is, which is not empty.
    fn front(&self) -> Front {
        let open = self.from_server.open();
        if self.mode == Mode::Monitors && self.pending.is_empty() {
            return Front::Is(Reply::Aside);
        }
        match self.pending.first() {
            Some(Entry::Look(Look::Subscriptions(nonce))) => pong(open, nonce),
            _ if open[0] == b'>' => Front::Is(Reply::Aside),
            // RESET ends subscriptions, and is answered like no message.
            Some(Entry::Look(Look::Reset)) if open[0] == b'+' => Front::Is(Reply::Passes),
            _ if self.mode == Mode::Subscribed => Front::Is(Reply::Aside),
            Some(Entry::Pass(_)) => Front::Is(Reply::Passes),
            Some(Entry::Look(Look::Blocking)) if self.phase != Phase::Open => {
                let len = open.len().min(UNBLOCKED.len());
                match open[..len] == UNBLOCKED[..len] {
                    true if len < UNBLOCKED.len() => Front::More,
                    true => Front::Is(Reply::Drops),
                    false => Front::Is(Reply::Passes),
                }
            }
            Some(Entry::Look(_)) => Front::Is(Reply::Passes),
            Some(Entry::Replace(_)) => Front::Is(Reply::Drops),
            Some(Entry::Own(..)) | None => Front::Is(Reply::None),
        }
    }

    /// The answer that begins at the front may change what the connection is in.
    fn heed(&mut self) {
        let Some(Entry::Look(look)) = self.pending.first() else { return };
        if matches!(self.from_server.open().first(), Some(b'-' | b'!')) {
            return;
        }
        match look {
            Look::Select(database) => {
                let database = *database;
                if self.database != database {
                    self.select(database);
                }
            }
            Look::Hello(Some(protocol)) => self.protocol = *protocol,
            Look::Reset => {
                (self.protocol, self.mode) = (Protocol::Resp2, Mode::Answers);
                if self.database != 0 {
                    self.select(0);
                }
            }
            Look::Hello(None) | Look::Blocking | Look::Subscriptions(_) => {}
        }
    }

    /// Something was answered to its end.
    fn answered(&mut self) -> Step {
        self.pending.answered();
        if !self.pending.is_empty() {
            return match self.phase != Phase::Open && self.unanswered() == 0 {
                true => Step::Event(Event::Quiet),
                false => Step::Again,
            };
        }
        if self.passing.is_some() {
            // Redis does so before it closes the connection, which is seen next.
            let denial = Denial::Unavailable("it answered a request before its end".to_owned());
            return Step::Event(Event::End(Box::new(self.problem(denial))));
        }
        self.quiet()
    }

    /// Everything that was sent is answered.
    fn quiet(&mut self) -> Step {
        self.is_barred = false;
        self.wants_quiet = false;
        self.hold.settle();
        if self.ended.take().is_some() {
            self.is_watch_old = true;
        }
        // The server may have told more of them since.
        self.commands = self.front.commands();
        match self.is_closing || self.phase != Phase::Open {
            true => Step::Event(Event::Quiet),
            false => Step::Again,
        }
    }

    fn is_all_sent(&self) -> bool {
        self.from_server.cleared().is_empty() && self.to_client.is_empty()
    }
}

/// Whether a value is the answer to our PING: a string, or among subscriptions of RESP2 an array.
fn pong(open: &[u8], nonce: &[u8; 32]) -> Front {
    let mut plain = Vec::with_capacity(64);
    write::bulk(&mut plain, nonce);
    let mut subscribed = b"*2\r\n$4\r\npong\r\n".to_vec();
    subscribed.extend_from_slice(&plain);
    for (form, is_subscribed) in [(plain, false), (subscribed, true)] {
        let len = open.len().min(form.len());
        if open[..len] == form[..len] {
            return match len < form.len() {
                true => Front::More,
                false => Front::Pong(len, is_subscribed),
            };
        }
    }
    Front::Is(Reply::Aside)
}
