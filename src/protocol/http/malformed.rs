//! What is wrong with a request that cannot be read in exactly one way.

use std::borrow::Cow;

use http::StatusCode;

use super::s3;

/// A request that is refused for what it is, whoever sent it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}; {mend}")]
pub struct Malformed {
    /// What is wrong.
    pub what: Cow<'static, str>,
    /// What to do about it.
    pub mend: Cow<'static, str>,
    /// The status that says so best: 400 nearly always.
    pub status: StatusCode,
    /// The code in S3's error documents.
    pub code: &'static str,
}

impl Malformed {
    /// With status 400.
    pub fn new(what: impl Into<Cow<'static, str>>, mend: impl Into<Cow<'static, str>>) -> Self {
        Self {
            what: what.into(),
            mend: mend.into(),
            status: StatusCode::BAD_REQUEST,
            code: "InvalidRequest",
        }
    }

    /// With another status.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl From<s3::Malformed> for Malformed {
    fn from(malformed: s3::Malformed) -> Self {
        let mend = "correct the request as said";
        Self { code: malformed.code(), ..Self::new(malformed.to_string(), mend) }
    }
}
