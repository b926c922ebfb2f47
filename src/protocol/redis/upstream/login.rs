//! Logging in: what is sent in one write, and how the answers are read.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::error::OpenError;
use super::server::ServerId;
use super::settings::{Endpoint, Password, Upstream};
use super::wire::{Batch, LOGIN_BYTES_MAX, Wire, WireError, field, refusal, text};

/// The oldest version that has what is needed: `CLIENT LIST ID`, `RESET`.
const VERSION_MIN: (u32, u32) = (6, 2);

/// What the user needs besides the clients' own commands, as ACL SETUSER takes it.
pub(super) const RIGHTS: &str = "+client +info +role +ping +command";

/// Characters of a server's own words that are shown.
const WORDS_MAX: usize = 200;

/// What a server has told of itself at a login.
pub(super) struct Greeting {
    pub(super) server: ServerId,
    pub(super) client_id: u64,
    pub(super) is_primary: bool,
}

/// AUTH, if there is anything to say.
pub(super) fn auth(batch: &mut Batch, user: Option<&str>, password: &Password) {
    let password = password.0.as_ref().map(|it| it.as_bytes());
    match (user, password) {
        (Some(user), password) => {
            batch.push(&[b"AUTH", user.as_bytes(), password.unwrap_or_default()]);
        }
        (None, Some(password)) => batch.push(&[b"AUTH", password]),
        (None, None) => {}
    }
}

/// AUTH and CLIENT SETNAME.
pub(super) fn credentials(upstream: &Upstream, name: &[u8]) -> Batch {
    let mut batch = Batch::new();
    auth(&mut batch, upstream.user.as_deref(), &upstream.password);
    batch.push(&[b"CLIENT", b"SETNAME", name]);
    batch
}

/// Logs in, and asks the server who it is, within `login_timeout`.
pub(super) async fn log_in(
    wire: &mut Wire,
    upstream: &Upstream,
    endpoint: &Endpoint,
    name: &[u8],
) -> Result<Greeting, OpenError> {
    let host: Arc<str> = endpoint.to_string().into();
    let login = Login { upstream, host: &host };
    let mut batch = credentials(upstream, name);
    let before = batch.len();
    // PING is the one that a server refuses while it loads its data.
    for command in ["CLIENT ID", "INFO server", "ROLE", "PING"] {
        batch.words(command);
    }
    let answers = wire.ask(&batch, LOGIN_BYTES_MAX, upstream.login_timeout).await;
    let answers = answers.map_err(|error| login.failed(error, upstream.login_timeout))?;
    if let Some(why) = answers.iter().find_map(refusal) {
        return Err(login.refused(&why));
    }
    let Some([id, info, role, _ping]) = answers.get(before..) else {
        return Err(login.strange("it ends the connection in the middle of the login"));
    };
    let (Value::Int(id), Some(info)) = (id, text(info)) else {
        return Err(login.strange("its answers to CLIENT ID and INFO are none"));
    };
    let client_id = u64::try_from(*id).map_err(|_| login.strange("its client id is negative"))?;
    let server = login.identify(&String::from_utf8_lossy(info), endpoint)?;
    let Value::Array(role) = role else {
        return Err(login.strange("its answer to ROLE is none"));
    };
    let is_primary = role.first().and_then(text) == Some(b"master");
    Ok(Greeting { server, client_id, is_primary })
}

/// At whom a login is.
pub(super) struct Login<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) host: &'a Arc<str>,
}

impl Login<'_> {
    fn identify(&self, info: &str, endpoint: &Endpoint) -> Result<ServerId, OpenError> {
        let (upstream, host) = (self.upstream.name.clone(), self.host.clone());
        match field(info, "redis_mode") {
            Some("cluster") => return Err(OpenError::Cluster { upstream, host }),
            Some("sentinel") => {
                return Err(self.strange(
                    "it is a Sentinel; give the upstream a `sentinel` table, with the name of the \
                     service",
                ));
            }
            _ => {}
        }
        let (Some(version), Some(run_id)) = (field(info, "redis_version"), field(info, "run_id"))
        else {
            return Err(self.strange("INFO names no redis_version or no run_id"));
        };
        let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
        let known = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if known < VERSION_MIN {
            return Err(OpenError::TooOld { upstream, host, version: shown(version) });
        }
        if run_id.is_empty() {
            return Err(self.strange("its run_id is empty"));
        }
        Ok(ServerId {
            host,
            run_id: shown(run_id).into(),
            endpoint: endpoint.clone(),
            version: shown(version).into(),
            view: 0,
        })
    }

    /// By what the server says in refusing something. None of it can have the password: a server
    /// does not repeat it.
    pub(super) fn refused(&self, why: &str) -> OpenError {
        let (upstream, host) = (self.upstream.name.clone(), self.host.clone());
        let why = shown(why);
        let (code, _) = why.split_once(' ').unwrap_or((&why, ""));
        let user = self.upstream.user.as_deref().unwrap_or("default");
        let keys = format!("[upstreams.{upstream}.redis]");
        let mend = match code {
            _ if why.contains("max number of clients") => {
                return OpenError::Full { upstream, host };
            }
            "LOADING" | "BUSY" | "MASTERDOWN" => {
                return OpenError::Loading { upstream, host, why };
            }
            "WRONGPASS" => format!("correct `user` and `password_file` of {keys}"),
            "NOAUTH" => format!("give {keys} a `password_file`, and a `user` where there are ACLs"),
            "NOPERM" => format!(
                "type at the server: ACL SETUSER {user} {RIGHTS}; or name another in `user` of \
                 {keys}"
            ),
            "DENIED" => "give the server a password (requirepass), and `password_file`".to_owned(),
            _ if why.contains("without any password configured") => {
                format!(
                    "the server asks for none: leave out `password_file` of {keys}, or set \
                     requirepass there"
                )
            }
            _ => format!("see `user` and `password_file` of {keys}"),
        };
        OpenError::Login(format!(
            "{host} of upstream {upstream} does not let user {user} in: {why}; {mend}"
        ))
    }

    pub(super) fn failed(&self, error: WireError, after: Duration) -> OpenError {
        let upstream = self.upstream.name.clone();
        match error {
            WireError::Io(cause) => {
                OpenError::Unreachable { upstream, cause: format!("{}: {cause}", self.host) }
            }
            WireError::Protocol(why) => self.strange(&why),
            WireError::Late(_) => OpenError::Timeout { upstream, limit: "login_timeout", after },
        }
    }

    pub(super) fn strange(&self, why: &str) -> OpenError {
        let (upstream, host) = (self.upstream.name.clone(), self.host.clone());
        OpenError::Protocol { upstream, host, why: why.to_owned() }
    }
}

/// A server's own words, cut.
pub(super) fn shown(words: &str) -> String {
    words.chars().take(WORDS_MAX).map(|it| if it.is_control() { ' ' } else { it }).collect()
}
