//! The shipped table held against the server's own list. The stricter word of the two counts.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::command::{Act, Command, Kind};
use super::keys::{Keys, Range};
use super::server::ServerCommand;
use super::touches::{Access, Reach};

/// All there is, changed.
const WRITE_TO_EVERYTHING: Keys = Keys::Everything(Access::Write, Reach::Instance);

/// Where the server contradicts the shipped table, or knows more. As text: a line for a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// In upper case: `CONFIG SET`.
    pub name: Arc<str>,
    /// What is different, and how the command counts now.
    pub what: What,
}

/// What is different about a command, and how it counts now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// The server says that it writes: it counts as a write to what it would have read.
    Writes,
    /// The server has its keys elsewhere: it counts as a write to everything.
    Keys,
    /// Only the server knows it (a module's, a newer one): it counts as the server says.
    New,
    /// Only the server knows it and does not say what it does: it counts as a write to everything.
    Unclear,
    /// Only the server knows it, and it has to do with subscriptions: it is refused.
    PubSub,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says = match self.what {
            What::Writes => "writes by the server's word: counted as a write",
            What::Keys => "has its keys elsewhere at the server: counted as a write to everything",
            What::New => "is known only by the server: counted as the server says",
            What::Unclear => {
                "is known only by the server, which does not say what it does: counted as a write \
                 to everything"
            }
            What::PubSub => "is known only by the server and about subscriptions: refused",
        };
        write!(f, "{} {says}", self.name)
    }
}

/// Holds `commands` against the list of `server`.
pub(super) fn check(
    mut commands: Vec<Command>,
    server: &[ServerCommand],
) -> (Vec<Command>, Vec<Difference>) {
    let mut differences = Vec::new();
    let mut listed = HashMap::new();
    for top in server {
        listed.insert(top.name.to_ascii_uppercase(), top);
        for sub in &top.subcommands {
            listed.insert(sub.name.replacen('|', " ", 1).to_ascii_uppercase(), sub);
        }
    }
    for command in &mut commands {
        let what = match listed.remove(&*command.name) {
            Some(said) => compare(command, said),
            None => unlisted(command, server),
        };
        differences.extend(what.map(|what| Difference { name: Arc::clone(&command.name), what }));
    }
    let mut news: Vec<_> = listed.into_iter().collect();
    news.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, said) in news {
        let (command, what) = new(name.into(), said);
        differences.push(Difference { name: Arc::clone(&command.name), what });
        commands.push(command);
    }
    (commands, differences)
}

/// Takes the server's word where it is stricter.
fn compare(command: &mut Command, said: &ServerCommand) -> Option<What> {
    let is_container = matches!(command.keys, Keys::Container { .. });
    if is_container && !said.subcommands.is_empty() {
        return None;
    }
    command.arity = i32::try_from(said.arity).unwrap_or(command.arity);
    command.is_arity_sure = i64::from(command.arity) == said.arity;
    command.is_blocking |= said.has("blocking");
    let is_watched = match command.kind {
        Kind::Free | Kind::Data => false,
        // WATCH and SUBSCRIBE read their keys and channels.
        Kind::Session(Act::Watch | Act::Subscribe) => true,
        Kind::Admin | Kind::Session(_) | Kind::Refused(_) => return None,
    };
    // What has become a container may do more than it did.
    if !command.keys.agree(said) || !is_container && !said.subcommands.is_empty() {
        command.keys = if is_watched {
            Keys::Everything(Access::Read, Reach::Instance)
        } else {
            write_to_everything(command)
        };
        return Some(What::Keys);
    }
    if said.has("write") && !command.keys.may_write() {
        match command.keys.written() {
            Some(keys) => command.keys = keys,
            None => command.keys = write_to_everything(command),
        }
        command.kind = Kind::Data;
        return Some(What::Writes);
    }
    None
}

/// The server does not list it. A top-level name may be the new name of another command (the
/// setting `rename-command`), which COMMAND does not show; a subcommand's cannot. Nothing is said
/// of it: every server lacks what came after it.
fn unlisted(command: &mut Command, server: &[ServerCommand]) -> Option<What> {
    let container = command.name.split_once(' ').map(|(container, _)| container);
    let top =
        container.and_then(|name| server.iter().find(|top| top.name.eq_ignore_ascii_case(name)));
    match (top, command.kind) {
        // Before Redis 7 only the container was listed, with flags for all that is in it.
        (Some(top), Kind::Free | Kind::Data)
            if top.subcommands.is_empty() && top.has("write") && !command.keys.may_write() =>
        {
            command.keys = write_to_everything(command);
            Some(What::Writes)
        }
        (None, Kind::Free | Kind::Data) if !matches!(command.keys, Keys::Container { .. }) => {
            command.keys = write_to_everything(command);
            None
        }
        _ => None,
    }
}

fn write_to_everything(command: &mut Command) -> Keys {
    command.kind = Kind::Data;
    WRITE_TO_EVERYTHING
}

/// What only the server knows.
fn new(name: Arc<str>, said: &ServerCommand) -> (Command, What) {
    let access = match (said.has("write"), said.has("readonly")) {
        (false, true) => Access::Read,
        _ => Access::Write,
    };
    let is_clear = said.has("write") || said.has("readonly");
    let mut kind = Kind::Data;
    let mut what = What::New;
    let keys = if !said.subcommands.is_empty() {
        Keys::Container { may_be_alone: false }
    } else if said.has("pubsub") {
        kind = Kind::Refused("Palisade does not know this kind of subscription");
        what = What::PubSub;
        Keys::None
    } else if said.has("admin") {
        kind = Kind::Admin;
        Keys::None
    } else if !is_clear {
        what = What::Unclear;
        WRITE_TO_EVERYTHING
    } else if said.is_movable {
        Keys::Ask(access)
    } else {
        range(said, access).map_or(Keys::Everything(access, Reach::Instance), Keys::Range)
    };
    let command = Command {
        name,
        kind,
        is_blocking: said.has("blocking"),
        arity: i32::try_from(said.arity).unwrap_or(-1),
        is_arity_sure: i32::try_from(said.arity).is_ok(),
        keys,
    };
    (command, what)
}

/// The keys that the server speaks of. `None`: it has none, or they make no sense.
fn range(said: &ServerCommand, access: Access) -> Option<Range> {
    let first = usize::try_from(said.first).ok().filter(|first| *first > 0)?;
    let last = isize::try_from(said.last).ok()?;
    let step = usize::try_from(said.step).ok().filter(|step| *step > 0)?;
    (last < 0 || last.unsigned_abs() >= first).then_some(Range { first, last, step, access })
}

impl Keys {
    /// The server has the keys where we have them. Of those that move about it says only that they
    /// do; what it says of fixed places beside that has changed from version to version.
    fn agree(&self, said: &ServerCommand) -> bool {
        let fixed = |first: usize, last: isize, step: usize| {
            let expected = Range { first, last, step, access: Access::Read };
            !said.is_movable && range(said, Access::Read) == Some(expected)
        };
        let none = !said.is_movable && said.first == 0 && said.last == 0 && said.step == 0;
        match *self {
            Self::Range(Range { first, last, step, .. }) => fixed(first, last, step),
            Self::Ranges(ranges) => {
                let first = ranges.iter().map(|range| range.first).min().unwrap_or(0);
                let last = ranges.iter().map(|range| range.last).max_by_key(|last| {
                    // What counts from the end comes last.
                    (*last < 0, *last)
                });
                fixed(first, last.unwrap_or(0), 1)
            }
            Self::Channels(Range { first, last, step, .. }) => none || fixed(first, last, step),
            Self::Numbered(_) | Self::Streams(_) | Self::Sort { .. } | Self::Radius { .. } => {
                said.is_movable
            }
            Self::Copy => fixed(1, 2, 1),
            Self::Move => fixed(1, 1, 1),
            Self::None | Self::Swap | Self::Tracking | Self::Everything(..) => none,
            // Before Redis 7 the container was listed with what its subcommands have in common.
            Self::Container { .. } | Self::Ask(_) => true,
        }
    }

    /// It writes, at least with some arguments.
    fn may_write(&self) -> bool {
        match *self {
            Self::Copy | Self::Move | Self::Swap | Self::Container { .. } => true,
            Self::Sort { stores } => stores,
            Self::Radius { .. } => true,
            Self::None | Self::Tracking => false,
            _ => self.bound().is_none_or(|(access, _)| access == Access::Write),
        }
    }

    /// The same keys, written. `None`: that cannot be said of them.
    fn written(&self) -> Option<Self> {
        let access = Access::Write;
        match *self {
            Self::Range(range) => Some(Self::Range(Range { access, ..range })),
            Self::Channels(range) => Some(Self::Channels(Range { access, ..range })),
            Self::Streams(_) => Some(Self::Streams(access)),
            Self::Numbered(numbered) => {
                Some(Self::Numbered(super::keys::Numbered { access, ..numbered }))
            }
            _ => None,
        }
    }
}
