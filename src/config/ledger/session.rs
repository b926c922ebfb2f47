//! `[ledger.session]`: how long a replica relies on a shared ledger that it does not hear of, and
//! whether that fits the times of the rules.
//!
//! ```text
//! ttl >= margin + drain + 3 keepalives, each at least `timeout` and at least 500 ms
//! ```
//!
//! `drain` is the longest of the rules for sessions, and at least a second. Three keepalives, so
//! that one which is lost, and one which is slow, suspend nobody.

use std::time::Duration;

use super::{KEEPALIVE_MIN, is_word};
use crate::config::listeners;
use crate::config::resources::Entry;
use crate::config::section::Section;
use crate::config::sessions::Settling;
use crate::config::upstreams;
use crate::config::values::show_duration;
use crate::ledger::replicated::{KEEPALIVES_MIN, Settings};

/// Where no rule says more: what closing connections takes.
const DRAIN_MIN: Duration = Duration::from_secs(1);
/// Clocks of two machines do not run at the same speed, and closing takes a moment.
const MARGIN_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MIN: Duration = Duration::from_millis(50);
/// Whoever takes over from a replica that died waits as long as that.
const TTL_MAX: Duration = Duration::from_secs(600);
/// `[palisade:NAME#NUMBER]` is in PostgreSQL's `application_name`, which has 63 bytes; a number has
/// at most 20 digits.
const REPLICA_BYTES_MAX: usize = 31;

/// What the table says.
pub(super) struct Session<'a> {
    section: Section<'a>,
    replica: Option<String>,
    ttl: Duration,
    margin: Duration,
    timeout: Duration,
}

impl<'a> Session<'a> {
    pub(super) fn read(section: Section<'a>, is_shared: bool) -> Self {
        let Settings { ttl, margin, timeout, .. } = Settings::default();
        let bounded = |key: &str, bounds: std::ops::RangeInclusive<Duration>, default: Duration| {
            let value = section.duration(key).unwrap_or(default);
            if !bounds.contains(&value) {
                let (low, high) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
                let message = format!("`{key}` is out of bounds");
                section.error_at(key, message, format!("from {low} to {high}"));
                return default;
            }
            value
        };
        let ttl = bounded("ttl", Duration::from_secs(1)..=TTL_MAX, ttl);
        let margin = bounded("margin", MARGIN_MIN..=TTL_MAX, margin);
        let timeout = bounded("timeout", TIMEOUT_MIN..=TTL_MAX, timeout);
        let replica = is_shared.then(|| replica(&section)).flatten();
        Self { section, replica, ttl, margin, timeout }
    }

    /// How long the ledger may take to answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// etcd counts the time to live of a lease in seconds.
    pub(super) fn check_whole_seconds(&self) {
        if self.ttl.subsec_nanos() != 0 {
            let mend = format!("write `ttl = \"{}s\"`", self.ttl.as_secs() + 1);
            self.section.error_at("ttl", "etcd counts `ttl` in whole seconds", mend);
        }
    }

    /// `None` when the times do not fit each other, or there is no name.
    pub(super) fn finish(
        self,
        rules: &[Entry<'_>],
        listeners: &[listeners::Entry<'_>],
    ) -> Option<Settings> {
        let of_sessions =
            rules.iter().filter(|rule| Settling::of(rule, listeners) != Settling::Requests);
        let longest = of_sessions.max_by_key(|rule| rule.rule.sessions.drain);
        let (drain, why) = match longest {
            Some(rule) if rule.rule.sessions.drain > DRAIN_MIN => {
                (rule.rule.sessions.drain, format!("`drain` of rule \"{}\"", rule.rule.name))
            }
            _ => (DRAIN_MIN, "to end what is under way".to_owned()),
        };
        let replica = self.replica.clone();
        let fits = self.check_times(drain, &why);
        self.check_takeovers(rules, listeners);
        let Self { ttl, margin, timeout, .. } = self;
        let replica = replica.filter(|_| fits)?.into();
        Some(Settings { replica, ttl, margin, drain, timeout })
    }

    fn check_times(&self, drain: Duration, why: &str) -> bool {
        let Self { section, ttl, margin, timeout, .. } = self;
        let keepalive = KEEPALIVE_MIN.max(*timeout);
        let least = *margin + drain + keepalive * KEEPALIVES_MIN;
        if *ttl >= least {
            return true;
        }
        let left = match ttl.checked_sub(*margin + drain) {
            Some(left) => show_duration(left),
            None => "less than nothing".to_owned(),
        };
        let message = format!(
            "the times of the session do not fit: `ttl` {} - `margin` {} - {} ({why}) leaves {left} \
             for {KEEPALIVES_MIN} keepalives, of which each may take {}: at least {}",
            show_duration(*ttl),
            show_duration(*margin),
            show_duration(drain),
            show_duration(keepalive),
            show_duration(keepalive * KEEPALIVES_MIN),
        );
        let seconds = Duration::from_secs(least.as_millis().div_ceil(1_000) as u64);
        let mend = match seconds > TTL_MAX {
            true => format!("write a shorter `drain`: `ttl` is at most {}", show_duration(TTL_MAX)),
            false => format!("write `ttl = \"{}s\"` in [ledger.session]", seconds.as_secs()),
        };
        section.error_at("ttl", message, mend);
        false
    }

    /// After a crash the next leader waits until the dead replica's session is over, and for
    /// stores that cannot be asked `settle_timeout` more. Said once, for the rule with the most.
    fn check_takeovers(&self, rules: &[Entry<'_>], listeners: &[listeners::Entry<'_>]) {
        let settle = |rule: &Entry<'_>| match Settling::of(rule, listeners) {
            Settling::Requests => rule.rule.settle_timeout,
            Settling::Postgres | Settling::Redis => Duration::ZERO,
        };
        let waits = |rule: &Entry<'_>| self.ttl + settle(rule);
        let short: Vec<_> =
            rules.iter().filter(|rule| rule.rule.takeover_timeout < waits(rule)).collect();
        let Some(rule) = short.iter().max_by_key(|rule| waits(rule)) else { return };
        let settling = match settle(rule) {
            Duration::ZERO => "until the server has ended its connections".to_owned(),
            settle => format!("{} for the store (`settle_timeout`)", show_duration(settle)),
        };
        let (takeover, longest) = (rule.rule.takeover_timeout, waits(rule));
        let tries = longest.as_millis().div_ceil(takeover.as_millis().max(1));
        let others = match short.len() - 1 {
            0 => String::new(),
            1 => "; one more rule is like that".to_owned(),
            others => format!("; {others} more rules are like that"),
        };
        let message = format!(
            "after a crash of a replica a takeover waits up to {} for its session (`ttl`) and then \
             {settling}, {} in all; a new leader waits {} a try (`takeover_timeout`), so it is told \
             `unsettled` up to {} times and has to ask again{others}",
            show_duration(self.ttl),
            show_duration(longest),
            show_duration(takeover),
            tries.max(1),
        );
        let mend = format!(
            "write `takeover_timeout = \"{}s\"`, if clients wait so long, or see that they ask again",
            longest.as_secs() + 1
        );
        rule.section.report().warn(&rule.section.span_of("takeover_timeout"), message, mend);
    }
}

/// What this process is called: by default as its machine is.
fn replica(section: &Section<'_>) -> Option<String> {
    if section.has("replica") {
        let text = section.string("replica")?;
        return super::word(section, &text, "replica", REPLICA_BYTES_MAX);
    }
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    if !is_word(&host, REPLICA_BYTES_MAX) {
        let message = format!(
            "the name of this machine, \"{}\", cannot be that of a replica",
            host.escape_debug()
        );
        let mend = format!(
            "write `replica` in [ledger.session]: 1 to {REPLICA_BYTES_MAX} letters, digits, `-`, \
             `_` and `.`"
        );
        section.report().error(&section.span, message, mend);
        return None;
    }
    Some(host.into_owned())
}

/// Names that upstreams have for Palisade, beside the one that it has everywhere.
pub(super) fn names_of_upstreams(upstreams: &[upstreams::Entry], session: &Session<'_>) {
    for entry in upstreams {
        let Some(span) = &entry.replica else { continue };
        let message = "`replica` has no effect: with a shared ledger connections bear the name of \
                       the session";
        let mend = "leave it out; `replica` in [ledger.session] is the name of this process";
        session.section.report().warn(span, message, mend);
    }
}
