//! Why a call of etcd failed: what can be said of its effect, who may do better, and what a
//! person has to do.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use super::grpc::Status;

/// See the module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    /// It is certain that nothing was done, and that nothing will be.
    pub(super) is_undone: bool,
    pub(super) cause: Cause,
    /// A sentence that names the member.
    pub(super) what: String,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// Another member may answer.
    Member,
    /// The token that stands for user and password is not valid any more.
    Token,
    /// A lease is not there any more.
    LeaseGone,
    /// No member will answer otherwise.
    Final,
}

impl Failure {
    /// Nothing was sent: this member cannot be used.
    pub(super) fn unreached(endpoint: &str, why: impl std::fmt::Display) -> Self {
        let what = format!("etcd at {endpoint}: {why}");
        Self { is_undone: true, cause: Cause::Member, what }
    }

    /// The connection broke off while the answer was waited for.
    pub(super) fn broken(endpoint: &str, why: impl std::fmt::Display) -> Self {
        Self { is_undone: false, ..Self::unreached(endpoint, why) }
    }

    /// There was no answer in time.
    pub(super) fn timeout(endpoint: &str, after: Duration) -> Self {
        let why = format!(
            "no answer within {} ms; look whether it hangs, or whether its disk is slow",
            after.as_millis()
        );
        Self::broken(endpoint, why)
    }

    /// The answer makes no sense.
    pub(super) fn nonsense(endpoint: &str, why: impl std::fmt::Display) -> Self {
        let what = format!("etcd at {endpoint}: {why}; is it etcd 3.4 or later?");
        Self { is_undone: false, cause: Cause::Final, what }
    }

    /// What a server's word means. `user` and `prefix` are for the sentences alone.
    ///
    /// A failure counts as undone only where etcd decides it before it proposes the request to
    /// the cluster, or before it applies any of it. That the space is exceeded it also says of
    /// transactions that it has just done.
    pub(super) fn of(endpoint: &str, status: &Status, user: Option<&str>, prefix: &str) -> Self {
        use Cause::{Final, LeaseGone, Member, Token};

        let says = |text: &str| status.message.contains(text);
        let user = user.unwrap_or("(of the certificate)");
        let (is_undone, cause, why) = if says("authentication failed") {
            let why = format!("the password of the user {user} is wrong, or there is no such user");
            (true, Final, why)
        } else if says("user name is empty") {
            let why = "it wants a user and a password; give both, or a client certificate whose \
                       common name is a user of etcd";
            (true, Token, why.to_owned())
        } else if status.code == 16 || says("invalid auth token") || says("auth store is old") {
            (true, Token, "the login is not valid any more".to_owned())
        } else if status.code == 7 {
            let why = format!(
                "the user {user} has no right to the keys of this namespace; give its role that: \
                 etcdctl role grant-permission ROLE --prefix=true readwrite {prefix}"
            );
            (true, Final, why)
        } else if says("database space exceeded") {
            let why = "it has no space left; compact and defragment it, then end the alarm: \
                       etcdctl alarm disarm";
            (false, Final, why.to_owned())
        } else if says("too many operations") {
            (
                true,
                Final,
                "it takes too few operations at once; start it with --max-txn-ops=128, \
                           the default, or more"
                    .to_owned(),
            )
        } else if says("request is too large") || says("received message larger than max") {
            (
                true,
                Final,
                "it takes too small requests only; start it with \
                           --max-request-bytes=1572864, the default, or more"
                    .to_owned(),
            )
        } else if says("too many requests") {
            let why = "it has more to do than it can; look at its disk, and at who else uses it";
            (true, Final, why.to_owned())
        } else if says("requested lease not found") {
            (true, LeaseGone, "the lease is over".to_owned())
        } else if says("no leader") {
            let why = "it knows no leader; more than half of the members have to be up and to \
                       reach each other";
            (true, Member, why.to_owned())
        } else if says("not supported for learner") {
            (true, Member, "it is a learner; promote it, or leave it out".to_owned())
        } else if says("not capable") || status.code == 12 {
            (
                true,
                Member,
                format!("it cannot do this ({}); 3.4 or later is needed", status.message),
            )
        } else if status.code == 14 || says("leader changed") || says("timed out") {
            (false, Member, status.message.clone())
        } else {
            (false, Final, format!("{} (gRPC status {})", status.message, status.code))
        };
        Self { is_undone, cause, what: format!("etcd at {endpoint}: {why}") }
    }
}

/// How deep errors are looked into.
const CAUSES_MAX: usize = 16;

/// Why a connection could not be made, or did not last: the last thing that is known, and the
/// mend where it is TLS.
pub(super) fn explained(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    let mut kind = None;
    for _ in 0..CAUSES_MAX {
        if let Some(tls) = innermost.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        // An error inside of an `io::Error` is not its source: that is the inner one's.
        let outer = innermost.downcast_ref::<io::Error>();
        kind = outer.map(io::Error::kind).or(kind);
        let inner = match outer.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => innermost.source(),
        };
        let Some(inner) = inner else { break };
        innermost = inner;
    }
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => {
            "nothing listens there; start it, or correct the endpoint".to_owned()
        }
        // Who refuses a client certificate says so and hangs up; what is written meanwhile can
        // fail before that has been read.
        Some(
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe,
        ) => "it closed the connection; if it does so at once, look whether TLS is spoken by both \
             sides, or by neither, and whether it trusts the client certificate"
            .to_owned(),
        // Over HTTP/2 nothing but the text of it is left.
        _ => match innermost.to_string() {
            text if text.contains("fatal alert") => refused(&text),
            text => text,
        },
    }
}

fn refused(why: &str) -> String {
    format!(
        "it refuses the TLS connection ({why}); give a client certificate and key of an authority \
         that it trusts"
    )
}

fn of_tls(error: &rustls::Error) -> String {
    use CertificateError as Bad;

    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "its certificate comes from an authority that is not trusted here; give that \
             authority's certificate as ca"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        ) => "its certificate does not bear the name it is reached by; set server_name, or have \
              it issued anew"
            .to_owned(),
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "its certificate has expired; renew it".to_owned()
        }
        rustls::Error::AlertReceived(_) => refused(&error.to_string()),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS; write http:// for it, or switch TLS on there".to_owned()
        }
        other => format!("TLS failed: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_means() {
        fn check(code: u32, message: &str, is_undone: bool, cause: Cause, part: &str) {
            let status = Status { code, message: message.to_owned() };
            let failure = Failure::of("h:1", &status, Some("ann"), "/p/");
            assert_eq!((failure.is_undone, failure.cause), (is_undone, cause), "{message}");
            assert!(failure.what.starts_with("etcd at h:1: "), "{}", failure.what);
            assert!(failure.what.contains(part), "{}", failure.what);
        }

        let auth = "etcdserver: authentication failed, invalid user ID or password";
        check(3, auth, true, Cause::Final, "password of the user ann is wrong");
        check(16, "etcdserver: invalid auth token", true, Cause::Token, "login");
        check(3, "etcdserver: revision of auth store is old", true, Cause::Token, "login");
        check(3, "etcdserver: user name is empty", true, Cause::Token, "wants a user");
        check(7, "etcdserver: permission denied", true, Cause::Final, "readwrite /p/");
        let full = "etcdserver: mvcc: database space exceeded";
        check(8, full, false, Cause::Final, "etcdctl alarm disarm");
        check(8, "etcdserver: too many requests", true, Cause::Final, "more to do");
        let many = "etcdserver: too many operations in txn request";
        check(3, many, true, Cause::Final, "--max-txn-ops");
        let large = "grpc: received message larger than max (4 vs. 3)";
        for (code, message) in [(3, "etcdserver: request is too large"), (8, large)] {
            check(code, message, true, Cause::Final, "--max-request-bytes");
        }
        check(5, "etcdserver: requested lease not found", true, Cause::LeaseGone, "lease");
        check(14, "etcdserver: no leader", true, Cause::Member, "knows no leader");
        check(14, "etcdserver: leader changed", false, Cause::Member, "leader changed");
        check(14, "etcdserver: request timed out", false, Cause::Member, "timed out");
        check(14, "transport is closing", false, Cause::Member, "closing");
        check(12, "unknown service", true, Cause::Member, "3.4 or later");
        check(2, "raft proposal dropped", false, Cause::Final, "raft proposal dropped");
    }

    #[test]
    fn what_an_error_of_a_connection_means() {
        fn check(error: io::Error, part: &str) {
            let text = explained(&error);
            assert!(text.contains(part), "{text}");
        }

        check(io::ErrorKind::ConnectionRefused.into(), "nothing listens");
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        check(io::Error::new(io::ErrorKind::InvalidData, unknown.clone()), "not trusted");
        check(io::Error::other(io::Error::other(unknown)), "not trusted");
        let end = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
        check(end, "TLS is spoken by both sides");
        check(io::Error::new(io::ErrorKind::BrokenPipe, "closed"), "the client certificate");
        let alert = rustls::AlertDescription::BadCertificate;
        let alert = rustls::Error::AlertReceived(alert);
        check(io::Error::other(alert.to_string()), "client certificate");
        check(io::Error::other(alert), "client certificate");
    }
}
