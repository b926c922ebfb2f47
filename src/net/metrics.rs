//! The names of what this layer counts, and their descriptions.

use metrics::{Unit, describe_counter, describe_gauge};

/// When the server certificate of a listener ends, in seconds since 1970.
pub const CERTIFICATE_EXPIRY: &str = "palisade_tls_certificate_expiry_timestamp_seconds";
/// When the first revocation list of a listener ends, in seconds since 1970.
pub const LIST_EXPIRY: &str = "palisade_tls_crl_expiry_timestamp_seconds";
/// Reloads of a listener's TLS files, by `result`: `ok` or `failed`.
pub const RELOADS: &str = "palisade_tls_reloads_total";
/// 1 while a listener's TLS files do not load and the ones before them are in force.
pub const RELOAD_FAILING: &str = "palisade_tls_reload_failing";
/// Connections open now, by `listener`, handshakes included.
pub const CONNECTIONS_OPEN: &str = "palisade_connections_open";
/// Connections whose client was authenticated, by `listener`.
pub const CONNECTIONS: &str = "palisade_connections_total";
/// Connections refused, by `listener` and `reason`.
pub const CONNECTIONS_REFUSED: &str = "palisade_connections_refused_total";
/// Connections cut, by `listener` and `reason`.
pub const CONNECTIONS_CUT: &str = "palisade_connections_cut_total";
/// Failures to accept a connection, by `listener`: no file descriptors left, mostly.
pub const ACCEPT_ERRORS: &str = "palisade_accept_errors_total";

/// Tells the recorder what each of them is. Call it once, after the recorder is installed.
pub fn describe() {
    describe_gauge!(
        CERTIFICATE_EXPIRY,
        Unit::Seconds,
        "When the server certificate of a listener ends, in seconds since 1970"
    );
    describe_gauge!(
        LIST_EXPIRY,
        Unit::Seconds,
        "When the first revocation list of a listener ends, in seconds since 1970"
    );
    describe_counter!(RELOADS, "Reloads of a listener's TLS files, by result");
    describe_gauge!(RELOAD_FAILING, "1 while a listener's TLS files on disk do not load");
    describe_gauge!(CONNECTIONS_OPEN, "Connections open now, handshakes included");
    describe_counter!(CONNECTIONS, "Connections whose client was authenticated");
    describe_counter!(CONNECTIONS_REFUSED, "Connections refused, by reason");
    describe_counter!(CONNECTIONS_CUT, "Connections cut by Palisade, by reason");
    describe_counter!(ACCEPT_ERRORS, "Failures to accept a connection");
}
