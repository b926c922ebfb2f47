//! From what was typed to the head of a request, as a listener would receive it.

use anyhow::{Context, anyhow, bail};
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri};

use super::Args;
use crate::protocol::http::Listener;

/// A header as it was typed.
///
/// # Errors
/// What is wrong with it.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

/// The head that was typed. Without any host, it goes to the listener's first address.
///
/// # Errors
/// When no HTTP client could send it.
pub(super) fn head(args: &Args, listener: &Listener) -> anyhow::Result<Parts> {
    let mut words = args.request.split(' ');
    let (Some(method), Some(target), None) = (words.next(), words.next(), words.next()) else {
        bail!("write the request as one argument, such as 'PUT /bucket/key'");
    };
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::from_bytes(method.as_bytes())
        .map_err(|_| anyhow!("{method:?} is not a method; write it as in 'PUT /bucket/key'"))?;
    head.uri = Uri::try_from(target).with_context(|| format!("{target:?} is not a target"))?;
    if head.uri.path_and_query().is_none() {
        bail!("write the path from its `/` on, such as 'PUT /bucket/key'");
    }
    for (name, value) in &args.headers {
        head.headers.append(name, value.clone());
    }
    if !head.headers.contains_key(HOST) {
        let named = head.uri.authority().map(ToString::to_string);
        let own = || listener.addresses.first().map(ToString::to_string);
        let host = named.or_else(own).unwrap_or_default();
        head.headers.insert(HOST, HeaderValue::from_str(&host)?);
    }
    if let Some(token) = args.token {
        head.headers.append(&listener.token_header, HeaderValue::from_str(&token.to_string())?);
    }
    Ok(head)
}
