//! What one request touches.

use smallvec::SmallVec;

/// Reading or writing. A write may read as well.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Access {
    /// It leaves everything as it is.
    Read,
    /// It may change something.
    Write,
}

/// A key of a request, or a channel, which counts like one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    /// Which argument it is; the command's name is argument 0. The argument is there.
    pub index: usize,
    /// What is done with it.
    pub access: Access,
    /// Its database where that is not the selected one (MOVE, COPY ... DB).
    pub database: Option<u32>,
}

/// How far a command goes that touches everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// One database; `None`: the selected one.
    Database(Option<u32>),
    /// Two databases (SWAPDB).
    Databases(u32, u32),
    /// All databases, and what is in none: functions, channels.
    Instance,
}

/// What a request touches.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Touches {
    /// Its keys, in the order of its arguments; one that stands there twice is twice in it.
    pub keys: SmallVec<[Key; 4]>,
    /// What it touches besides, where no key says so.
    pub everything: Option<(Access, Reach)>,
}

/// What can be said of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// What it touches, and whether it is a script that could do more than it declares.
    Touches(Touches, bool),
    /// Arguments that are not there yet have to be seen: find the command again with them.
    More,
    /// Only the server knows its keys: COMMAND GETKEYS. What is done with each of them; where it
    /// has none, it does that to the whole instance.
    Ask(Access),
    /// As far as is known the server refuses it: too many or too few arguments, an option that it
    /// does not know. It counts as a write to everything, or is answered with an error.
    Malformed,
}

impl Touches {
    /// No key, but all there is.
    #[must_use]
    pub fn everything(access: Access, reach: Reach) -> Self {
        Self { keys: SmallVec::new(), everything: Some((access, reach)) }
    }

    /// The most that it does to anything; `None` where it touches nothing.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        let everything = self.everything.map(|(access, _)| access);
        self.keys.iter().map(|key| key.access).max().max(everything)
    }
}
