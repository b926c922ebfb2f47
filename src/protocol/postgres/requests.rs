//! What is done with each message of the client.

use super::codec::frame::{HEADER_BYTES, Header};
use super::codec::message::read;
use super::codec::message::write;
use super::pump::Step;
use super::readonly::Denied;
use super::refusal::Denial;
use super::session::{Event, Kind, Phase, Session, Skip};
use super::sql::{Own, own, renamed};

/// The word without which no statement is about Palisade's own settings.
const OWN_WORD: &[u8] = b"palisade";

/// Palisade's own answers that a client has not read yet, in bytes.
const OWN_ANSWERS_BYTES_MAX: usize = 64 * 1024;

impl Session {
    /// Looks at the client's next message.
    pub(super) fn request(&mut self) -> Step {
        // Of a client that does not read Palisade's own answers nothing more is looked at.
        if self.to_client.len() >= OWN_ANSWERS_BYTES_MAX {
            return Step::Wait;
        }
        let header = match self.from_client.next() {
            Ok(Some(header)) => header,
            Ok(None) => return Step::More,
            Err(error) => return Step::Event(self.broken(&error)),
        };
        let is_after_all = self.from_client.cleared().is_empty() && self.to_server.is_empty();
        if self.skip != Skip::No {
            return self.skipped(&header, is_after_all);
        }
        if header.tag == b'X' {
            return match is_after_all {
                true => Step::Event(Event::ClientGone { politely: true }),
                false => Step::Wait,
            };
        }
        if !self.may_begin(header.tag) {
            return match self.tracker.is_idle() && self.is_closing {
                true => Step::Event(Event::Quiet),
                false => Step::Wait,
            };
        }
        if let Some(step) = self.about_palisade(&header, is_after_all) {
            return step;
        }
        let renamed = self.renamed(&header);
        if renamed.is_some() && !is_after_all {
            return Step::Wait;
        }
        if let Kind::ReadOnly { .. } = self.kind
            && let Some(step) = self.read_only(&header, is_after_all)
        {
            return step;
        }
        if matches!(self.kind, Kind::Fenced(_)) && !self.hold.is_admitted() {
            return match is_after_all {
                true => Step::Event(Event::Begin),
                false => Step::Wait,
            };
        }
        self.forward(&header, renamed)
    }

    /// The message as it has to be, where the session gets another name by it. Whoever has to end
    /// what a dead replica has left would not find a session that its client has just renamed.
    fn renamed(&self, header: &Header) -> Option<Vec<u8>> {
        let bytes_max = self.front.listener.limits.statement_bytes_max;
        if !matches!(header.tag, b'Q' | b'P') || header.len > bytes_max {
            return None;
        }
        let body = self.from_client.body(header)?;
        let (before, text) = match header.tag {
            b'Q' => (&[][..], read::query_text(body).ok()?),
            _ => {
                let (name, text) = read::parse_text(body).ok()?;
                (&body[..=name.len()], text)
            }
        };
        let after = &body[before.len() + text.len()..];
        let text = renamed(text, |asked| self.name.full(asked))?;
        let mut message = Vec::new();
        write::message(&mut message, header.tag, |out| {
            [before, text.as_bytes(), after].into_iter().for_each(|part| out.extend(part));
        });
        Some(message)
    }

    /// `instead`: only when nothing before it is left to go on.
    fn forward(&mut self, header: &Header, instead: Option<Vec<u8>>) -> Step {
        self.tracker.client(header.tag);
        self.is_batch_open = match header.tag {
            b'S' | b'Q' | b'F' => false,
            // Outside of COPY the server does not look at them.
            b'd' | b'c' | b'f' => self.is_batch_open,
            _ => true,
        };
        match instead {
            Some(message) => {
                self.from_client.skip(header);
                self.to_server.extend_from_slice(&message);
            }
            None => self.from_client.pass(header),
        }
        Step::Again
    }

    /// Whether a message may go on at all now: at the end of a session nothing new begins.
    fn may_begin(&self, tag: u8) -> bool {
        let is_more_of_it = self.is_batch_open || matches!(tag, b'd' | b'c' | b'f');
        match self.phase {
            Phase::Open => !(self.is_closing && self.tracker.is_idle()) || is_more_of_it,
            Phase::Draining(_) | Phase::Cancelled(_) => is_more_of_it,
            Phase::Reaped(_) => false,
        }
    }

    fn skipped(&mut self, header: &Header, is_after_all: bool) -> Step {
        if !is_after_all {
            return Step::Wait;
        }
        match header.tag {
            b'S' => {
                if self.skip == Skip::Own {
                    write::ready(&mut self.to_client, self.tracker.status());
                }
                self.skip = Skip::No;
                self.from_client.skip(header);
                // What was put into the client's direction has to be sent.
                Step::Again
            }
            b'X' => Step::Event(Event::ClientGone { politely: true }),
            _ => {
                self.from_client.skip(header);
                Step::Again
            }
        }
    }

    /// Statements about Palisade's own settings, which never reach the server.
    fn about_palisade(&mut self, header: &Header, is_after_all: bool) -> Option<Step> {
        let is_extended = matches!(header.tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'S');
        if self.own.is_open() && !is_extended {
            return Some(self.mixed());
        }
        let is_looked_into = is_extended && self.own.is_there();
        if !is_looked_into && !matches!(header.tag, b'Q' | b'P') {
            return None;
        }
        // The body of a long message is not waited for: it is no statement of ours.
        let bytes_max = self.front.listener.limits.statement_bytes_max;
        if header.len > bytes_max {
            return match self.own.is_open() {
                true => Some(self.mixed()),
                false => None,
            };
        }
        let Some(body) = self.from_client.body(header) else {
            return Some(Step::More);
        };
        let (is_own, refused) = match header.tag {
            _ if self.own.is_open() => (true, None),
            b'Q' => is_own(read::query_text(body).ok()),
            b'P' => {
                let parsed = read::parse_text(body).ok();
                if let Some((name, _)) = parsed {
                    self.own.forget(name);
                }
                is_own(parsed.map(|(_, text)| text))
            }
            tag => (self.own.knows(tag, body), None),
        };
        if let Some(why) = refused {
            return Some(self.refused(Denial::OwnStatement(why), is_after_all));
        }
        if !is_own {
            return None;
        }
        if self.is_batch_open {
            return Some(self.mixed());
        }
        Some(match is_after_all && self.tracker.is_quiet() {
            true => Step::Event(Event::Own),
            false => Step::Wait,
        })
    }

    fn mixed(&self) -> Step {
        let why = "a statement about palisade's own settings stands in a batch with others";
        Step::Event(Event::End(Box::new(self.problem(Denial::OwnStatement(why)))))
    }

    /// In a read-only session: `None` where the message may go on.
    fn read_only(&mut self, header: &Header, is_after_all: bool) -> Option<Step> {
        // One batch after the other: what one has changed is known before the next begins.
        if !self.is_batch_open && !self.tracker.is_quiet() {
            return Some(Step::Wait);
        }
        let limits = self.front.listener.limits;
        let is_looked_into = matches!(header.tag, b'Q' | b'P' | b'B' | b'E' | b'C' | b'F');
        if is_looked_into && header.len > limits.statement_bytes_max && header.tag != b'B' {
            let reason = "it is longer than statement_bytes_max, so it cannot be understood";
            return Some(self.denied(reason.to_owned(), is_after_all));
        }
        let body = match header.tag {
            // Values may be long; the names stand in front of them.
            b'B' => {
                let len = header.len.min(limits.statement_bytes_max);
                let open = &self.from_client.open()[HEADER_BYTES..];
                match read::bind(&open[..open.len().min(len)]) {
                    Err(_) if open.len() < len => return Some(Step::More),
                    _ => open,
                }
            }
            _ if is_looked_into => match self.from_client.body(header) {
                None => return Some(Step::More),
                Some(body) => body,
            },
            _ => &[],
        };
        let Kind::ReadOnly { state, .. } = &mut self.kind else { return None };
        match state.check(header.tag, body, limits.prepared_max) {
            Ok(()) => None,
            Err(Denied::Write(reason)) => Some(self.denied(reason, is_after_all)),
            Err(Denied::Malformed(error)) => Some(Step::Event(self.broken(&error))),
        }
    }

    /// A write in a session that may only read. Who came with a stale token is told that.
    fn denied(&mut self, reason: String, is_after_all: bool) -> Step {
        let Kind::ReadOnly { fence, stale, .. } = &self.kind else { return Step::Again };
        if let Some(refusal) = stale.clone() {
            return Step::Event(Event::End(Box::new(self.problem(Denial::Fence(refusal)))));
        }
        let lacks_token = fence.is_none();
        self.refused(Denial::ReadOnly { reason, lacks_token }, is_after_all)
    }

    fn refused(&self, denial: Denial, is_after_all: bool) -> Step {
        let is_in_turn = is_after_all && (self.is_batch_open || self.tracker.is_quiet());
        match is_in_turn {
            true => Step::Event(Event::Refuse(Box::new(self.problem(denial)))),
            false => Step::Wait,
        }
    }
}

/// Whether a text is a statement of Palisade's own, or one that is refused.
fn is_own(text: Option<&[u8]>) -> (bool, Option<&'static str>) {
    let Some(text) = text.filter(|text| mentions_palisade(text)) else {
        return (false, None);
    };
    match std::str::from_utf8(text).map(own) {
        Ok(Own::Set { .. } | Own::Show(_)) => (true, None),
        Ok(Own::Refused(why)) => (false, Some(why)),
        Ok(Own::Not) | Err(_) => (false, None),
    }
}

fn mentions_palisade(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'p', b'P', text).any(|at| {
        text[at..].get(..OWN_WORD.len()).is_some_and(|word| word.eq_ignore_ascii_case(OWN_WORD))
    })
}
