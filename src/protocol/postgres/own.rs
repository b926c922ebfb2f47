//! Statements about Palisade's own settings: answered here, in both protocols.

use std::collections::HashMap;
use std::sync::Arc;

use super::codec::message::read::{self, Target};
use super::codec::message::write::{self, Severity};
use super::opening::{UNSWEPT, sealed};
use super::refusal::{Denial, Problem};
use super::session::{Flow, Kind, Session, Skip};
use super::sql::{Own, Setting, own};
use crate::fence::{Action, Claim, Refusal, Token};
use crate::gate::Bid;

/// Prepared statements and portals of this kind in one session, each, at most.
pub const OWN_PREPARED_MAX: usize = 100;

/// What was prepared of them.
#[derive(Debug, Default)]
pub(super) struct OwnStatements {
    statements: HashMap<Box<[u8]>, Own>,
    portals: HashMap<Box<[u8]>, Own>,
    /// A batch of them has begun, and its Sync has not come.
    is_open: bool,
}

impl OwnStatements {
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a message might be about one of them.
    pub(super) fn is_there(&self) -> bool {
        self.is_open || !self.statements.is_empty()
    }

    /// Another statement takes its name.
    pub(super) fn forget(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }

    /// Whether a Bind, Describe, Execute or Close is about one of them.
    pub(super) fn knows(&self, tag: u8, body: &[u8]) -> bool {
        match tag {
            b'B' => {
                read::bind(body).is_ok_and(|(_, statement)| self.statements.contains_key(statement))
            }
            b'D' | b'C' => read::target(body).is_ok_and(|target| match target {
                Target::Statement(name) => self.statements.contains_key(name),
                Target::Portal(name) => self.portals.contains_key(name),
            }),
            b'E' => read::execute(body).is_ok_and(|name| self.portals.contains_key(name)),
            _ => false,
        }
    }
}

impl Session {
    /// Answers the client's next message, which is whole and about Palisade's own settings.
    pub(super) async fn answer_own(&mut self) -> Flow {
        let Ok(Some(header)) = self.from_client.next() else { return Flow::Go };
        let Some(body) = self.from_client.body(&header).map(<[u8]>::to_vec) else {
            return Flow::Go;
        };
        self.from_client.skip(&header);
        let answered = match header.tag {
            b'Q' => {
                let text = read::query_text(&body).unwrap_or_default();
                let answered = self.run_own(&parse(text), true).await;
                if let Err(problem) = answered {
                    return self.own_failed(*problem, false).await;
                }
                self.own_ready();
                return Flow::Go;
            }
            b'S' => {
                self.own.is_open = false;
                self.own.portals.clear();
                self.own_ready();
                return Flow::Go;
            }
            b'H' => return Flow::Go,
            tag => self.own_message(tag, &body).await,
        };
        match answered {
            Ok(()) => {
                self.own.is_open = true;
                Flow::Go
            }
            Err(problem) => self.own_failed(*problem, true).await,
        }
    }

    /// One message of the extended protocol.
    async fn own_message(&mut self, tag: u8, body: &[u8]) -> Result<(), Box<Problem>> {
        let mixed = || {
            let why = "a statement about palisade's own settings stands in a batch with others";
            Box::new(self.problem(Denial::OwnStatement(why)))
        };
        let is_full = |held: &HashMap<Box<[u8]>, Own>| held.len() >= OWN_PREPARED_MAX;
        match tag {
            b'P' => {
                let (name, text) = read::parse_text(body).map_err(|_| mixed())?;
                let own = parse(text);
                if !matches!(own, Own::Set { .. } | Own::Show(_)) || is_full(&self.own.statements) {
                    return Err(mixed());
                }
                self.own.statements.insert(name.into(), own);
                write::parse_complete(&mut self.to_client);
            }
            b'B' => {
                let (portal, name) = read::bind(body).map_err(|_| mixed())?;
                let own = self.own.statements.get(name).cloned().ok_or_else(mixed)?;
                if is_full(&self.own.portals) {
                    return Err(mixed());
                }
                self.own.portals.insert(portal.into(), own);
                write::bind_complete(&mut self.to_client);
            }
            b'D' => {
                let target = read::target(body).map_err(|_| mixed())?;
                let own = match target {
                    Target::Statement(name) => self.own.statements.get(name),
                    Target::Portal(name) => self.own.portals.get(name),
                };
                let own = own.ok_or_else(mixed)?;
                if let Target::Statement(_) = target {
                    write::parameter_description_none(&mut self.to_client);
                }
                match own {
                    Own::Show(setting) => {
                        write::row_description(&mut self.to_client, &[column(*setting)]);
                    }
                    _ => write::no_data(&mut self.to_client),
                }
            }
            b'E' => {
                let portal = read::execute(body).map_err(|_| mixed())?;
                let own = self.own.portals.get(portal).cloned().ok_or_else(mixed)?;
                return self.run_own(&own, false).await;
            }
            b'C' => {
                match read::target(body).map_err(|_| mixed())? {
                    Target::Statement(name) => self.own.statements.remove(name),
                    Target::Portal(name) => self.own.portals.remove(name),
                };
                write::close_complete(&mut self.to_client);
            }
            _ => return Err(mixed()),
        }
        Ok(())
    }

    async fn own_failed(&mut self, problem: Problem, is_extended: bool) -> Flow {
        self.own.is_open = false;
        self.own.portals.clear();
        if matches!(problem.denial, Denial::Fence(Refusal::Stale { .. })) {
            return self.end(problem).await;
        }
        self.front.tell_refused(&self.peer, &problem);
        self.to_client.extend_from_slice(&problem.error(Severity::Error));
        match is_extended {
            true => self.skip = Skip::Own,
            false => self.own_ready(),
        }
        Flow::Go
    }

    fn own_ready(&mut self) {
        write::ready(&mut self.to_client, self.tracker.status());
    }

    async fn run_own(&mut self, own: &Own, is_described: bool) -> Result<(), Box<Problem>> {
        let tag = match own {
            Own::Show(setting) => {
                let value = self.shown(*setting).await?;
                if is_described {
                    write::row_description(&mut self.to_client, &[column(*setting)]);
                }
                write::data_row(&mut self.to_client, &[Some(&value)]);
                "SHOW"
            }
            Own::Set { token } => {
                self.bring(token).await?;
                "SET"
            }
            Own::Refused(why) => return Err(Box::new(self.problem(Denial::OwnStatement(why)))),
            Own::Not => return Ok(()),
        };
        write::command_complete(&mut self.to_client, tag);
        Ok(())
    }

    async fn shown(&self, setting: Setting) -> Result<String, Box<Problem>> {
        let token = self.fence().map(|fence| fence.bid.claim.token);
        Ok(match setting {
            Setting::Token => token.map_or_else(String::new, |token| token.to_string()),
            Setting::Resource => self.resource.to_string(),
            Setting::Mark => {
                let status = self.front.gate.status(&self.resource).await;
                let status =
                    status.map_err(|refusal| Box::new(self.problem(Denial::Fence(refusal))))?;
                match status.mark.token {
                    Token::ZERO => String::new(),
                    token => token.to_string(),
                }
            }
        })
    }

    /// Another token for this session: sealed before it is answered.
    async fn bring(&mut self, text: &str) -> Result<(), Box<Problem>> {
        if !self.tracker.is_idle() {
            let why = "a token can be brought outside of transactions only";
            return Err(Box::new(self.problem(Denial::OwnStatement(why))));
        }
        let token = match text.parse::<Token>() {
            Ok(token) => token,
            Err(error) => return Err(Box::new(self.problem(Denial::TokenMalformed(error)))),
        };
        let bid = Bid {
            resource: self.resource.clone(),
            claim: Claim { token, holder: self.rule.holder(&self.peer.identity) },
            peer: self.peer.clone(),
            wait: self.rule.takeover_timeout,
            rule: Arc::clone(&self.rule),
        };
        let told = |denial: Denial| {
            let mut problem = self.problem(denial);
            problem.token = Some(token);
            Box::new(problem)
        };
        let fence = sealed(&self.front, bid).await.map_err(told)?;
        if !self.front.control.is_host_swept(self.hold.host) {
            return Err(told(Denial::Unavailable(UNSWEPT.to_owned())));
        }
        match &mut self.kind {
            // It is watched already.
            Kind::Fenced(held) | Kind::ReadOnly { fence: Some(held), .. }
                if held.bid.claim.token == token => {}
            Kind::Fenced(held) => *held = fence,
            Kind::ReadOnly { fence: held, stale, .. } => {
                *stale = None;
                if self.rule.who.may(&self.peer.identity.name, Action::Write) {
                    self.kind = Kind::Fenced(fence);
                    self.is_upgraded = true;
                    self.writes_again();
                } else {
                    *held = Some(fence);
                }
            }
        }
        Ok(())
    }

    /// The server held the session read-only; its own setting of that stays, so that it has to be
    /// put aside again whenever the client resets its settings.
    pub(super) fn writes_again(&mut self) {
        self.ask_server("SET default_transaction_read_only = off");
    }
}

fn parse(text: &[u8]) -> Own {
    std::str::from_utf8(text).map_or(Own::Not, own)
}

/// What the column is called in which a setting is shown.
fn column(setting: Setting) -> &'static str {
    match setting {
        Setting::Token => "palisade.token",
        Setting::Resource => "palisade.resource",
        Setting::Mark => "palisade.mark",
    }
}
