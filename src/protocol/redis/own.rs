//! What Palisade itself answers: AUTH, HELLO, and PALISADE TOKEN, STATUS, SEAL.

use std::sync::Arc;

use super::codec::write::{self, Protocol};
use super::commands::Act;
use super::fences::Fences;
use super::grant::sealed_all;
use super::judge::shown;
use super::pending::Look;
use super::refusal::{Denial, Problem};
use super::session::{Flow, Session};
use crate::fence::Token;
use crate::rules::Matched;

/// How a user name begins that brings a token.
const TOKEN_PREFIX: &[u8] = b"token=";
/// What stands between the token and a key in a user name.
const KEY_INFIX: &[u8] = b",key=";
/// Keys that one PALISADE command names, at most.
pub const OWN_KEYS_MAX: usize = 64;

const HELP: &[&str] = &[
    "PALISADE TOKEN <token> [key ...]  bring the token that you were elected with; every older write to",
    "    these keys' resources has settled when it answers. First in a transaction: for that alone",
    "PALISADE SEAL [key ...]  once more, with the evidence of the takeover",
    "PALISADE STATUS [key ...]  marks, holders and evidence, without raising anything",
    "PALISADE HELP  this",
];

/// What became of a request that Palisade answers itself.
pub(super) type Answered = Result<(), Box<Problem>>;

impl Session {
    /// The request at the front, with all before it answered.
    pub(super) async fn answer_own(&mut self, act: Act) -> Flow {
        let bytes = self.from_client.open();
        let args: Vec<Vec<u8>> = (0..self.request.count())
            .filter_map(|at| self.request.arg(bytes, at).map(<[u8]>::to_vec))
            .collect();
        let answered = match act {
            Act::Quit => {
                write::simple(&mut self.to_client, "OK");
                return self.leave(None).await;
            }
            Act::Auth => self.auth(&args).await,
            Act::Hello => self.hello(&args).await,
            Act::Reset => {
                self.reset();
                Ok(())
            }
            Act::GetName => {
                self.name_shown();
                Ok(())
            }
            _ => self.palisade(&args).await,
        };
        if let Err(problem) = answered {
            self.refuse_with(&problem);
        } else if self.skipping.is_none() {
            self.skip_front();
        }
        Flow::Go
    }

    async fn auth(&mut self, args: &[Vec<u8>]) -> Answered {
        let user = match args {
            [_, user] | [_, user, _] => user,
            _ => return self.wrong("wrong number of arguments for 'auth' command"),
        };
        self.log_in(user).await?;
        write::simple(&mut self.to_client, "OK");
        Ok(())
    }

    /// Who it is, the certificate has told; a user name can only bring a token.
    async fn log_in(&mut self, user: &[u8]) -> Answered {
        let Some(text) = user.strip_prefix(TOKEN_PREFIX) else { return Ok(()) };
        let infix = text.windows(KEY_INFIX.len()).position(|window| window == KEY_INFIX);
        let (token, key) = match infix {
            Some(at) => (&text[..at], Some(text[at + KEY_INFIX.len()..].to_vec())),
            None => (text, None),
        };
        let keys: Vec<_> = key.into_iter().collect();
        let fences = self.bring(token, &keys).await;
        self.take_token(fences)
    }

    async fn hello(&mut self, args: &[Vec<u8>]) -> Answered {
        let version = args.get(1).map(Vec::as_slice);
        let (mut user, mut name) = (None, None);
        let mut rest = args.iter().skip(2);
        while let Some(word) = rest.next() {
            let (first, second) = match () {
                () if word.eq_ignore_ascii_case(b"auth") => (rest.next(), rest.next()),
                () if word.eq_ignore_ascii_case(b"setname") => (None, rest.next()),
                () => {
                    return self.wrong(&format!("Syntax error in HELLO option '{}'", shown(word)));
                }
            };
            match (first, second) {
                (Some(first), Some(_)) => user = Some(first),
                (None, Some(second)) => name = Some(second),
                _ => {
                    return self.wrong(&format!("Syntax error in HELLO option '{}'", shown(word)));
                }
            }
        }
        if let Some(user) = user {
            self.log_in(user).await?;
        }
        let protocol = match version {
            Some(b"2") => Some(Protocol::Resp2),
            Some(b"3") => Some(Protocol::Resp3),
            _ => None,
        };
        let mut hello: Vec<&[u8]> = vec![b"HELLO"];
        hello.extend(version);
        let full;
        if let Some(name) = name {
            if let Err(why) = self.name.set(name) {
                let denial = Denial::AsRedis(format!("ERR {why}"));
                return Err(Box::new(self.problem(denial)));
            }
            full = self.name.full();
            hello.extend([&b"SETNAME"[..], &full]);
        }
        self.forward_instead(&hello, Some(Look::Hello(protocol)));
        if self.protocol == Protocol::Resp3 && protocol == Some(Protocol::Resp2) {
            // What was subscribed to by RESP3 comes as arrays from then on: whether there is any,
            // only the server knows.
            let nonce = Box::new(super::server::nonce());
            write::command(&mut self.to_server, &[b"PING", &nonce[..]]);
            self.pending.look(Look::Subscriptions(nonce));
        }
        Ok(())
    }

    /// The server forgets everything about the connection, also who Palisade is.
    fn reset(&mut self) {
        (self.token, self.transaction) = (None, None);
        self.is_watch_old = true;
        self.counted = self.front.metrics.read_only();
        self.name.reset();
        self.forward_instead(&[b"RESET"], Some(Look::Reset));
        let (again, answers) = self.front.connector.login_again(&self.name.full());
        self.to_server.extend_from_slice(&again);
        for _ in 0..answers {
            self.pending.replace(Vec::new());
        }
    }

    fn name_shown(&mut self) {
        match self.name.own() {
            [] => write::null(&mut self.to_client, self.protocol),
            name => write::bulk(&mut self.to_client, name),
        }
    }

    async fn palisade(&mut self, args: &[Vec<u8>]) -> Answered {
        let word = args.get(1).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
        let rest = args.get(2..).unwrap_or_default();
        let keys = match word.as_slice() {
            b"token" => rest.get(1..).unwrap_or_default(),
            _ => rest,
        };
        if keys.len() > OWN_KEYS_MAX {
            return self.wrong(&format!("PALISADE takes at most {OWN_KEYS_MAX} keys"));
        }
        match (word.as_slice(), rest) {
            (b"token", [token, keys @ ..]) => self.token(token, keys).await,
            (b"status", keys) => self.status(keys).await,
            (b"seal", keys) => self.seal(keys).await,
            (b"help", []) => {
                write::array_header(&mut self.to_client, HELP.len());
                for line in HELP {
                    write::simple(&mut self.to_client, line);
                }
                Ok(())
            }
            _ => self.wrong("PALISADE is followed by TOKEN, STATUS, SEAL or HELP"),
        }
    }

    async fn token(&mut self, token: &[u8], keys: &[Vec<u8>]) -> Answered {
        let fences = self.bring(token, keys).await;
        let Some(transaction) = &mut self.transaction else {
            self.take_token(fences)?;
            write::simple(&mut self.to_client, "OK");
            return Ok(());
        };
        let (fences, failed) = fences?;
        if let Some(problem) = failed {
            return Err(problem);
        }
        // An older one of this connection's own is no news to it.
        if let Some(session) = &mut self.token {
            fences.iter().for_each(|fence| session.forget_one(&fence.bid.resource));
            self.is_watch_old = true;
        }
        transaction.token = Some(fences);
        transaction.queued += 1;
        // It is answered among the commands of the transaction, as one of them.
        self.forward_instead(&[b"ECHO", b"OK"], None);
        Ok(())
    }

    /// A token and what is sealed with it; with the problem, if not all could be.
    async fn bring(
        &mut self,
        token: &[u8],
        keys: &[Vec<u8>],
    ) -> Result<(Fences, Option<Box<Problem>>), Box<Problem>> {
        let token = match String::from_utf8_lossy(token).parse::<Token>() {
            Ok(token) => token,
            Err(error) => {
                let denial = Denial::TokenMalformed(shown(token), error);
                return Err(Box::new(self.problem(denial)));
            }
        };
        let matched = match keys {
            [] => self.front.listener.rules.sole(None).ok().flatten().into_iter().collect(),
            keys => self.resources(keys)?,
        };
        let mut fences = Fences::new(token);
        let failed =
            sealed_all(&self.front, &mut fences, (&self.peer, &self.hold.server, &matched)).await;
        let failed = failed.err().map(|failed| {
            let (denial, matched) = *failed;
            let mut problem = self.told(denial, &matched);
            problem.token = Some(token);
            Box::new(problem)
        });
        self.unwatched.extend(fences.iter().map(|fence| Arc::clone(&fence.watch)));
        Ok((fences, failed))
    }

    /// From now on the connection is under that token. If it was refused, so is what it writes.
    fn take_token(
        &mut self,
        brought: Result<(Fences, Option<Box<Problem>>), Box<Problem>>,
    ) -> Answered {
        let (fences, failed) = brought?;
        self.token = Some(fences);
        self.is_watch_old = true;
        self.counted = self.front.metrics.fenced();
        failed.map_or(Ok(()), Err)
    }

    /// The resources of keys, each once.
    pub(super) fn resources(&self, keys: &[Vec<u8>]) -> Result<Vec<Matched>, Box<Problem>> {
        let mut all: Vec<Matched> = Vec::new();
        for key in keys {
            let found = match self.front.listener.rules.find_key(self.database, key) {
                Ok(Some(matched)) => matched,
                Ok(None) => {
                    let what = format!("\"{}\" in database {}", shown(key), self.database);
                    return Err(Box::new(self.problem(Denial::NoRule(what))));
                }
                Err(error) => {
                    let what = format!("\"{}\": {error}", shown(key));
                    return Err(Box::new(self.problem(Denial::NoRule(what))));
                }
            };
            if !all.iter().any(|known| known.resource == found.resource) {
                all.push(found);
            }
        }
        Ok(all)
    }

    pub(super) fn told(&self, denial: Denial, matched: &Matched) -> Problem {
        Problem {
            resource: Some(matched.resource.clone()),
            rule: Some(matched.rule.name.clone()),
            ..self.problem(denial)
        }
    }

    pub(super) fn wrong<T>(&self, what: &str) -> Result<T, Box<Problem>> {
        Err(Box::new(self.problem(Denial::Argument(what.to_owned()))))
    }
}
