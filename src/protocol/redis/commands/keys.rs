//! Where the keys of a command are among its arguments.

use smallvec::SmallVec;

use super::options;
use super::touches::{Access, Finding, Key, Reach, Touches};

/// Where the keys of a command are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Keys {
    /// It has none, and touches nothing.
    None,
    /// At fixed places, all used alike.
    Range(Range),
    /// At fixed places that are used differently.
    Ranges(&'static [Range]),
    /// Channels at fixed places. Servers do not call them keys, except those of shards.
    Channels(Range),
    /// Behind a number that says how many they are.
    Numbered(Numbered),
    /// Behind STREAMS: XREAD, XREADGROUP.
    Streams(Access),
    /// SORT, and SORT_RO, which does not store.
    Sort { stores: bool },
    /// GEORADIUS and GEORADIUSBYMEMBER: the first option is this argument.
    Radius { options: usize },
    /// COPY.
    Copy,
    /// MOVE.
    Move,
    /// SWAPDB.
    Swap,
    /// CLIENT TRACKING: without BCAST it tells of what the client has read itself.
    Tracking,
    /// All there is.
    Everything(Access, Reach),
    /// The argument behind the name tells which command it is. Some may stand alone.
    Container { may_be_alone: bool },
    /// Only the server knows.
    Ask(Access),
}

/// Every `step`th argument from `first` to `last`; a negative `last` counts from the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub first: usize,
    pub last: isize,
    pub step: usize,
    pub access: Access,
}

/// `number` arguments behind the argument `at`, `step` arguments each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Numbered {
    pub at: usize,
    pub step: usize,
    pub access: Access,
    /// One more key, at the first argument, is written.
    pub has_destination: bool,
    /// It may have none, and then touches everything.
    pub is_script: bool,
}

/// The arguments of a request: how many in all, and those that are there.
pub(super) struct Args<'a, 'f> {
    pub count: usize,
    pub arg: &'f dyn Fn(usize) -> Option<&'a [u8]>,
}

impl Args<'_, '_> {
    /// What is found, if the keys are all there.
    pub(super) fn found(&self, touches: Touches) -> Finding {
        if touches.keys.iter().all(|key| (self.arg)(key.index).is_some()) {
            Finding::Touches(touches, false)
        } else {
            Finding::More
        }
    }
}

impl Keys {
    /// All but the commonest, which [`super::Command::touches`] deals with.
    pub(super) fn find<'a>(
        &self,
        count: usize,
        arg: &dyn Fn(usize) -> Option<&'a [u8]>,
    ) -> Finding {
        let args = Args { count, arg };
        match *self {
            Self::None => Finding::Touches(Touches::default(), false),
            Self::Range(range) | Self::Channels(range) => range.find(count, arg),
            Self::Ranges(ranges) => {
                let mut touches = Touches::default();
                for range in ranges {
                    if !range.is_here(count, arg) {
                        return Finding::More;
                    }
                    range.add_to(&mut touches.keys, count);
                }
                Finding::Touches(touches, false)
            }
            Self::Numbered(numbered) => numbered.find(&args),
            Self::Streams(access) => options::streams(&args, access),
            Self::Sort { stores } => options::sort(&args, stores),
            Self::Radius { options } => options::radius(&args, options),
            Self::Copy => options::copy(&args),
            Self::Move => options::moved(&args),
            Self::Swap => options::swap(&args),
            Self::Tracking => options::tracking(&args),
            Self::Everything(access, reach) => {
                Finding::Touches(Touches::everything(access, reach), false)
            }
            Self::Container { may_be_alone: true } if count == 1 => {
                Finding::Touches(Touches::default(), false)
            }
            Self::Container { .. } if count == 1 => Finding::Malformed,
            Self::Container { .. } => Finding::More,
            Self::Ask(access) => Finding::Ask(access),
        }
    }

    /// What is done at most, where the arguments do not matter.
    pub(super) fn bound(&self) -> Option<(Access, Reach)> {
        let selected = |access| Some((access, Reach::Database(None)));
        match *self {
            Self::Range(range) | Self::Channels(range) => selected(range.access),
            Self::Ranges(ranges) => selected(ranges.iter().map(|range| range.access).max()?),
            Self::Numbered(numbered) if numbered.is_script => {
                Some((numbered.access, Reach::Instance))
            }
            Self::Numbered(numbered) if numbered.has_destination => selected(Access::Write),
            Self::Numbered(Numbered { access, .. }) | Self::Streams(access) => selected(access),
            Self::Sort { stores: false } => selected(Access::Read),
            Self::Everything(access, reach) => Some((access, reach)),
            Self::Ask(access) => Some((access, Reach::Instance)),
            Self::None
            | Self::Sort { stores: true }
            | Self::Radius { .. }
            | Self::Copy
            | Self::Move
            | Self::Swap
            | Self::Tracking
            | Self::Container { .. } => None,
        }
    }
}

impl Range {
    /// Where all keys are there, so that no memory is taken for a request that only announces them.
    #[inline]
    pub(super) fn find<'a>(
        self,
        count: usize,
        arg: &(impl Fn(usize) -> Option<&'a [u8]> + ?Sized),
    ) -> Finding {
        if !self.is_here(count, arg) {
            return Finding::More;
        }
        let mut touches = Touches::default();
        self.add_to(&mut touches.keys, count);
        Finding::Touches(touches, false)
    }

    /// The key, if there can only be one.
    #[inline]
    pub(super) fn only(self, count: usize) -> Option<Key> {
        let is_one = self.last >= 0 && self.last.unsigned_abs() == self.first && self.first < count;
        is_one.then_some(Key { index: self.first, access: self.access, database: None })
    }

    /// Arguments come in their order, so the last key is the one to look for.
    #[inline]
    fn is_here<'a>(
        self,
        count: usize,
        arg: &(impl Fn(usize) -> Option<&'a [u8]> + ?Sized),
    ) -> bool {
        match self.end(count) {
            Some(end) => arg(end - (end - self.first) % self.step).is_some(),
            None => true,
        }
    }

    #[inline]
    fn add_to(self, keys: &mut SmallVec<[Key; 4]>, count: usize) {
        let Some(end) = self.end(count) else { return };
        let key = |index| Key { index, access: self.access, database: None };
        if end == self.first {
            keys.push(key(end));
        } else {
            keys.extend((self.first..=end).step_by(self.step).map(key));
        }
    }

    /// The last argument that may be a key, if there is one.
    #[inline]
    fn end(self, count: usize) -> Option<usize> {
        let last = if self.last < 0 {
            count.checked_add_signed(self.last)?
        } else {
            self.last.unsigned_abs()
        };
        (last >= self.first && last < count).then_some(last)
    }
}

impl Numbered {
    fn find(self, args: &Args<'_, '_>) -> Finding {
        let Some(number) = (args.arg)(self.at) else { return Finding::More };
        let Some(number) = options::number(number).and_then(|number| usize::try_from(number).ok())
        else {
            return Finding::Malformed;
        };
        if number == 0 {
            return if self.is_script {
                Finding::Touches(Touches::everything(self.access, Reach::Instance), true)
            } else {
                Finding::Malformed
            };
        }
        let end = number.checked_mul(self.step).and_then(|length| length.checked_add(self.at));
        let Some(end) = end.filter(|end| *end < args.count) else { return Finding::Malformed };
        if (args.arg)(end + 1 - self.step).is_none() {
            return Finding::More;
        }
        let key = |index, access| Key { index, access, database: None };
        let mut touches = Touches::default();
        if self.has_destination {
            touches.keys.push(key(1, Access::Write));
        }
        let keys = (self.at + 1..=end).step_by(self.step);
        touches.keys.extend(keys.map(|index| key(index, self.access)));
        Finding::Touches(touches, self.is_script)
    }
}
