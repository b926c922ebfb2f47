//! What becomes of a command up to the moment when a fence is asked. For `palisade explain`.

use std::sync::Arc;

use super::commands::{Access, Act, Commands};
use super::judge::{Needs, Place, Rights, Verdict};
use super::refusal::{Denial, Row};
use super::settings::Listener;
use crate::rules::{Matched, Reads};

/// What a client asks for, outside of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who it is.
    pub identity: &'a str,
    /// The database that it has selected.
    pub database: u32,
    /// Whether it has brought a token, whichever.
    pub has_token: bool,
    /// The command's name and its arguments.
    pub args: &'a [Vec<u8>],
}

/// What becomes of it. The server's own table of commands, which may be stricter, is not asked.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The command by its name, in upper case; `None` where nobody knows it.
    pub command: Option<Arc<str>>,
    /// The resources that it reads or writes, as far as it was not refused before.
    pub touched: Vec<Touched>,
    /// What happens, once each of them is granted.
    pub becomes: Becomes,
}

/// A resource that a command touches.
#[derive(Clone, Debug)]
pub struct Touched {
    /// The resource, and the rule that decides.
    pub matched: Matched,
    /// Whether the command may write there.
    pub is_written: bool,
}

/// What happens with a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Becomes {
    /// The server gets it, and may let it wait for others.
    Sent {
        /// It may wait for others.
        is_blocking: bool,
    },
    /// It changes what the connection is in, or Palisade itself answers it.
    Handled(Act),
    /// The server is asked for its keys, each of which it reads, or writes.
    KeysAsked {
        /// It writes them.
        is_write: bool,
    },
    /// It goes nowhere, and the connection goes on.
    Refused(Refused),
}

/// What a client is told instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The error's first word.
    pub word: &'static str,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub mend: &'static str,
}

impl Preview {
    /// Of a command on that listener.
    pub fn new(listener: &Listener, asked: &Asked<'_>) -> Self {
        let commands = Commands::shipped();
        let sole = listener.rules.sole(Some(asked.database)).ok().flatten();
        let mut place = Place {
            commands: &commands,
            rules: &listener.rules,
            identity: asked.identity,
            database: asked.database,
            sole: sole.as_ref(),
            rights: &mut Rights::default(),
        };
        let arg = |index: usize| asked.args.get(index).map(Vec::as_slice);
        let verdict = place.judge(asked.args.len(), arg);
        let found = commands.find(arg(0).unwrap_or_default(), arg(1));
        let command = found.map(|command| Arc::clone(&command.name));
        let (needs, becomes) = match verdict {
            Verdict::Forward { needs, is_blocking } => (needs, Becomes::Sent { is_blocking }),
            Verdict::Act(act, needs) => (needs, Becomes::Handled(act)),
            Verdict::Ask(access) => {
                (Needs::new(), Becomes::KeysAsked { is_write: access == Access::Write })
            }
            // All of it is there.
            Verdict::More => (Needs::new(), refused(&Denial::Argument("it is cut off".into()))),
            Verdict::Refuse(why) => {
                let (denial, matched) = *why;
                let touched = matched.map(|matched| Touched { matched, is_written: false });
                let touched = touched.into_iter().collect();
                return Self { command, touched, becomes: refused(&denial) };
            }
        };
        let becomes = lacking(asked, &needs).unwrap_or(becomes);
        let touched = needs.into_iter().map(|need| Touched {
            matched: need.matched,
            is_written: need.access == Access::Write,
        });
        Self { command, touched: touched.collect(), becomes }
    }
}

/// Why it is refused, if it needs a token and there is none.
fn lacking(asked: &Asked<'_>, needs: &Needs) -> Option<Becomes> {
    let need = needs.iter().find(|need| need.needs_token()).filter(|_| !asked.has_token)?;
    Some(refused(&Denial::TokenRequired(match need.matched.rule.reads {
        Reads::Token => "everything under this rule",
        Reads::Open => "a write",
    })))
}

fn refused(denial: &Denial) -> Becomes {
    let Row { word, mend, .. } = denial.row();
    Becomes::Refused(Refused { word, detail: denial.to_string(), mend })
}
