//! What is done with each message of the server.

use super::codec::frame::Header;
use super::codec::message::read::{self, ErrorFields};
use super::codec::message::write;
use super::farewell::UNDOING;
use super::opening::is_readable_with;
use super::pump::Step;
use super::refusal::Denial;
use super::session::{Event, Kind, Phase, Session};

/// The longest message of the server that is looked into, in bytes: errors, notices and changed
/// settings. Of longer ones only the tag is seen.
const LOOKED_INTO_BYTES_MAX: usize = 32 * 1024;

/// A statement was cancelled.
const QUERY_CANCELED: &str = "57014";

impl Session {
    /// Looks at the server's next message.
    pub(super) fn answer(&mut self) -> Step {
        let header = match self.from_server.next() {
            Ok(Some(header)) => header,
            Ok(None) => return Step::More,
            Err(error) => {
                let denial = Denial::Unavailable(format!("it broke the protocol: {error}"));
                return Step::Event(Event::End(Box::new(self.problem(denial))));
            }
        };
        let is_looked_into =
            matches!(header.tag, b'E' | b'N' | b'S' | b'Z') && header.len <= LOOKED_INTO_BYTES_MAX;
        if is_looked_into && self.from_server.body(&header).is_none() {
            return Step::More;
        }
        let is_after_all = self.from_server.cleared().is_empty() && self.to_client.is_empty();
        // What is Palisade's own goes nowhere; to leave it out, all before it has to be gone.
        let is_own = self.internal > 0 && !matches!(header.tag, b'N' | b'A');
        let is_special = is_own
            || header.tag == b'S'
            || header.tag == b'Z' && (self.late_error.is_some() || self.is_cancelled)
            || header.tag == b'E' && (self.is_last_word(&header) || self.is_undoing(&header));
        if is_special && !is_after_all {
            return Step::Wait;
        }
        let body = is_looked_into.then(|| self.from_server.body(&header)).flatten();
        self.witness.server(header.tag, body);
        if header.tag == b'S' {
            let changed = body.and_then(|body| read::parameter_status(body).ok());
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let changed = changed.map(|(name, value)| (text(name), text(value)));
            return self.setting(&header, changed, is_own);
        }
        let first = body.and_then(|body| body.first().copied());
        self.tracker.server(header.tag, first);
        if is_special {
            self.special(&header);
        } else {
            self.from_server.pass(&header);
        }
        match header.tag {
            b'Z' => self.ready(),
            // COPY data that has not ended is not waited for.
            b'G' if self.phase != Phase::Open => Step::Event(Event::Quiet),
            _ => Step::Again,
        }
    }

    /// The server cancels a statement, or ends the session, because Palisade has asked for it: the
    /// client is told by Palisade itself. What stands behind a cancelled statement in a pipeline
    /// runs all the same, and has answers of its own.
    fn is_last_word(&self, header: &Header) -> bool {
        let body = self.from_server.body(header).and_then(|body| ErrorFields::parse(body).ok());
        matches!(self.phase, Phase::Cancelled(_) | Phase::Reaped(_))
            && body.is_some_and(|fields| {
                fields.is_fatal() || fields.code == QUERY_CANCELED && self.tracker.is_last()
            })
    }

    /// Whether it is the error that undoes what was forwarded of a batch that is refused.
    fn is_undoing(&self, header: &Header) -> bool {
        let body = self.from_server.body(header).and_then(|body| ErrorFields::parse(body).ok());
        self.late_error.is_some() && body.is_some_and(|fields| fields.message.contains(UNDOING))
    }

    /// What the client does not get as it is.
    fn special(&mut self, header: &Header) {
        match header.tag {
            b'Z' if self.internal > 0 => self.internal -= 1,
            // The batch had failed by itself: the client knows.
            b'Z' if self.late_error.take().is_some() => {
                write::ready(&mut self.to_client, self.tracker.status());
            }
            b'E' if self.internal == 0 => match self.late_error.take() {
                Some(error) => self.to_client.extend_from_slice(&error),
                None => self.is_cancelled = true,
            },
            _ => {}
        }
        self.from_server.skip(header);
    }

    /// Something has been answered to its end.
    fn ready(&mut self) -> Step {
        if self.tracker.is_idle() {
            // Once a takeover waits for it, the backend itself has to be gone.
            if self.phase == Phase::Open {
                self.hold.settle();
            }
            if let Kind::ReadOnly { state, .. } = &mut self.kind {
                state.idle();
            }
        }
        if self.tracker.is_quiet() {
            if self.is_closing || self.phase != Phase::Open {
                return Step::Event(Event::Quiet);
            }
            self.mend();
        }
        Step::Again
    }

    /// A setting of the session has changed.
    fn setting(
        &mut self,
        header: &Header,
        changed: Option<(String, String)>,
        is_own: bool,
    ) -> Step {
        let Some((name, value)) = changed else {
            self.from_server.pass(header);
            return Step::Again;
        };
        match name.as_str() {
            "application_name" => {
                let shown = self.name.reported(&value).unwrap_or(&value).to_owned();
                self.from_server.skip(header);
                if !is_own {
                    write::parameter_status(&mut self.to_client, &name, &shown);
                }
                return Step::Again;
            }
            "default_transaction_read_only" if value != "on" && self.is_read_only() => {
                let reason = "something in it has made the session read-write".to_owned();
                let denial = Denial::ReadOnly { reason, lacks_token: false };
                return Step::Event(Event::End(Box::new(self.problem(denial))));
            }
            name if self.is_read_only() && is_readable_with(name, &value).is_err() => {
                let reason = format!("{name} is {value:?} now, so statements cannot be read");
                let denial = Denial::ReadOnly { reason, lacks_token: false };
                return Step::Event(Event::End(Box::new(self.problem(denial))));
            }
            "default_transaction_read_only" => self.is_reset = self.is_upgraded && value == "on",
            _ => {}
        }
        self.from_server.pass(header);
        Step::Again
    }

    fn is_read_only(&self) -> bool {
        matches!(self.kind, Kind::ReadOnly { .. })
    }

    /// Puts back what the client has changed and Palisade needs: the suffix that tells whose
    /// session this is, and that a session with a token may write.
    fn mend(&mut self) {
        if self.tracker.status() == read::Status::Failed || self.internal > 0 {
            return;
        }
        if self.is_reset && self.tracker.is_idle() {
            self.is_reset = false;
            self.writes_again();
        }
        if let Some(statement) = self.name.mend() {
            self.ask_server(&statement);
        }
    }

    /// Has the server do something for Palisade. Only while nothing else runs.
    pub(super) fn ask_server(&mut self, statement: &str) {
        write::query(&mut self.to_server, statement);
        self.tracker.client(b'Q');
        self.internal += 1;
    }
}
