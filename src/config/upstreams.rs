//! `[upstreams.NAME]`: the stores and servers, and the credentials for them.

mod http;
mod postgres;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::names;
use super::section::Section;
use crate::protocol::postgres::upstream::Upstream;
pub(super) use http::Store;

/// How long a connection may take to be made, where the table does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An upstream, as far as it could be read.
pub(super) struct Entry {
    pub(super) name: Spanned<String>,
    pub(super) server: Server,
    /// Whether a listener has asked for it.
    pub(super) used: Cell<bool>,
}

/// What is behind listeners.
pub(super) enum Server {
    Http(Store),
    /// `None` when something is wrong with it.
    Postgres(Option<Arc<Upstream>>),
}

/// The endpoints as they are written.
type Texts<'a> = [Spanned<&'a str>];

pub(super) fn read(root: &Section<'_>) -> Vec<Entry> {
    let entry = |(name, section): (Spanned<&str>, Section<'_>)| {
        names::check(&section, &name);
        let texts = section.strings("endpoints");
        let is_postgres = section.has("postgres")
            || texts.iter().flatten().any(|text| postgres::is_endpoint(text.get_ref()));
        let example = if is_postgres { "postgres://127.0.0.1" } else { "http://127.0.0.1:9000" };
        section.require("endpoints", &format!("[\"{example}\"]"));
        let server = if is_postgres {
            let upstream = postgres::read(name.get_ref(), &section, texts.as_deref());
            Server::Postgres(upstream.map(Arc::new))
        } else {
            Server::Http(http::read(name.get_ref(), &section, texts.as_deref()))
        };
        let name = Spanned::new(name.span(), name.into_inner().to_owned());
        Entry { name, server, used: Cell::new(false) }
    };
    root.named("upstreams").into_iter().map(entry).collect()
}

/// Those that can be used, if any; `form` is the mend of the others.
fn endpoints<T: PartialEq>(
    section: &Section<'_>,
    texts: &Texts<'_>,
    form: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let mut endpoints = Vec::new();
    for text in texts {
        let (complaint, mend) = match parse(text.get_ref()) {
            Ok(endpoint) if endpoints.contains(&endpoint) => {
                ("it is there twice".to_owned(), "leave one of them out")
            }
            Ok(endpoint) => {
                endpoints.push(endpoint);
                continue;
            }
            Err(complaint) => (complaint, form),
        };
        let message = format!("an endpoint cannot be used: {complaint}");
        section.report().error(&text.span(), message, mend);
    }
    if texts.is_empty() {
        section.error_at("endpoints", "`endpoints` is empty", "add the store's address");
    }
    (!endpoints.is_empty()).then_some(endpoints)
}
