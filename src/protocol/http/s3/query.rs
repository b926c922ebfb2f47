//! A request's query, decoded once, pair by pair.

use super::encoding;
use super::malformed::Malformed;

/// At most this many pairs: S3 itself uses fewer than 20.
const PAIRS_MAX: usize = 64;

/// Names that carry a signature in the query (Signature Version 4 and 2), in lower case.
const AUTH: [&str; 11] = [
    "awsaccesskeyid",
    "expires",
    "signature",
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// A query whose every reader sees the same names and values.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Query(Vec<Pair>);

/// One name, with its value where it has a `=`. Decoded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

impl Query {
    /// Decodes a query without its `?`.
    ///
    /// # Errors
    /// What servers read differently: a raw `+` (space or plus), a raw `;` (a separator to
    /// some), bad escapes, the same name twice, too many pairs.
    pub(super) fn parse(raw: &str) -> Result<Self, Malformed> {
        let mut pairs: Vec<Pair> = Vec::new();
        for part in raw.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (part, None),
            };
            if part.contains('+') {
                return Err(Malformed::Query(
                    "a + in the query is ambiguous: write %2B for a plus and %20 for a space",
                ));
            }
            // Presigners differ in whether they encode the `;` between names of headers.
            if part.contains(';') && !name.eq_ignore_ascii_case("X-Amz-SignedHeaders") {
                return Err(Malformed::Query("a ; in the query is ambiguous: write %3B"));
            }
            let name = encoding::decode(name).map_err(Malformed::Query)?;
            let value = value.map(encoding::decode).transpose().map_err(Malformed::Query)?;
            if pairs.iter().any(|pair| pair.name == name) {
                return Err(Malformed::Query("a name is twice in the query: it would be a guess"));
            }
            if pairs.len() == PAIRS_MAX {
                return Err(Malformed::Query("the query has more than 64 names"));
            }
            pairs.push(Pair { name, value });
        }
        Ok(Self(pairs))
    }

    /// Every name with its value.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.0.iter()
    }

    /// The value of a name; empty where it has none.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|pair| pair.name == name)?;
        Some(pair.value.as_deref().unwrap_or_default())
    }

    /// Without the names that carry a signature.
    pub(super) fn without_auth(mut self) -> Self {
        self.0.retain(|pair| !is_auth(&pair.name));
        self
    }

    /// Encoded again, in the order received; a name without `=` stays without.
    pub(super) fn forwarded(&self) -> String {
        let mut out = String::new();
        for pair in &self.0 {
            push_pair(&mut out, &pair.name, pair.value.as_deref());
        }
        out
    }

    /// Encoded again as a signature covers it: sorted, each name with `=`.
    pub(super) fn canonical(&self) -> String {
        let mut encoded: Vec<(String, String)> = self
            .0
            .iter()
            .map(|pair| {
                let (mut name, mut value) = (String::new(), String::new());
                encoding::push_component(&mut name, &pair.name);
                encoding::push_component(&mut value, pair.value.as_deref().unwrap_or_default());
                (name, value)
            })
            .collect();
        encoded.sort_unstable();
        let mut out = String::new();
        for (name, value) in encoded {
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(&name);
            out.push('=');
            out.push_str(&value);
        }
        out
    }
}

/// Whether a name carries a signature.
pub(super) fn is_auth(name: &str) -> bool {
    AUTH.iter().any(|auth| name.eq_ignore_ascii_case(auth))
}

fn push_pair(out: &mut String, name: &str, value: Option<&str>) {
    if !out.is_empty() {
        out.push('&');
    }
    encoding::push_component(out, name);
    if let Some(value) = value {
        out.push('=');
        encoding::push_component(out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_queries_are_refused() {
        for (raw, ok) in [
            ("", true),
            ("acl", true),
            ("acl=&prefix=a%2Bb%20c", true),
            ("a=1&&b=2", true),
            ("X-Amz-SignedHeaders=host;x-amz-date", true),
            ("prefix=a+b", false),
            ("a+b", false),
            ("x=1;acl", false),
            ("acl&acl", false),
            ("acl&%61cl", false),
            ("a=%zz", false),
            ("a=%FF", false),
            ("a=é", false),
        ] {
            assert_eq!(Query::parse(raw).is_ok(), ok, "{raw}");
        }
        let many: Vec<String> = (0..65).map(|n| n.to_string()).collect();
        assert!(Query::parse(&many[..64].join("&")).is_ok());
        assert!(Query::parse(&many.join("&")).is_err());
    }

    #[test]
    fn signatures_are_dropped_and_the_rest_is_written_one_way() {
        let query = Query::parse(
            "uploads&X-Amz-Signature=ab&x-amz-security-token=t&X-Amz-Date=d&prefix=a/b%7e&AWSAccessKeyId=k&Expires=1&Signature=s&B=&response-expires=1",
        )
        .unwrap()
        .without_auth();
        assert_eq!(query.forwarded(), "uploads&prefix=a%2Fb~&B=&response-expires=1");
        assert_eq!(query.canonical(), "B=&prefix=a%2Fb~&response-expires=1&uploads=");
    }
}
