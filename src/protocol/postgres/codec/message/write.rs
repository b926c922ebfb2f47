//! Messages as bytes, put at the end of a buffer.
//!
//! Texts are cut at a NUL, which ends a text in this protocol: what is behind it would be read as
//! the next field.

use super::super::startup::{CANCEL_CODE, SSL_CODE, VERSION_3};
use super::read::Status;

/// The object identifier of the type `text`.
const TEXT_OID: u32 = 25;

/// How bad it is, by PostgreSQL's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// Something to look at.
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Warning => "WARNING",
        }
    }
}

/// What an error or a notice says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Report<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// Five letters and digits.
    pub sqlstate: &'a str,
    /// What happened.
    pub message: &'a str,
    /// More about it.
    pub detail: Option<&'a str>,
    /// What to do.
    pub hint: Option<&'a str>,
}

/// ErrorResponse.
pub fn error(out: &mut Vec<u8>, report: &Report<'_>) {
    message(out, b'E', |out| put_report(out, report));
}

/// NoticeResponse.
pub fn notice(out: &mut Vec<u8>, report: &Report<'_>) {
    message(out, b'N', |out| put_report(out, report));
}

fn put_report(out: &mut Vec<u8>, report: &Report<'_>) {
    let word = report.severity.word();
    let fields = [
        (b'S', Some(word)),
        (b'V', Some(word)),
        (b'C', Some(report.sqlstate)),
        (b'M', Some(report.message)),
        (b'D', report.detail),
        (b'H', report.hint),
    ];
    for (tag, text) in fields {
        if let Some(text) = text {
            out.push(tag);
            put_text(out, text);
        }
    }
    out.push(0);
}

/// ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, b'S', |out| {
        put_text(out, name);
        put_text(out, value);
    });
}

/// AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    message(out, b'R', |out| put_u32(out, 0));
}

/// BackendKeyData.
pub fn backend_key(out: &mut Vec<u8>, pid: u32, secret: &[u8]) {
    message(out, b'K', |out| {
        put_u32(out, pid);
        out.extend_from_slice(secret);
    });
}

/// ReadyForQuery.
pub fn ready(out: &mut Vec<u8>, status: Status) {
    message(out, b'Z', |out| out.push(status.byte()));
}

/// RowDescription of columns of type `text`.
pub fn row_description(out: &mut Vec<u8>, names: &[&str]) {
    message(out, b'T', |out| {
        put_count(out, names.len());
        for name in names {
            put_text(out, name);
            // No table, no column of one.
            out.extend_from_slice(&[0; 6]);
            put_u32(out, TEXT_OID);
            // Of any length, no modifier, as text.
            out.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        }
    });
}

/// DataRow. `None` is NULL.
pub fn data_row(out: &mut Vec<u8>, values: &[Option<&str>]) {
    message(out, b'D', |out| {
        put_count(out, values.len());
        for value in values {
            match value {
                Some(value) => {
                    put_len(out, value.len());
                    out.extend_from_slice(value.as_bytes());
                }
                None => put_u32(out, u32::MAX),
            }
        }
    });
}

/// CommandComplete.
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |out| put_text(out, tag));
}

/// NegotiateProtocolVersion: the newest minor version that is spoken, and what is not understood.
pub fn negotiate(out: &mut Vec<u8>, minor: u16, options: &[String]) {
    message(out, b'v', |out| {
        put_u32(out, VERSION_3 | u32::from(minor));
        put_len(out, options.len());
        for option in options {
            put_text(out, option);
        }
    });
}

/// ParseComplete.
pub fn parse_complete(out: &mut Vec<u8>) {
    message(out, b'1', |_| ());
}

/// BindComplete.
pub fn bind_complete(out: &mut Vec<u8>) {
    message(out, b'2', |_| ());
}

/// CloseComplete.
pub fn close_complete(out: &mut Vec<u8>) {
    message(out, b'3', |_| ());
}

/// NoData.
pub fn no_data(out: &mut Vec<u8>) {
    message(out, b'n', |_| ());
}

/// ParameterDescription of a statement without parameters.
pub fn parameter_description_none(out: &mut Vec<u8>) {
    message(out, b't', |out| put_count(out, 0));
}

/// The packet that opens a session of version 3.0, length field included.
pub fn startup(out: &mut Vec<u8>, parameters: &[(String, String)]) {
    sized(out, |out| {
        put_u32(out, VERSION_3);
        // An empty name would end the packet.
        for (name, value) in parameters.iter().filter(|(name, _)| !name.is_empty()) {
            put_text(out, name);
            put_text(out, value);
        }
        out.push(0);
    });
}

/// The packet that cancels what another connection runs.
pub fn cancel(out: &mut Vec<u8>, pid: u32, secret: &[u8]) {
    sized(out, |out| {
        put_u32(out, CANCEL_CODE);
        put_u32(out, pid);
        out.extend_from_slice(secret);
    });
}

/// The packet that asks for TLS.
pub fn ssl_request(out: &mut Vec<u8>) {
    sized(out, |out| put_u32(out, SSL_CODE));
}

/// Query.
pub fn query(out: &mut Vec<u8>, text: &str) {
    message(out, b'Q', |out| put_text(out, text));
}

/// Sync.
pub fn sync(out: &mut Vec<u8>) {
    message(out, b'S', |_| ());
}

/// Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    message(out, b'X', |_| ());
}

/// A message of any tag that the caller fills: its body is what `body` puts at the end.
pub fn message(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    sized(out, body);
}

fn sized(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    put_u32(out, 0);
    body(out);
    let len = u32::try_from(out.len() - at).expect("what Palisade says itself is short");
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

/// A text and the NUL that ends it.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    let end = memchr::memchr(0, text.as_bytes()).unwrap_or(text.len());
    out.extend_from_slice(&text.as_bytes()[..end]);
    out.push(0);
}

/// Four bytes.
pub fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put_u32(out, u32::try_from(len).expect("what Palisade says itself is short"));
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u16::try_from(count).expect("what Palisade says itself has few columns");
    out.extend_from_slice(&count.to_be_bytes());
}
