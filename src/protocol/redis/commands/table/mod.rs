//! The shipped table: the commands of Redis 6.2 to 8 and Valkey 7.2 to 9.

mod hashes;
mod keys;
mod own;
mod server;
mod sets;
mod streams;
mod strings;
mod vectors;

use std::sync::Arc;

use super::command::{Command, Kind};
use super::keys::{Keys, Numbered, Range};
use super::touches::{Access, Reach};

/// Commands that are alike but for their names and arities.
#[derive(Clone, Copy)]
pub(super) struct Group {
    kind: Kind,
    is_blocking: bool,
    keys: Keys,
    /// Name and arity, as Redis counts it: with the name, negative: at least so many.
    names: &'static [(&'static str, i32)],
}

const ALL: &[&[Group]] = &[
    strings::GROUPS,
    hashes::GROUPS,
    sets::GROUPS,
    streams::GROUPS,
    vectors::GROUPS,
    keys::GROUPS,
    server::GROUPS,
    own::GROUPS,
];

/// All commands of the table.
pub(super) fn commands() -> Vec<Command> {
    let groups = ALL.iter().copied().flatten();
    let commands = groups.flat_map(|group| {
        group.names.iter().map(|(name, arity)| Command {
            name: Arc::from(*name),
            kind: group.kind,
            is_blocking: group.is_blocking,
            arity: *arity,
            is_arity_sure: false,
            keys: group.keys,
        })
    });
    commands.collect()
}

type Rows = &'static [(&'static str, i32)];

const fn data(keys: Keys, names: Rows) -> Group {
    Group { kind: Kind::Data, is_blocking: false, keys, names }
}

const fn blocking(group: Group) -> Group {
    Group { is_blocking: true, ..group }
}

/// They read all their keys, which are at fixed places.
const fn reads(first: usize, last: isize, names: Rows) -> Group {
    data(range(first, last, 1, Access::Read), names)
}

/// They write all their keys, which are at fixed places.
const fn writes(first: usize, last: isize, names: Rows) -> Group {
    data(range(first, last, 1, Access::Write), names)
}

const fn free(names: Rows) -> Group {
    Group { kind: Kind::Free, is_blocking: false, keys: Keys::None, names }
}

const fn admin(names: Rows) -> Group {
    Group { kind: Kind::Admin, is_blocking: false, keys: Keys::None, names }
}

const fn container(names: Rows) -> Group {
    data(Keys::Container { may_be_alone: false }, names)
}

const fn everything(access: Access, reach: Reach, names: Rows) -> Group {
    data(Keys::Everything(access, reach), names)
}

const fn range(first: usize, last: isize, step: usize, access: Access) -> Keys {
    Keys::Range(Range { first, last, step, access })
}

const fn channels(first: usize, last: isize, access: Access) -> Keys {
    Keys::Channels(Range { first, last, step: 1, access })
}

/// How many keys follow is told at `at`.
const fn numbered(at: usize, access: Access) -> Keys {
    Keys::Numbered(Numbered { at, step: 1, access, has_destination: false, is_script: false })
}

/// The first key is written from those that follow it.
const DESTINATION_FIRST: Keys = Keys::Ranges(&[
    Range { first: 1, last: 1, step: 1, access: Access::Write },
    Range { first: 2, last: -1, step: 1, access: Access::Read },
]);

/// The first key is written from the second.
const DESTINATION_AND_SOURCE: Keys = Keys::Ranges(&[
    Range { first: 1, last: 1, step: 1, access: Access::Write },
    Range { first: 2, last: 2, step: 1, access: Access::Read },
]);

/// The first key is written from those whose number comes second.
const DESTINATION_AND_NUMBERED: Keys = Keys::Numbered(Numbered {
    at: 2,
    step: 1,
    access: Access::Read,
    has_destination: true,
    is_script: false,
});
