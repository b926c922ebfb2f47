//! What a command needs: pure, asked by sessions and by `palisade explain`.

use std::fmt::Write as _;
use std::sync::Arc;

use smallvec::SmallVec;

use super::commands::{Access, Act, Command, Commands, Finding, Kind, Reach, Touches};
use super::refusal::Denial;
use crate::fence::{Action, Refusal};
use crate::rules::{Matched, Reads, Rule, Rules, Scripts};

/// Bytes of a key that errors show.
const SHOWN_BYTES_MAX: usize = 64;

/// A resource that a command reads or writes.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) matched: Matched,
    pub(super) access: Access,
    /// A read of it needs no token.
    is_free: bool,
}

impl Need {
    /// Whether it can only be had with a token.
    pub(super) fn needs_token(&self) -> bool {
        self.access == Access::Write || !self.is_free
    }
}

/// All of them, each once.
pub(super) type Needs = SmallVec<[Need; 2]>;

/// What is to be done with a command.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It goes on once these are granted.
    Forward { needs: Needs, is_blocking: bool },
    /// The session deals with it, once these are granted.
    Act(Act, Needs),
    /// More of it has to be seen.
    More,
    /// The server has to be asked for its keys, all of which it reads, or writes.
    Ask(Access),
    /// It goes nowhere.
    Refuse(Box<(Denial, Option<Matched>)>),
}

/// What an identity may do under each rule that it has met.
#[derive(Debug, Default)]
pub(super) struct Rights(SmallVec<[(Arc<Rule>, Right); 2]>);

/// What a connection is in.
pub(super) struct Place<'a> {
    pub(super) commands: &'a Commands,
    pub(super) rules: &'a Rules,
    pub(super) identity: &'a str,
    pub(super) database: u32,
    /// The one resource of every key of the database.
    pub(super) sole: Option<&'a Matched>,
    pub(super) rights: &'a mut Rights,
}

/// What an identity may do under one rule.
#[derive(Clone, Copy, Debug)]
struct Right {
    read: bool,
    write: bool,
}

impl Rights {
    fn under(&mut self, rule: &Arc<Rule>, identity: &str) -> Right {
        if let Some((_, right)) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, rule)) {
            return *right;
        }
        let [read, write] =
            [Action::Read, Action::Write].map(|action| rule.who.may(identity, action));
        let right = Right { read, write };
        self.0.push((Arc::clone(rule), right));
        right
    }
}

impl Place<'_> {
    /// Judges a command of `count` arguments, of which `arg` has those that are there.
    pub(super) fn judge<'b>(
        &mut self,
        count: usize,
        arg: impl Fn(usize) -> Option<&'b [u8]>,
    ) -> Verdict {
        let name = arg(0).unwrap_or_default();
        let Some(command) = self.commands.find(name, arg(1)) else {
            if count > 1 && arg(1).is_none() {
                return Verdict::More;
            }
            return self.unknown(&shown(name));
        };
        if command.is_container() && count > 1 && arg(1).is_none() {
            return Verdict::More;
        }
        match command.kind {
            Kind::Free => forward(Ok(Needs::new()), command.is_blocking),
            Kind::Refused(why) => refuse(Denial::Never(why)),
            Kind::Admin if self.may_administer() => forward(Ok(Needs::new()), command.is_blocking),
            Kind::Admin => refuse(Denial::Admin(shown(command.name.as_bytes()))),
            Kind::Session(act @ (Act::Watch | Act::Subscribe | Act::PatternSubscribe)) => {
                match self.touched(command, count, &arg) {
                    Found::Needs(Ok(needs)) => Verdict::Act(act, needs),
                    found => found.into(),
                }
            }
            Kind::Session(Act::Monitor) if !self.may_administer() => {
                refuse(Denial::Admin("MONITOR".to_owned()))
            }
            Kind::Session(act) => Verdict::Act(act, Needs::new()),
            Kind::Data => match self.touched(command, count, &arg) {
                Found::Needs(needs) => forward(needs, command.is_blocking),
                found => found.into(),
            },
        }
    }

    /// A command whose keys the server has told.
    pub(super) fn told(&mut self, name: &str, keys: &[Vec<u8>], access: Access) -> Verdict {
        if keys.is_empty() {
            return forward(self.everything(access, Reach::Instance, name), false);
        }
        let mut needs = Needs::new();
        for key in keys {
            if let Err(refused) = self.key(self.database, key, access, false, &mut needs) {
                return Verdict::Refuse(refused);
            }
        }
        forward(Ok(needs), false)
    }

    /// A command of which nothing is known: it is taken to write everything.
    pub(super) fn unknown(&mut self, name: &str) -> Verdict {
        forward(self.everything(Access::Write, Reach::Instance, name), false)
    }

    /// The resource of a key.
    pub(super) fn resource(&self, database: u32, key: &[u8]) -> Result<Matched, Denial> {
        match self.rules.find_key(database, key) {
            Ok(Some(matched)) => Ok(matched),
            Ok(None) => Err(Denial::NoRule(format!("\"{}\" in database {database}", shown(key)))),
            Err(error) => Err(Denial::NoRule(format!("\"{}\": {error}", shown(key)))),
        }
    }

    fn may_administer(&self) -> bool {
        self.rules.iter().any(|rule| {
            rule.covers.keys().is_some_and(|keys| keys.are_all(None))
                && rule.who.administer.contains(self.identity)
        })
    }

    fn touched<'b>(
        &mut self,
        command: &Command,
        count: usize,
        arg: &impl Fn(usize) -> Option<&'b [u8]>,
    ) -> Found {
        if let Some(key) = command.only_key(count) {
            let mut needs = Needs::new();
            let found = match (self.sole, arg(key.index)) {
                (Some(sole), _) if key.database.is_none() => {
                    self.need(sole.clone(), key.access, false, &mut needs)
                }
                (_, Some(text)) => {
                    let database = key.database.unwrap_or(self.database);
                    self.key(database, text, key.access, false, &mut needs)
                }
                (_, None) => return Found::More,
            };
            return Found::Needs(found.map(|()| needs));
        }
        match command.touches(count, arg) {
            Finding::Touches(touches, is_script) => {
                Found::Needs(self.needs(&touches, is_script, &command.name, arg))
            }
            // Where it can reach one resource only, it does not matter which keys they are.
            Finding::More if let Some((sole, access)) = self.sole_of(command) => {
                let (mut needs, is_script) = (Needs::new(), command.is_script());
                Found::Needs(self.need(sole, access, is_script, &mut needs).map(|()| needs))
            }
            Finding::More => Found::More,
            Finding::Ask(access) => Found::Ask(access),
            Finding::Malformed => {
                Found::Needs(self.everything(Access::Write, Reach::Instance, &command.name))
            }
        }
    }

    /// The one resource of all that a command can reach, whatever its arguments are, and what it
    /// does there at most.
    fn sole_of(&self, command: &Command) -> Option<(Matched, Access)> {
        let sole = self.sole?;
        // What is not known to stay within the database may go anywhere.
        let (access, reach) = command.bound().unwrap_or((Access::Write, Reach::Instance));
        match reach {
            Reach::Database(None) => Some((sole.clone(), access)),
            _ => Some((self.rules.sole(None).ok().flatten()?, access)),
        }
    }

    fn needs<'b>(
        &mut self,
        touches: &Touches,
        is_script: bool,
        name: &str,
        arg: &impl Fn(usize) -> Option<&'b [u8]>,
    ) -> Result<Needs, Box<(Denial, Option<Matched>)>> {
        let mut needs = Needs::new();
        for key in &touches.keys {
            let Some(text) = arg(key.index) else { continue };
            let database = key.database.unwrap_or(self.database);
            self.key(database, text, key.access, is_script, &mut needs)?;
        }
        if let Some((access, reach)) = touches.everything {
            for need in self.everything(access, reach, name)? {
                self.need(need.matched, need.access, is_script, &mut needs)?;
            }
        }
        Ok(needs)
    }

    fn key(
        &mut self,
        database: u32,
        key: &[u8],
        access: Access,
        is_script: bool,
        needs: &mut Needs,
    ) -> Result<(), Box<(Denial, Option<Matched>)>> {
        let matched = match self.sole {
            Some(sole) if database == self.database => sole.clone(),
            _ => self.resource(database, key).map_err(|denial| Box::new((denial, None)))?,
        };
        self.need(matched, access, is_script, needs)
    }

    fn need(
        &mut self,
        matched: Matched,
        access: Access,
        is_script: bool,
        needs: &mut Needs,
    ) -> Result<(), Box<(Denial, Option<Matched>)>> {
        let rule = &matched.rule;
        let right = self.rights.under(rule, self.identity);
        // Who may write a resource may read it, too, under its token.
        let may = right.write || right.read && access == Access::Read;
        if !may {
            let action = match access {
                Access::Read => Action::Read,
                Access::Write => Action::Write,
            };
            let denial = Denial::Fence(Refusal::Forbidden { action });
            return Err(Box::new((denial, Some(matched))));
        }
        // One that only reads can do no harm.
        if is_script && access == Access::Write && rule.sessions.scripts == Scripts::Refuse {
            return Err(Box::new((Denial::Script, Some(matched))));
        }
        match needs.iter_mut().find(|need| need.matched.resource == matched.resource) {
            Some(need) if access == Access::Write => need.access = Access::Write,
            Some(_) => {}
            None => {
                let is_free = right.read && rule.reads == Reads::Open;
                needs.push(Need { matched, access, is_free });
            }
        }
        Ok(())
    }

    /// What touches everything there is. A write needs each resource of it; a read goes on
    /// where they cannot be counted, if it may be done under every rule.
    fn everything(
        &mut self,
        access: Access,
        reach: Reach,
        name: &str,
    ) -> Result<Needs, Box<(Denial, Option<Matched>)>> {
        let database = match reach {
            Reach::Database(other) => Some(other.unwrap_or(self.database)),
            Reach::Databases(one, other) => {
                let mut needs = self.everything(access, Reach::Database(Some(one)), name)?;
                for need in self.everything(access, Reach::Database(Some(other)), name)? {
                    self.need(need.matched, access, false, &mut needs)?;
                }
                return Ok(needs);
            }
            Reach::Instance => None,
        };
        let all = self.rules.all(database);
        let mut needs = Needs::new();
        match (all.resources, access) {
            (Ok(resources), _) => {
                for matched in resources {
                    self.need(matched, access, false, &mut needs)?;
                }
            }
            (Err(why), Access::Write) => {
                let command = name.to_owned();
                return Err(Box::new((Denial::Everything { command, why }, None)));
            }
            (Err(_), Access::Read) => {
                for rule in &all.rules {
                    let may = self.rights.under(rule, self.identity).read;
                    if !may || rule.reads == Reads::Token {
                        let denial = Denial::Fence(Refusal::Forbidden { action: Action::Read });
                        return Err(Box::new((denial, None)));
                    }
                }
                if all.rules.is_empty() {
                    let denial = Denial::NoRule("any key".to_owned());
                    return Err(Box::new((denial, None)));
                }
            }
        }
        Ok(needs)
    }
}

/// What was found out about a command.
enum Found {
    Needs(Result<Needs, Box<(Denial, Option<Matched>)>>),
    More,
    Ask(Access),
}

impl From<Found> for Verdict {
    fn from(found: Found) -> Self {
        match found {
            Found::Needs(needs) => forward(needs, false),
            Found::More => Self::More,
            Found::Ask(access) => Self::Ask(access),
        }
    }
}

fn forward(needs: Result<Needs, Box<(Denial, Option<Matched>)>>, is_blocking: bool) -> Verdict {
    match needs {
        Ok(needs) => Verdict::Forward { needs, is_blocking },
        Err(refused) => Verdict::Refuse(refused),
    }
}

fn refuse(denial: Denial) -> Verdict {
    Verdict::Refuse(Box::new((denial, None)))
}

/// Bytes of a client's, for people: short, and in one line.
pub(super) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let mut text = cut.escape_ascii().to_string();
    if cut.len() < bytes.len() {
        let _ = write!(text, "... ({} bytes)", bytes.len());
    }
    text
}

#[cfg(test)]
mod tests;
