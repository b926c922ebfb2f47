//! What a server says of itself, and whether a ledger may be kept on it. Pure but for the asking.

use super::keys::Keys;
use super::link::Link;
use super::script::{parts, text};
use super::settings::Settings;
use crate::ledger::replicated::store::About;

/// The oldest version that has what is needed.
const VERSION_MIN: (u32, u32) = (6, 2);

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// `master`, `slave`, or `sentinel`, by ROLE.
    pub(super) role: String,
    /// INFO, as it came.
    pub(super) info: String,
    /// `appendfsync`, or why it cannot be read.
    pub(super) fsync: Option<Result<String, String>>,
    /// `no-appendfsync-on-rewrite`, where it can be read.
    pub(super) rewrite: Option<String>,
}

impl Facts {
    pub(super) async fn read(link: &Link, keys: &Keys, user: &str) -> Result<Self, String> {
        let refused = |why: String| rights(&link.at, &why, keys, user);
        let role = link.ask(&redis::cmd("ROLE")).await.map_err(refused)?;
        let role = parts(&role).first().and_then(text).unwrap_or_default().to_owned();
        let mut facts = Self { role, ..Self::default() };
        if facts.role == "sentinel" {
            return Ok(facts);
        }
        let info = link.ask(&redis::cmd("INFO")).await.map_err(refused)?;
        facts.info = text(&info).unwrap_or_default().to_owned();
        if facts.field("aof_enabled") == Some("1") {
            facts.fsync = Some(setting(link, "appendfsync").await);
            facts.rewrite = setting(link, "no-appendfsync-on-rewrite").await.ok();
        }
        Ok(facts)
    }

    /// A line `name:value` of INFO.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
    }

    /// The history that the server is in.
    pub(super) fn history(&self) -> &str {
        self.field("master_replid").unwrap_or_default()
    }

    /// Whether all that was acknowledged survives a crash of this server alone.
    fn is_durable(&self) -> bool {
        matches!(&self.fsync, Some(Ok(fsync)) if fsync == "always")
            && self.rewrite.as_deref() != Some("yes")
    }

    /// What the ledger is kept in, or what has to be set for it to be.
    pub(super) fn judge(&self, at: &str, settings: &Settings) -> Result<About, String> {
        self.fits(at)?;
        let replicas = self.field("connected_slaves").unwrap_or("0");
        let mut what =
            format!("Redis {}, {}", self.field("redis_version").unwrap_or("?"), self.persistence());
        if settings.sentinel.is_some() {
            what.push_str(", through Sentinel");
        }
        let wait = settings.wait_replicas;
        if wait > 0 {
            what = format!("{what}, acknowledged by {wait} of {replicas} replicas");
            let loses = (replicas.parse::<u32>().unwrap_or(0) > wait).then(|| {
                format!(
                    "a failover to one of the {replicas} replicas that is not among the {wait} \
                     that have acknowledged the newest marks loses them; it is noticed, and \
                     takeovers wait for an operator"
                )
            });
            return Ok(About { what, loses });
        }
        let crash = "and marks that were acknowledged are gone";
        let lacks = match (settings.sentinel.is_some(), &self.fsync) {
            (true, _) => format!(
                "a failover can promote a replica that lacks the newest changes, {crash}: set \
                 wait_replicas of [ledger.redis] to 1 or more (what min-replicas-to-write promises \
                 is not enough)"
            ),
            (false, _) if self.is_durable() => return Ok(About { what, loses: None }),
            (false, Some(Ok(fsync))) if fsync == "always" => format!(
                "while it rewrites its append-only file it does not sync, {crash} if it then \
                 crashes: type at the server: CONFIG SET no-appendfsync-on-rewrite no"
            ),
            (false, Some(Ok(fsync))) => format!(
                "it has appendfsync {fsync}: it answers before the disk has it, {crash} if it \
                 then crashes: type at the server: CONFIG SET appendfsync always"
            ),
            (false, Some(Err(why))) => format!(
                "whether it has appendfsync always cannot be read ({why}): type at the server: ACL \
                 SETUSER {} +config|get",
                settings.login.user.as_deref().unwrap_or("default")
            ),
            (false, None) => format!(
                "it has appendonly no: it keeps nothing on disk that it has just answered, {crash} \
                 if it then crashes: type at the server: CONFIG SET appendonly yes, and CONFIG SET \
                 appendfsync always"
            ),
        };
        if !settings.accept_loss {
            return Err(format!(
                "{at} is no place for marks as it is: {lacks}; write it into its redis.conf, too; \
                 or set wait_replicas of [ledger.redis]; or, to take the risk, accept_loss = true"
            ));
        }
        let loses = match settings.sentinel {
            Some(_) => {
                "a failover of Redis loses the marks that the new primary does not have; \
                        a replica of Palisade that was running notices, and takeovers wait for an \
                        operator"
            }
            None => {
                "a crash of Redis loses the marks that it had not written to disk; a replica \
                     of Palisade that was running notices, and takeovers wait for an operator"
            }
        };
        Ok(About { what, loses: Some(loses.to_owned()) })
    }

    fn fits(&self, at: &str) -> Result<(), String> {
        match self.role.as_str() {
            "master" => {}
            "sentinel" => {
                return Err(format!(
                    "{at} is a Sentinel: give [ledger.redis] a `sentinel` table, with the name of \
                     the service"
                ));
            }
            _ => {
                return Err(format!(
                    "{at} is not the primary but a replica of {}:{}: give [ledger.redis] the \
                     primary, or the Sentinels",
                    self.field("master_host").unwrap_or("?"),
                    self.field("master_port").unwrap_or("?")
                ));
            }
        }
        if self.field("redis_mode") == Some("cluster") {
            return Err(format!(
                "{at} is a node of a Redis Cluster, where nobody can say what a failover has \
                 lost: give [ledger.redis] a server of its own, or Sentinels"
            ));
        }
        let version = self.field("redis_version").unwrap_or_default();
        let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
        if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < VERSION_MIN {
            return Err(format!("{at} is Redis {version}; the ledger needs 6.2 or later"));
        }
        match self.field("maxmemory_policy") {
            Some("noeviction") => Ok(()),
            policy => Err(format!(
                "{at} evicts keys when memory is short (maxmemory-policy {}), and marks with them: \
                 type at the server: CONFIG SET maxmemory-policy noeviction, and write it into its \
                 redis.conf",
                policy.unwrap_or("cannot be read")
            )),
        }
    }

    fn persistence(&self) -> String {
        match &self.fsync {
            None => "appendonly no".to_owned(),
            Some(Ok(fsync)) => format!("appendonly yes, appendfsync {fsync}"),
            Some(Err(_)) => "appendonly yes".to_owned(),
        }
    }
}

async fn setting(link: &Link, name: &str) -> Result<String, String> {
    let mut command = redis::cmd("CONFIG");
    let answer = link.ask(command.arg("GET").arg(name)).await?;
    let value = parts(&answer).get(1).and_then(text);
    value.map(str::to_owned).ok_or_else(|| format!("it has no {name}"))
}

/// By what a server says in refusing a command that the ledger needs.
pub(super) fn rights(at: &str, why: &str, keys: &Keys, user: &str) -> String {
    let is_right = ["NOPERM", "ACL failure", "can't run this command", "can't access at least"];
    let mend = if is_right.iter().any(|words| why.contains(words)) {
        format!("; type at the server: ACL SETUSER {user} {} {RIGHTS}", keys.pattern())
    } else if why.starts_with("NOAUTH") {
        "; give [ledger.redis] a `password_file`, and a `user` where there are ACLs".to_owned()
    } else {
        String::new()
    };
    format!("{at}: {why}{mend}")
}

/// What the user has to be allowed, as ACL SETUSER takes it.
pub(super) const RIGHTS: &str = "+role +info +config|get +client|setname +select +wait +eval \
    +evalsha +get +set +del +exists +incr +incrby +hget +hset +hmget +hincrby +pexpire +zadd +zrem +zrange \
    +zrangebylex +zscore +zremrangebyrank +xadd +xrange +xread";
