//! `[ledger.redis]`: a ledger that several replicas share, as durable as that Redis is.

use std::time::Duration;

use super::transport::{self, Form};
use crate::config::foreign;
use crate::config::section::Section;
use crate::config::upstreams::redis::{self, PORT, SENTINEL_PORT};
use crate::config::values::show_duration;
use crate::ledger::redis::{Endpoint, Login, Sentinel, Settings};

const WAIT_TIMEOUT: Duration = Duration::from_secs(1);
/// The largest number of a database: Redis counts them in an `int`.
const DATABASE_MAX: u64 = 0x7fff_ffff;
/// More replicas than anybody has.
const WAIT_REPLICAS_MAX: u64 = 64;

pub(super) fn read(section: &Section<'_>, timeout: Duration) -> Option<Settings> {
    let has_sentinel = section.has("sentinel");
    let port = if has_sentinel { SENTINEL_PORT } else { PORT };
    let form = Form { plain: "redis", secure: "rediss", port, what: "Redis" };
    let peers = transport::read(section, &form);
    let sentinel = has_sentinel.then(|| redis::sentinel(&section.table("sentinel")));
    let namespace = super::namespace(section);
    let user = redis::user(section);
    let password = redis::password(section, user.is_some());
    let database = section.integer("database", 0..=DATABASE_MAX).unwrap_or_default();
    let wait_replicas = section.integer("wait_replicas", 0..=WAIT_REPLICAS_MAX).unwrap_or_default();
    let wait_timeout = section.duration("wait_timeout").unwrap_or(WAIT_TIMEOUT);
    if wait_replicas == 0 {
        let why = "no replica is waited for";
        foreign::warn(section, why, &["wait_timeout"], "write `wait_replicas`, or leave it out");
    } else if wait_timeout > timeout {
        let message = format!(
            "replicas may take {} (`wait_timeout`) to acknowledge a change, and a request is given \
             up after {} (`timeout` in [ledger.session])",
            show_duration(wait_timeout),
            show_duration(timeout)
        );
        section.error_at("wait_timeout", message, "write a `wait_timeout` that is shorter");
    }
    let peers = peers?;
    if !has_sentinel && peers.endpoints.len() > 1 {
        let message = format!(
            "`endpoints` has {} servers, and nobody says which of them is the primary",
            peers.endpoints.len()
        );
        let mend = "name the Sentinels instead and add `[ledger.redis.sentinel]` with `service`";
        section.error_at("endpoints", message, mend);
    }
    let password = password?.0;
    peers.check_login(section, password.is_some());
    let sentinel = match sentinel {
        None => None,
        Some(sentinel) => {
            let redis_sentinel = sentinel?;
            Some(Sentinel {
                service: redis_sentinel.service,
                login: Login { user: redis_sentinel.user, password: redis_sentinel.password.0 },
            })
        }
    };
    Some(Settings {
        endpoints: peers
            .endpoints
            .into_iter()
            .map(|(host, port)| Endpoint { host, port })
            .collect(),
        sentinel,
        tls: peers.tls,
        login: Login { user, password },
        database: u32::try_from(database).ok()?,
        namespace: namespace?.into(),
        wait_replicas: u32::try_from(wait_replicas).ok()?,
        wait_timeout,
        accept_loss: section.boolean("accept_loss").unwrap_or_default(),
        timeout,
    })
}
