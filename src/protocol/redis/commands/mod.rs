//! What each command touches: which keys, and whether it reads or writes them.
//!
//! ```text
//! Commands   the table in force, asked by name for every request
//!   checked    the shipped table held against the server's own: the stricter word counts
//!     server     the reply of COMMAND
//!   command    one command: how it counts, and what a request of it touches
//!     keys       where its keys are
//!       table      the shipped table
//! ```
//!
//! docs/redis-commands.md is the specification; the tests are made from its tables. A command that
//! is not found here counts as a write to everything.

mod checked;
mod command;
mod keys;
mod name;
mod options;
mod server;
mod table;
#[cfg(test)]
mod tests;
mod touches;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;

pub use checked::{Difference, What};
pub use command::{Act, Command, Kind};
use keys::Keys;
use name::Name;
pub use server::ServerCommand;
pub use touches::{Access, Finding, Key, Reach, Touches};

/// The names of commands, or those of one container's subcommands. The names are known, so nobody
/// can choose them to collide.
type Names = HashMap<Name, Entry, FixedState>;

/// All commands that are known.
#[derive(Debug)]
pub struct Commands {
    all: Vec<Command>,
    names: Names,
    /// Subcommands of each container.
    containers: Vec<Names>,
}

/// Where a name leads to: positions in `Commands::all` and `Commands::containers`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    command: usize,
    container: Option<usize>,
}

impl Commands {
    /// The table that comes with Palisade, not held against a server.
    #[must_use]
    pub fn shipped() -> Arc<Self> {
        static SHIPPED: OnceLock<Arc<Commands>> = OnceLock::new();
        Arc::clone(SHIPPED.get_or_init(|| Arc::new(Self::new(table::commands()))))
    }

    /// The shipped table held against the server's reply to COMMAND, and where they differ. The
    /// stricter word of the two counts; where they contradict each other about keys, the command
    /// is a write to everything, and so is what the server does not list (a name that it does not
    /// have may be another command's new name). What only the server knows is taken from it.
    #[must_use]
    pub fn checked(server: &[ServerCommand]) -> (Arc<Self>, Vec<Difference>) {
        let (commands, differences) = checked::check(table::commands(), server);
        (Arc::new(Self::new(commands)), differences)
    }

    /// The command of this name in any case, with the argument behind it, which tells the
    /// subcommand of a container (CLIENT, CONFIG, ...). `None`: unknown, so a write to everything.
    ///
    /// Where that argument is not there yet, the container itself is found: its
    /// [`Command::touches`] says [`Finding::More`] and the caller finds again later.
    #[must_use]
    pub fn find(&self, name: &[u8], second: Option<&[u8]>) -> Option<&Command> {
        let entry = self.names.get(&Name::new(name)?)?;
        let entry = match (entry.container, second) {
            (Some(container), Some(second)) => {
                self.containers[container].get(&Name::new(second)?)?
            }
            _ => entry,
        };
        Some(&self.all[entry.command])
    }

    /// All commands, containers among them.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.all.iter()
    }

    /// Names that are too long for any command are left out, and so unknown.
    fn new(mut all: Vec<Command>) -> Self {
        let mut names = Names::default();
        let mut containers: Vec<Names> = Vec::new();
        // Containers come before what is in them.
        all.sort_by_key(|command| command.name.contains(' '));
        for (command, known) in all.iter().enumerate() {
            let Some((container, subcommand)) = known.name.split_once(' ') else {
                let container = matches!(known.keys, Keys::Container { .. }).then(|| {
                    containers.push(Names::default());
                    containers.len() - 1
                });
                if let Some(name) = Name::new(known.name.as_bytes()) {
                    names.insert(name, Entry { command, container });
                }
                continue;
            };
            let entry = Name::new(container.as_bytes()).and_then(|name| names.get(&name));
            if let (Some(container), Some(name)) =
                (entry.and_then(|entry| entry.container), Name::new(subcommand.as_bytes()))
            {
                containers[container].insert(name, Entry { command, container: None });
            }
        }
        Self { all, names, containers }
    }
}
