//! One command: how it counts.

use std::sync::Arc;

use super::keys::Keys;
use super::touches::{Access, Finding, Key, Reach, Touches};

/// How a command counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It touches no data.
    Free,
    /// It reads or writes: [`Command::touches`] says what.
    Data,
    /// It administers the server.
    Admin,
    /// The session deals with it itself.
    Session(Act),
    /// It never goes on: why, and what to do instead.
    Refused(&'static str),
}

/// What the session does with a command of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// AUTH.
    Auth,
    /// HELLO.
    Hello,
    /// RESET.
    Reset,
    /// QUIT.
    Quit,
    /// SELECT.
    Select,
    /// MULTI.
    Multi,
    /// EXEC.
    Exec,
    /// DISCARD.
    Discard,
    /// WATCH: its keys are read.
    Watch,
    /// UNWATCH.
    Unwatch,
    /// CLIENT SETNAME.
    SetName,
    /// CLIENT GETNAME.
    GetName,
    /// CLIENT REPLY.
    ReplyMode,
    /// SUBSCRIBE, SSUBSCRIBE: the channels are read.
    Subscribe,
    /// PSUBSCRIBE: every channel is read.
    PatternSubscribe,
    /// UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE.
    Unsubscribe,
    /// MONITOR: for those who may administer.
    Monitor,
    /// PALISADE, which no server knows.
    Palisade,
}

/// A command, or one subcommand of a container.
#[derive(Clone, Debug)]
pub struct Command {
    /// In upper case; a subcommand's with its container's before it: `CONFIG SET`.
    pub name: Arc<str>,
    /// How it counts.
    pub kind: Kind,
    /// It may wait for others, so that CLIENT UNBLOCK ends it.
    pub is_blocking: bool,
    /// As Redis has it: with the name, negative: at least so many.
    pub(super) arity: i32,
    /// A server has said so: what does not keep to it certainly has no effect.
    pub(super) is_arity_sure: bool,
    pub(super) keys: Keys,
}

impl Command {
    /// Whether the argument behind its name says what it is (CLIENT, CONFIG, ...).
    #[must_use]
    pub fn is_container(&self) -> bool {
        matches!(self.keys, Keys::Container { .. })
    }

    /// What a request of it touches: `count` arguments in all, the name among them as number 0, of
    /// which `arg` gives those that are there. All keys of [`Finding::Touches`] are there.
    #[inline]
    pub fn touches<'a>(&self, count: usize, arg: impl Fn(usize) -> Option<&'a [u8]>) -> Finding {
        if !self.takes(count) {
            return if self.is_arity_sure {
                Finding::Touches(Touches::default(), false)
            } else {
                Finding::Malformed
            };
        }
        match &self.keys {
            Keys::None => Finding::Touches(Touches::default(), false),
            Keys::Range(range) => range.find(count, &arg),
            keys => keys.find(count, &arg),
        }
    }

    /// The one key of a request of `count` arguments, where it has one at a fixed place and touches
    /// nothing else: what most requests are, found without looking at them. `None`: ask
    /// [`Self::touches`].
    #[inline]
    #[must_use]
    pub fn only_key(&self, count: usize) -> Option<Key> {
        match &self.keys {
            Keys::Range(range) if self.takes(count) => range.only(count),
            _ => None,
        }
    }

    /// What it does at most, where that does not depend on its arguments: so far and no further.
    /// `None`: look at the arguments. A command that touches nothing has no bound either.
    #[must_use]
    pub fn bound(&self) -> Option<(Access, Reach)> {
        self.keys.bound()
    }

    /// It runs a script, which could do more than it declares.
    #[must_use]
    pub fn is_script(&self) -> bool {
        matches!(&self.keys, Keys::Numbered(numbered) if numbered.is_script)
    }

    #[inline]
    fn takes(&self, count: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { count >= least } else { count == least }
    }
}
