//! What a request does: the operation, and every path that it reads or writes.
//!
//! What the table of operations does not know is a write to what is addressed, or refused where
//! it may touch more than that. A request that selects two operations is refused.

use http::{HeaderMap, Method};

use super::address::{self, Address};
use super::malformed::Malformed;
pub use super::operations::BodyRole;
use super::operations::{self, Level, OPERATIONS, PARAMETERS, Row, Touches};
use super::query::{self, Query};
use super::source;
use crate::fence::Action;
use crate::protocol::http::operation::{Operation, Target};

/// What a request does, and what its body is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Classified {
    /// With [`BodyRole::DeleteBatch`] its one target is a write of the bucket, to be replaced by
    /// [`super::delete::targets`] before admission.
    pub operation: Operation,
    /// What the body is to the fence.
    pub body: BodyRole,
}

/// The name of what the table does not know.
const UNKNOWN: &str = "Unknown";

/// Headers by which some stores take another method, unpack one body into many objects, or
/// delete whatever begins with the key.
const OVERRIDES: [&str; 7] = [
    "x-amz-meta-snowball-auto-extract",
    "x-amz-snowball-auto-extract",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-minio-force-delete",
    "x-minio-snowball-auto-extract",
];

/// What a request does, by its head. `query` is without its `?`. Signatures in the query
/// (presigned URLs) change nothing.
///
/// # Errors
/// When it could be read in more than one way, or when what it touches cannot be known.
pub fn classify(
    method: &Method,
    address: &Address,
    query: &str,
    headers: &HeaderMap,
) -> Result<Classified, Malformed> {
    if OVERRIDES.iter().any(|name| headers.contains_key(*name)) {
        return Err(Malformed::Unfenceable(
            "a header that changes the method or spreads the request over many keys is refused",
        ));
    }
    let query = Query::parse(query)?;
    let selector = selector(&query)?;
    let row = selector.and_then(|selector| find(method, level(address), selector, &query));
    let Some(row) = row else { return unknown(method, address, headers) };
    let (name, targets) = targets(row, address, &query, headers)?;
    let body = if name == row.copy { BodyRole::None } else { row.body };
    Ok(Classified { operation: Operation { name, targets }, body })
}

fn level(address: &Address) -> Level {
    match (&address.bucket, &address.key) {
        (None, _) => Level::Service,
        (Some(_), None) => Level::Bucket,
        (Some(_), Some(_)) => Level::Object,
    }
}

/// The one sub-resource of a query, `""` for none, `None` if there is a name nobody knows.
fn selector(query: &Query) -> Result<Option<&str>, Malformed> {
    let mut selector = "";
    let mut is_known = true;
    for pair in query.pairs() {
        let name = pair.name.as_str();
        let lower = name.to_ascii_lowercase();
        if name == "session" {
            return Err(Malformed::Unfenceable(
                "?session hands out credentials of the store, which would go around the fence",
            ));
        }
        if lower.starts_with("x-amz-copy-source") || lower.starts_with("x-amz-rename-source") {
            return Err(Malformed::Query("a source belongs in its header, not in the query"));
        }
        if operations::is_selector(name) {
            if !selector.is_empty() {
                return Err(Malformed::Query(
                    "the query selects two operations at once: it would be a guess",
                ));
            }
            selector = name;
        } else if !PARAMETERS.contains(&name)
            && !query::is_auth(name)
            && !lower.starts_with("x-amz-")
        {
            is_known = false;
        }
    }
    Ok(is_known.then_some(selector))
}

fn find(method: &Method, level: Level, selector: &str, query: &Query) -> Option<&'static Row> {
    OPERATIONS.iter().find(|row| {
        row.level == level
            && row.method == method.as_str()
            && row.selector == selector
            && (row.with.is_empty() || query.value(row.with).is_some())
    })
}

/// The name of the operation, which a copy source changes, and what it touches.
fn targets(
    row: &Row,
    address: &Address,
    query: &Query,
    headers: &HeaderMap,
) -> Result<(&'static str, Vec<Target>), Malformed> {
    let copy = source::parse(headers, "x-amz-copy-source")?;
    let renamed = source::parse(headers, "x-amz-rename-source")?;
    if renamed.is_some() != (row.touches == Touches::AddressAndRenamed) {
        return Err(Malformed::Header {
            name: "x-amz-rename-source",
            why: "belongs to a PUT with ?renameObject, and to nothing else",
        });
    }
    let mut path = address.target();
    if row.touches == Touches::Prefix
        && let Some(prefix) = query.value("prefix").filter(|prefix| !prefix.is_empty())
    {
        address::check_prefix(prefix)?;
        path = format!("{path}/{prefix}");
    }
    let mut targets = vec![Target { path, action: row.action }];
    if let Some(renamed) = renamed {
        if Some(&renamed.bucket) != address.bucket.as_ref() {
            return Err(Malformed::Header {
                name: "x-amz-rename-source",
                why: "names another bucket: a rename stays within one",
            });
        }
        targets.push(Target { path: renamed.target(), action: Action::Write });
    }
    let Some(copy) = copy else { return Ok((row.name, targets)) };
    if row.copy.is_empty() {
        return Err(Malformed::Header {
            name: "x-amz-copy-source",
            why: "belongs to a PUT of an object or of a part, and to nothing else",
        });
    }
    targets.push(Target { path: copy.target(), action: Action::Read });
    Ok((row.copy, targets))
}

/// A request that no row names: a write to what is addressed, if it is sure to touch no more.
fn unknown(
    method: &Method,
    address: &Address,
    headers: &HeaderMap,
) -> Result<Classified, Malformed> {
    if *method == Method::POST {
        return Err(Malformed::Unfenceable(
            "a POST that is no known operation is refused: in a browser's form upload the key is \
             in the body; upload with PUT instead",
        ));
    }
    let is_known =
        [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS].contains(method);
    if !is_known {
        return Err(Malformed::Unfenceable("S3 has no such method, so what it touches is unknown"));
    }
    for name in ["x-amz-copy-source", "x-amz-rename-source"] {
        if headers.contains_key(name) {
            return Err(Malformed::Header { name, why: "belongs to no operation that is known" });
        }
    }
    let target = Target { path: address.target(), action: Action::Write };
    let body = if *method == Method::PUT { BodyRole::Other } else { BodyRole::None };
    Ok(Classified { operation: Operation { name: UNKNOWN, targets: vec![target] }, body })
}

#[cfg(test)]
mod tests;
