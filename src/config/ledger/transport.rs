//! Where a shared ledger is, and whether what is said to it is for its eyes only.

use std::sync::Arc;

use toml::Spanned;

use crate::config::section::Section;
use crate::config::{tls, upstreams};
use crate::net::connect::{self, ClientTls};

/// How endpoints are written.
pub(super) struct Form {
    /// Without TLS.
    pub(super) plain: &'static str,
    /// With TLS.
    pub(super) secure: &'static str,
    /// Where none is written.
    pub(super) port: u16,
    /// What is there.
    pub(super) what: &'static str,
}

/// Endpoints, and TLS to them.
pub(super) struct Peers {
    pub(super) endpoints: Vec<(Arc<str>, u16)>,
    pub(super) tls: Option<ClientTls>,
    /// Whether Palisade shows a certificate.
    pub(super) has_certificate: bool,
    /// Whether one of them is on another machine.
    pub(super) is_far: bool,
}

#[derive(PartialEq)]
struct Written {
    host: Arc<str>,
    port: u16,
    has_tls: bool,
}

/// `None` when something is wrong with them.
pub(super) fn read(section: &Section<'_>, form: &Form) -> Option<Peers> {
    let Form { plain, secure, port, .. } = *form;
    section.require("endpoints", &format!("[\"{plain}://127.0.0.1:{port}\"]"));
    let texts = section.strings("endpoints");
    let mend = format!("write `{plain}://HOST:PORT` or `{secure}://HOST:PORT` and nothing more");
    let written = texts
        .as_ref()
        .and_then(|texts| upstreams::endpoints(section, texts, &mend, |text| endpoint(text, form)));
    let files = section.has("tls").then(|| tls::client(&section.table("tls")));
    let (texts, written) = (texts?, written?);
    let has_tls = written.iter().any(|one| one.has_tls);
    let is_far = written.iter().any(|one| !upstreams::is_loopback(&one.host));
    let is_plain = |text: &&Spanned<&str>| !text.get_ref().starts_with(&format!("{secure}:"));
    if let Some(text) = texts.iter().find(is_plain) {
        let message = match (has_tls, files.is_some()) {
            (true, _) => "this is spoken to without TLS, and another endpoint with it".to_owned(),
            (_, true) => {
                let table = section.title().replace(']', ".tls]");
                format!("this is spoken to without TLS, and there is {table}")
            }
            _ if is_far => {
                let message = "this is spoken to without TLS: whoever is on the way can read and \
                               change what is sent";
                section.report().warn(&text.span(), message, format!("write `{secure}://`"));
                String::new()
            }
            _ => String::new(),
        };
        if !message.is_empty() {
            let mend = format!("write `{secure}://` in each endpoint, or in none");
            section.report().error(&text.span(), message, mend);
            return None;
        }
    }
    let tls = match files {
        Some(None) => return None,
        Some(Some(tls)) => Some(tls),
        None => has_tls.then(ClientTls::default),
    };
    let endpoints: Vec<_> = written.into_iter().map(|one| (one.host, one.port)).collect();
    if let Some(tls) = &tls {
        let endpoint = |(host, port): &(Arc<str>, u16)| connect::Endpoint {
            tls: true,
            host: Arc::clone(host),
            port: *port,
        };
        tls::load(section, "ledger", endpoints.iter().map(endpoint).collect(), tls);
    }
    let has_certificate = tls.as_ref().is_some_and(|tls| tls.certificate.is_some());
    Some(Peers { endpoints, tls, has_certificate, is_far })
}

impl Peers {
    /// Warns when nobody is asked who they are.
    pub(super) fn check_login(&self, section: &Section<'_>, has_login: bool) {
        if self.is_far && !self.has_certificate && !has_login {
            let message = format!(
                "{} has no password, and Palisade shows no certificate: whoever reaches the ledger \
                 can lower marks",
                section.title()
            );
            let mend = "write `user` and `password_file`, or a `certificate` in the `tls` table";
            section.report().warn(&section.span_of("endpoints"), message, mend);
        }
    }
}

fn endpoint(text: &str, form: &Form) -> Result<Written, String> {
    let Form { plain, secure, port, what } = form;
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| format!("it does not begin with `{plain}://` or `{secure}://`"))?;
    let has_tls = scheme == *secure;
    if !has_tls && scheme != *plain {
        return Err(format!("`{}` is not spoken to {what}", scheme.escape_debug()));
    }
    if rest.contains('@') {
        return Err("it has a user name or a password; they have keys of their own".to_owned());
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err("it has a path or parameters".to_owned());
    }
    let (host, port) = upstreams::authority(rest, *port)?;
    Ok(Written { host, port, has_tls })
}
