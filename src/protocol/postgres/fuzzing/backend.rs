//! A server, as far as the order of messages goes: what `PostgresMain` and `CopyGetData` do with
//! each one, and when something takes effect.

use std::collections::VecDeque;

use super::super::codec::message::read::Status;

/// A message of a client. What it leads to is said with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Message {
    Query(&'static [Statement]),
    Function { fails: bool },
    Parse { fails: bool },
    Bind,
    Describe,
    Close,
    Execute(Statement),
    Flush,
    Sync,
    CopyData,
    CopyDone,
    CopyFail,
    Terminate,
    Password,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Statement {
    Read,
    Write,
    Fail,
    Begin,
    Commit,
    Rollback,
    Empty,
    CopyOut,
    CopyIn(Fault),
    /// What a walsender does.
    CopyBoth,
}

/// When a COPY fails by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    Never,
    /// Before it reads anything, as by a trigger.
    AtOnce,
    AtData,
    AtEnd,
}

impl Message {
    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::Query(_) => b'Q',
            Self::Function { .. } => b'F',
            Self::Parse { .. } => b'P',
            Self::Bind => b'B',
            Self::Describe => b'D',
            Self::Close => b'C',
            Self::Execute(_) => b'E',
            Self::Flush => b'H',
            Self::Sync => b'S',
            Self::CopyData => b'd',
            Self::CopyDone => b'c',
            Self::CopyFail => b'f',
            Self::Terminate => b'X',
            Self::Password => b'p',
        }
    }

    /// Whether a server that runs nothing does nothing with it.
    pub(crate) fn is_void(self) -> bool {
        matches!(self.tag(), b'H' | b'd' | b'c' | b'f' | b'X')
    }
}

/// A message of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) tag: u8,
    pub(crate) status: Status,
    /// How often it had committed something when it said this.
    pub(crate) commits: u32,
}

#[derive(Clone, Copy, Debug)]
struct Copy {
    fault: Fault,
    is_both: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Backend {
    /// What it has not read yet.
    pub(crate) input: VecDeque<Message>,
    pub(crate) output: VecDeque<Reply>,
    pub(crate) status: Status,
    /// How often something took effect.
    pub(crate) commits: u32,
    pub(crate) is_gone: bool,
    /// PostgreSQL 14 and later end a session that mixes other messages into COPY data.
    pub(crate) is_modern: bool,
    /// The client did what the tracker need not follow, only be safe with: a Query in the midst of a
    /// batch, or where it was skipped or taken for COPY data, so that it has no answer; an end of
    /// COPY data where there are none.
    pub(crate) is_odd: bool,
    is_dirty: bool,
    is_skipping: bool,
    /// Something of the extended protocol was read since the last Sync.
    pub(crate) is_open: bool,
    /// What is left of a Query.
    query: Option<&'static [Statement]>,
    copy: Option<Copy>,
}

impl Backend {
    pub(crate) fn new(is_modern: bool) -> Self {
        Self { is_modern, ..Self::default() }
    }

    /// It runs nothing, and nothing that it was sent before can take effect any more.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_waiting = self.query.is_none() && self.copy.is_none() && !self.is_open;
        self.is_gone || (is_waiting && self.input.iter().all(|message| message.is_void()))
    }

    /// And nothing is uncommitted.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_gone || (self.is_quiet() && !self.is_dirty && self.status == Status::Idle)
    }

    pub(crate) fn is_copying(&self) -> bool {
        self.copy.is_some()
    }

    pub(crate) fn can_step(&self) -> bool {
        self.clone().step()
    }

    /// Does one thing. Whether there was anything to do.
    pub(crate) fn step(&mut self) -> bool {
        if self.is_gone {
            return false;
        }
        if let Some(copy) = self.copy {
            return self.copy(copy);
        }
        match self.query {
            Some([statement, rest @ ..]) => {
                self.query = Some(rest);
                self.execute(*statement);
                true
            }
            Some([]) => {
                self.end();
                true
            }
            None => {
                let message = self.input.pop_front();
                message.map(|message| self.read(message)).is_some()
            }
        }
    }

    pub(crate) fn reply(&mut self, tag: u8) {
        self.output.push_back(Reply { tag, status: self.status, commits: self.commits });
    }

    fn read(&mut self, message: Message) {
        let is_read = matches!(message, Message::Sync | Message::Terminate | Message::Password);
        if self.is_skipping && !is_read {
            self.is_odd |= matches!(message.tag(), b'Q' | b'F');
            return;
        }
        self.is_open |= matches!(message.tag(), b'P' | b'B' | b'D' | b'C' | b'E');
        match message {
            Message::Query(statements) => {
                self.is_odd |= self.is_open;
                self.query = Some(statements);
            }
            Message::Function { fails } => {
                self.query = Some(&[]);
                match fails || self.status == Status::Failed {
                    true => self.fail(),
                    false => {
                        self.is_dirty = true;
                        self.reply(b'V');
                    }
                }
            }
            Message::Parse { fails: true } => self.fail(),
            Message::Parse { .. } | Message::Bind if self.status == Status::Failed => self.fail(),
            Message::Parse { fails: false } => self.reply(b'1'),
            Message::Bind => self.reply(b'2'),
            Message::Describe => self.reply(b'n'),
            Message::Close => self.reply(b'3'),
            Message::Execute(statement) => self.execute(statement),
            Message::Sync => {
                (self.is_skipping, self.is_open) = (false, false);
                self.end();
            }
            Message::CopyDone | Message::CopyFail => self.is_odd |= self.is_open,
            Message::Flush | Message::CopyData => {}
            Message::Terminate => self.is_gone = true,
            Message::Password => self.die(),
        }
    }

    /// The end of a Query, a FunctionCall or a batch.
    fn end(&mut self) {
        self.query = None;
        if self.status == Status::Idle {
            self.commit();
        }
        self.reply(b'Z');
    }

    fn commit(&mut self) {
        self.commits += u32::from(self.is_dirty);
        self.is_dirty = false;
    }

    fn fail(&mut self) {
        self.is_dirty = false;
        self.copy = None;
        if self.status == Status::InTransaction {
            self.status = Status::Failed;
        }
        self.reply(b'E');
        match self.query {
            Some(_) => self.query = Some(&[]),
            None => self.is_skipping = true,
        }
    }

    fn die(&mut self) {
        self.reply(b'E');
        self.is_gone = true;
    }

    fn execute(&mut self, statement: Statement) {
        let is_fine =
            [Statement::Commit, Statement::Rollback, Statement::Empty].contains(&statement);
        if self.status == Status::Failed && !is_fine {
            return self.fail();
        }
        match statement {
            Statement::Read => "TDDC".bytes().for_each(|tag| self.reply(tag)),
            Statement::Write => {
                self.is_dirty = true;
                self.reply(b'C');
            }
            Statement::Fail => self.fail(),
            Statement::Begin => {
                self.status = Status::InTransaction;
                self.reply(b'C');
            }
            Statement::Commit | Statement::Rollback => {
                if statement == Statement::Commit && self.status != Status::Failed {
                    self.commit();
                }
                (self.is_dirty, self.status) = (false, Status::Idle);
                self.reply(b'C');
            }
            Statement::Empty => self.reply(b'I'),
            Statement::CopyOut => "HddcC".bytes().for_each(|tag| self.reply(tag)),
            Statement::CopyIn(fault) => {
                self.copy = Some(Copy { fault, is_both: false });
                self.reply(b'G');
            }
            Statement::CopyBoth if self.query.is_none() => self.fail(),
            Statement::CopyBoth => {
                self.copy = Some(Copy { fault: Fault::Never, is_both: true });
                self.reply(b'W');
                self.reply(b'd');
            }
        }
    }

    fn copy(&mut self, copy: Copy) -> bool {
        if copy.fault == Fault::AtOnce {
            self.fail();
            return true;
        }
        let Some(message) = self.input.pop_front() else { return false };
        match message {
            Message::CopyData if copy.fault == Fault::AtData => self.fail(),
            Message::CopyData => {}
            Message::CopyDone if copy.fault == Fault::AtEnd => self.fail(),
            Message::CopyDone => {
                self.copy = None;
                match copy.is_both {
                    true => self.reply(b'c'),
                    false => self.is_dirty = true,
                }
                self.reply(b'C');
            }
            _ if copy.is_both => self.die(),
            Message::CopyFail => self.fail(),
            Message::Sync | Message::Flush => {}
            _ => {
                self.is_odd = true;
                self.fail();
                if self.is_modern {
                    self.die();
                }
            }
        }
        true
    }
}
