//! The header that names a source: `x-amz-copy-source` and `x-amz-rename-source`.

use http::HeaderMap;

use super::address;
use super::malformed::Malformed;

/// An object that a header names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Source {
    pub(super) bucket: String,
    pub(super) key: String,
}

impl Source {
    /// The path that rules are asked about.
    pub(super) fn target(&self) -> String {
        format!("/{}/{}", self.bucket, self.key)
    }
}

/// The source in a header, decoded once by the rules for paths; `None` where there is no header.
///
/// # Errors
/// When it could be read in more than one way, or names an access point instead of a bucket.
pub(super) fn parse(headers: &HeaderMap, name: &'static str) -> Result<Option<Source>, Malformed> {
    let bad = |why| Malformed::Header { name, why };
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad("is there twice: it would be a guess which one the store takes"));
    }
    let value = value.to_str().map_err(|_| bad("has bytes that belong percent-encoded"))?;
    if value.starts_with("arn:") {
        return Err(bad("names an access point: name the bucket, which the rules know"));
    }
    if value.contains('+') {
        return Err(bad("has a +, which is ambiguous: write %2B for a plus, %20 for a space"));
    }
    let value = match value.split_once('?') {
        None => value,
        Some((path, version)) => {
            let id = version.strip_prefix("versionId=").unwrap_or_default();
            // An unencoded key may hold a `?` too; only what cannot be one is taken for a version.
            if id.is_empty() || id.bytes().any(|b| matches!(b, b'/' | b'?' | b'&' | b'%')) {
                return Err(bad("has a ? that begins no versionId=: write %3F for a ? in a key"));
            }
            path
        }
    };
    let path = value.strip_prefix('/').unwrap_or(value);
    let (bucket, raw_key) = path.split_once('/').ok_or(bad("is not BUCKET/KEY"))?;
    address::check_bucket(bucket)
        .map_err(|_| bad("is not BUCKET/KEY with the name of a bucket"))?;
    let key = address::decode_key(raw_key).map_err(|error| match error {
        Malformed::Path(why) => bad(why),
        other => other,
    })?;
    Ok(Some(Source { bucket: bucket.to_owned(), key }))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn sources() {
        for (value, expected) in [
            ("/bucket/k", "/bucket/k"),
            ("bucket/a/b%20c", "/bucket/a/b c"),
            ("bucket/k?versionId=3/L4", ""),
            ("bucket/k?versionId=3HL4kqtJvjVBH40Nrjfkd_.-", "/bucket/k"),
            ("bucket/k%3FversionId=1", "/bucket/k?versionId=1"),
            ("bucket/k?versionId=", ""),
            ("bucket/k?x=1", ""),
            ("bucket/k?versionId=1&x", ""),
            ("bucket/k?a?versionId=1", ""),
            ("bucket", ""),
            ("bucket/", ""),
            ("/", ""),
            ("", ""),
            ("//bucket/k", ""),
            ("bucket//k", ""),
            ("bucket/../other/k", ""),
            ("bucket%2Fk", ""),
            ("bucket/a%2Fb", ""),
            ("bucket/a+b", ""),
            ("bucket/a b", ""),
            ("bucket/é", ""),
            ("arn:aws:s3:eu-west-1:1:accesspoint/a/object/k", ""),
        ] {
            let mut headers = HeaderMap::new();
            let value_bytes = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.insert("x-amz-copy-source", value_bytes.clone());
            let parsed = parse(&headers, "x-amz-copy-source");
            let target = parsed.clone().ok().flatten().map(|s| s.target()).unwrap_or_default();
            assert_eq!(target, expected, "{value}: {parsed:?}");
            headers.append("x-amz-copy-source", value_bytes);
            assert!(parse(&headers, "x-amz-copy-source").is_err(), "twice: {value}");
        }
        assert_eq!(parse(&HeaderMap::new(), "x-amz-copy-source"), Ok(None));
    }
}
