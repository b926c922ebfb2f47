//! The TLS tables: mTLS in front of a listener, and TLS to a store. What is said of their
//! files comes of loading them as serving does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::files::{self, Pem};
use super::report::Span;
use super::section::Section;
use crate::net::connect::{ClientTls, Connector, ConnectorError, Endpoint, Upstream, Version};
use crate::net::identity::Source;
use crate::net::tls::{self, Part, ServerTls, TlsError};

/// What to do where the error itself does not say.
const MEND: &str = "make or copy the file again";

/// mTLS in front of a listener.
pub(super) fn server(section: &Section<'_>) -> Option<ServerTls> {
    for (key, example) in
        [("certificate", "server.pem"), ("key", "server.key"), ("client_ca", "ca/ca.pem")]
    {
        section.require(key, &format!("\"{example}\""));
    }
    let [certificate, key, client_ca] =
        ["certificate", "key", "client_ca"].map(|key| section.path(key));
    let crls = section.strings("crls").unwrap_or_default();
    let crls: Vec<_> = crls.iter().filter_map(|text| section.resolve("crls", text)).collect();
    let identity = identity(section);
    let bare = |path: &Option<Spanned<PathBuf>>| {
        path.as_ref().map(Spanned::get_ref).cloned().unwrap_or_default()
    };
    let tls = ServerTls {
        certificate: bare(&certificate),
        key: bare(&key),
        client_ca: bare(&client_ca),
        crls: crls.iter().map(Spanned::get_ref).cloned().collect(),
        identity,
    };
    let found = tls::check(&tls);
    let is_lacking_lists =
        found.iter().any(|problem| problem.part() == Part::Crl && !problem.is_warning());
    for problem in &found {
        let place = match problem.part() {
            Part::Certificate => certificate.as_ref(),
            Part::Key => key.as_ref(),
            Part::ClientCa => client_ca.as_ref(),
            Part::Crl if matches!(problem, TlsError::ListMissing { .. }) => {
                // It may be in the file that cannot be used.
                if !is_lacking_lists {
                    tell(section, &section.span_of("crls"), problem);
                }
                continue;
            }
            Part::Crl => crls.iter().find(|list| list.get_ref() == problem.path()),
        };
        // A key that is not there has been told.
        if let Some(place) = place {
            tell(section, &place.span(), problem);
        }
    }
    if let Some(key) = &key {
        files::warn_if_open_to_all(section, &key.span(), key.get_ref());
    }
    (certificate.is_some() && key.is_some() && client_ca.is_some()).then_some(tls)
}

fn tell(section: &Section<'_>, span: &Span, problem: &TlsError) {
    let (message, mend) = match problem {
        TlsError::Unreadable { path, error, .. } => {
            let why = files::why_unreadable(error);
            let message = format!("{} cannot be read: {why}", path.display());
            (message, files::mend_of_file(path).to_owned())
        }
        problem => {
            let text = problem.to_string();
            let (message, mend) = text.split_once("; ").unwrap_or((&text, MEND));
            (message.to_owned(), mend.to_owned())
        }
    };
    if problem.is_warning() {
        section.report().warn(span, message, mend);
    } else {
        section.report().error(span, message, mend);
    }
}

fn identity(section: &Section<'_>) -> Vec<Source> {
    let words = [
        ("spiffe", Source::Spiffe),
        ("dns", Source::Dns),
        ("email", Source::Email),
        ("cn", Source::Cn),
    ];
    let Some(texts) = section.strings("identity") else {
        return words.iter().map(|(_, source)| *source).collect();
    };
    let mut sources = Vec::new();
    for text in &texts {
        let Some(source) = section.one_of("identity", text, &words) else { continue };
        if sources.contains(&source) {
            let message = format!("\"{}\" is there twice", text.get_ref());
            section.report().error(&text.span(), message, "leave one of them out");
        }
        sources.push(source);
    }
    if texts.is_empty() {
        let mend = "one or more of \"spiffe\", \"dns\", \"email\", \"cn\"";
        section.error_at("identity", "no client could have an identity", mend);
    }
    sources
}

/// TLS to a store. `None` when a file of it is not there or not of its kind.
pub(super) fn client(section: &Section<'_>) -> Option<ClientTls> {
    let ca = files::pem(section, "ca", Pem::Certificates);
    let certificate = files::pem(section, "certificate", Pem::Certificates);
    let key = files::pem(section, "key", Pem::Key);
    for (one, other) in [("certificate", "key"), ("key", "certificate")] {
        if section.is_there() && section.has(one) && !section.has(other) {
            let message = format!("`{one}` without `{other}`");
            section.error_at(one, message, format!("add `{other}`, or leave `{one}` out"));
        }
    }
    let server_name = section.string("server_name").map(|name| name.into_inner().to_owned());
    if let Some(name) = &server_name
        && rustls_pki_types::ServerName::try_from(name.as_str()).is_err()
    {
        let message = "`server_name` is not a host name";
        section.error_at("server_name", message, "write the name in the store's certificate");
        return None;
    }
    let is_whole = ca.is_some() == section.has("ca")
        && certificate.is_some() == section.has("certificate")
        && key.is_some() == section.has("key");
    is_whole.then(|| ClientTls { ca, certificate: certificate.zip(key), server_name })
}

/// Loads the files of an upstream's TLS, each of which is there and of its kind, for these
/// endpoints.
pub(super) fn load(section: &Section<'_>, name: &str, endpoints: Vec<Endpoint>, tls: &ClientTls) {
    let upstream = |tls: ClientTls| {
        Arc::new(Upstream {
            name: name.into(),
            endpoints: endpoints.clone(),
            version: Version::default(),
            tls,
            connections_max: 0,
            connect_timeout: Duration::ZERO,
            response_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
        })
    };
    // The error does not say whose it is, so what is trusted is tried alone before.
    let trusting = upstream(ClientTls { certificate: None, ..tls.clone() });
    let table = section.table("tls");
    let (error, key) = match Connector::new(trusting) {
        Err(error) => (error, "ca"),
        Ok(_) => match Connector::new(upstream(tls.clone())) {
            Err(error) => (error, "certificate"),
            Ok(_) => return,
        },
    };
    match &error {
        ConnectorError::Name(_) => {
            let mend = "write `server_name` in the `tls` table beside it";
            section.error_at("endpoints", error.to_string(), mend);
        }
        ConnectorError::File { path, .. } => {
            let is_key = tls.certificate.as_ref().is_some_and(|(_, key)| key == path);
            let span = table.span_of(if is_key { "key" } else { key });
            section.report().error(&span, error.to_string(), MEND);
        }
        ConnectorError::Tls(_) => {
            let mend = match key {
                "ca" => MEND,
                _ => "name a `certificate` and the `key` that was made with it",
            };
            section.report().error(&table.span_of(key), error.to_string(), mend);
        }
    }
}
