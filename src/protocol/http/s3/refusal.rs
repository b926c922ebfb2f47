//! Error documents that S3 clients show: their code and their message.
//!
//! Which status a refusal has is decided for HTTP as a whole, in `protocol::http::refusal`. The
//! codes here are chosen so that no SDK retries by itself what is final: botocore, the AWS SDKs
//! and Hadoop know lists of codes that they retry whatever the status is (`RequestTimeout`,
//! `InternalError`, `SlowDown`, `OperationAborted`, ...), so what is final has codes of its own.

use std::fmt::Write as _;

use quick_xml::escape::escape;

/// What the documents are.
pub const CONTENT_TYPE: &str = "application/xml";

/// The code for a reason: the stable words of [`crate::fence::Refusal::reason`], and those of
/// refusals that never reach a fence.
pub fn code(reason: &str) -> &'static str {
    match reason {
        "conflict" => "FencingTokenConflict",
        "body_broken" => "IncompleteBody",
        "body_stalled" => "RequestTimeout",
        "body_too_large" => "EntityTooLarge",
        "forbidden" | "no_rule" => "AccessDenied",
        "implausible" => "FencingTokenImplausible",
        "ending"
        | "ledger_unavailable"
        | "unsettled"
        | "upstream_broken"
        | "upstream_unavailable" => "ServiceUnavailable",
        "overloaded" => "SlowDown",
        "stale" => "FencingTokenStale",
        "token_malformed" => "FencingTokenMalformed",
        "token_required" => "FencingTokenRequired",
        "outcome_unknown" => "FencingOutcomeUnknown",
        _ => "InvalidRequest",
    }
}

/// An error document. `fields` are further elements, by names that are valid in XML: SDKs hand
/// them to the program beside code and message (botocore: `error.response["Error"]["Mark"]`).
pub fn document(code: &str, message: &str, fields: &[(&'static str, &str)]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    for (name, value) in [("Code", code), ("Message", message)].iter().chain(fields) {
        // XML 1.0 has no way to write these; a parser would reject the whole document.
        let value = value.replace(|char: char| is_outside_xml(char), "\u{FFFD}");
        write!(out, "<{name}>{}</{name}>", escape(&*value)).expect("a String takes every write");
    }
    out.push_str("</Error>\n");
    out
}

fn is_outside_xml(char: char) -> bool {
    matches!(char, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;

    #[test]
    fn documents() {
        let document = document("FencingTokenStale", "a < b & \"c\"", &[("Mark", "34\0")]);
        assert_eq!(
            document,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>FencingTokenStale</Code>\
             <Message>a &lt; b &amp; &quot;c&quot;</Message><Mark>34\u{FFFD}</Mark></Error>\n"
        );
    }

    /// Codes that SDKs retry whatever the status: botocore's `standard.py` and `_retry.json`,
    /// the AWS SDKs' default retry conditions, minio-go.
    #[test]
    fn what_is_final_has_no_code_that_is_retried() {
        const RETRIED: [&str; 14] = [
            "BadDigest",
            "ExpiredToken",
            "InternalError",
            "OperationAborted",
            "PriorRequestNotComplete",
            "RequestError",
            "RequestLimitExceeded",
            "RequestTimeTooSkewed",
            "RequestTimeout",
            "ServiceUnavailable",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "TooManyRequests",
        ];
        for reason in [
            "conflict",
            "forbidden",
            "implausible",
            "stale",
            "token_malformed",
            "token_required",
            "no_rule",
            "outcome_unknown",
            "?",
        ] {
            assert!(!RETRIED.contains(&code(reason)), "{reason}");
        }
        for reason in ["ledger_unavailable", "overloaded", "unsettled", "upstream_unavailable"] {
            assert!(RETRIED.contains(&code(reason)), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn every_text_makes_a_document(message: String) {
            let text = document("Code", &message, &[("Mark", &message)]);
            let mut reader = Reader::from_str(&text);
            loop {
                match reader.read_event() {
                    Ok(Event::Eof) => break,
                    Ok(_) => {}
                    Err(error) => panic!("{error}: {text}"),
                }
            }
        }
    }
}
