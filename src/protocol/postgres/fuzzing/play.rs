//! A client, a server and what is on its way between them, with the tracker in the middle.

use super::super::codec::message::read::Status;
use super::super::track::Tracker;
use super::backend::{Backend, Fault, Message, Statement};

/// Messages that clients send, alone.
pub(crate) const MESSAGES: &[Message] = &[
    Message::Sync,
    Message::Query(&[Statement::Write]),
    Message::Query(&[Statement::Read]),
    Message::Query(&[Statement::Empty]),
    Message::Query(&[Statement::Fail]),
    Message::Query(&[Statement::Begin]),
    Message::Query(&[Statement::Commit]),
    Message::Query(&[Statement::Rollback]),
    Message::Query(&[Statement::Write, Statement::Fail, Statement::Write]),
    Message::Query(&[Statement::Begin, Statement::Write, Statement::Commit, Statement::Read]),
    Message::Query(&[Statement::CopyOut]),
    Message::Query(&[Statement::CopyIn(Fault::Never)]),
    Message::Query(&[Statement::CopyIn(Fault::AtOnce)]),
    Message::Query(&[Statement::CopyIn(Fault::AtData)]),
    Message::Query(&[Statement::CopyIn(Fault::AtEnd)]),
    Message::Query(&[Statement::CopyIn(Fault::Never), Statement::CopyIn(Fault::Never)]),
    Message::Query(&[Statement::CopyIn(Fault::Never), Statement::Write, Statement::Fail]),
    Message::Query(&[Statement::CopyBoth]),
    Message::Function { fails: false },
    Message::Function { fails: true },
    Message::Parse { fails: false },
    Message::Parse { fails: true },
    Message::Bind,
    Message::Describe,
    Message::Close,
    Message::Execute(Statement::Read),
    Message::Execute(Statement::Write),
    Message::Execute(Statement::Fail),
    Message::Execute(Statement::Begin),
    Message::Execute(Statement::Commit),
    Message::Execute(Statement::CopyOut),
    Message::Execute(Statement::CopyIn(Fault::Never)),
    Message::Execute(Statement::CopyIn(Fault::AtOnce)),
    Message::Execute(Statement::CopyIn(Fault::AtData)),
    Message::Execute(Statement::CopyIn(Fault::AtEnd)),
    Message::CopyData,
    Message::CopyDone,
    Message::CopyFail,
    Message::Flush,
    Message::Terminate,
    Message::Password,
];

/// A letter for each of [`MESSAGES`].
const LETTERS: &[u8] = b"Swrzxbklmno1234567FGPYBDCREIJKOUVLMdcfHXp";
const _: () = assert!(LETTERS.len() == MESSAGES.len());

/// A session, by letters: one of `LETTERS` is forwarded; at `.` the server does one thing, at `,`
/// a reply comes, at a space all does; at `!` the server says something unasked. The first byte
/// says how old the server is.
///
/// # Panics
/// When the tracker says what is not so.
pub(crate) fn session(data: &[u8]) {
    let Some((&first, letters)) = data.split_first() else { return };
    let mut play = Play::new(first & 1 == 0);
    for letter in letters {
        match letter {
            b'.' => play.act(Action::Serve),
            b',' => play.act(Action::Deliver),
            b'!' => play.act(Action::Tell),
            b' ' | b'\n' => play.settle(),
            letter => {
                let at = LETTERS.iter().position(|it| it == letter);
                at.into_iter().for_each(|at| play.act(Action::Forward(MESSAGES[at])));
            }
        }
    }
    play.finish();
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// The client's message is forwarded.
    Forward(Message),
    /// The server does one thing.
    Serve,
    /// The server says something that nobody asked for.
    Tell,
    /// The oldest reply of the server comes.
    Deliver,
}

/// The state of a play.
pub(crate) struct Play {
    pub(crate) tracker: Tracker,
    pub(crate) backend: Backend,
    /// Commits before the last COPY began.
    commits_before_copy: u32,
    /// A COPY that ended in an error may have eaten a Sync, so doubt is right.
    may_doubt: bool,
    has_failed_copy: bool,
    has_synced: bool,
}

impl Play {
    pub(crate) fn new(is_modern: bool) -> Self {
        Self {
            tracker: Tracker::new(),
            backend: Backend::new(is_modern),
            commits_before_copy: 0,
            may_doubt: false,
            has_failed_copy: false,
            has_synced: false,
        }
    }

    /// # Panics
    /// When the tracker says what is not so.
    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Forward(message) => {
                self.has_synced |= message == Message::Sync;
                self.tracker.client(message.tag());
                self.backend.input.push_back(message);
            }
            Action::Serve => {
                let was_copying = self.backend.is_copying();
                self.backend.step();
                let has_failed = self.backend.output.back().is_some_and(|it| it.tag == b'E');
                self.has_failed_copy |= was_copying && has_failed;
            }
            Action::Tell if self.backend.is_gone => {}
            Action::Tell => self.backend.reply(b'S'),
            Action::Deliver => {
                let Some(reply) = self.backend.output.pop_front() else { return };
                self.tracker.server(reply.tag, Some(reply.status.byte()));
                if matches!(reply.tag, b'G' | b'W') {
                    self.commits_before_copy = reply.commits;
                }
            }
        }
        self.may_doubt = self.has_failed_copy && self.has_synced;
        self.check();
    }

    fn check(&self) {
        let (tracker, backend) = (&self.tracker, &self.backend);
        let told = || format!("{tracker:?}\n{backend:?}");
        if tracker.is_quiet() {
            assert!(backend.is_quiet(), "quiet: {}", told());
            assert!(backend.is_gone || tracker.status() == backend.status, "{}", told());
        }
        if tracker.is_idle() {
            assert!(backend.is_idle(), "idle: {}", told());
        }
        if tracker.is_copying_in() {
            assert!(!tracker.is_quiet(), "{}", told());
            let mut cut = backend.clone();
            while cut.step() {}
            assert_eq!(cut.commits, self.commits_before_copy, "copying in: {}", told());
        }
        assert_eq!(tracker.progress().is_begun, !tracker.is_quiet());
    }

    /// Everything that is on its way arrives.
    pub(crate) fn settle(&mut self) {
        while self.backend.can_step() {
            self.act(Action::Serve);
        }
        while !self.backend.output.is_empty() {
            self.act(Action::Deliver);
        }
    }

    /// Lets everything arrive; then the tracker has to know where the server is.
    ///
    /// # Panics
    /// When it does not.
    pub(crate) fn finish(mut self) {
        self.settle();
        if self.backend.is_gone || self.backend.is_odd {
            return;
        }
        if self.tracker.is_in_doubt() {
            assert!(self.may_doubt, "{:?}\n{:?}", self.tracker, self.backend);
            if !self.tracker.is_in_doubt_forever() {
                self.recover();
            }
            return;
        }
        let told = format!("{:?}\n{:?}", self.tracker, self.backend);
        assert_eq!(self.tracker.is_quiet(), self.backend.is_quiet(), "{told}");
        assert_eq!(self.tracker.is_idle(), self.backend.is_idle(), "{told}");
    }

    /// Doubt ends with the next statement that goes well.
    fn recover(mut self) {
        for message in [Message::CopyDone, Message::Sync, Message::Query(&[Statement::Rollback])] {
            self.act(Action::Forward(message));
            self.settle();
        }
        let told = format!("{:?}\n{:?}", self.tracker, self.backend);
        assert!(self.backend.is_idle() && self.backend.status == Status::Idle, "{told}");
        assert!(self.tracker.is_idle(), "{told}");
    }
}
