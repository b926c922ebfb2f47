//! `[ledger.etcd]`: a ledger that several replicas share.

use std::time::Duration;

use super::transport::{self, Form};
use crate::config::files;
use crate::config::section::Section;
use crate::config::upstreams::redis::user;
use crate::ledger::etcd::{Endpoint, Settings};

const FORM: Form = Form { plain: "http", secure: "https", port: 2379, what: "etcd" };

pub(super) fn read(section: &Section<'_>, timeout: Duration) -> Option<Settings> {
    let peers = transport::read(section, &FORM);
    let namespace = super::namespace(section);
    let has_password = ["password_file", "password_env"].iter().any(|key| section.has(key));
    let user = user(section);
    let password = has_password.then(|| files::secret(section, "password")).flatten();
    if section.has("user") != has_password {
        let (here, message, mend) = match has_password {
            false => ("user", "there is a `user` and no password", "add `password_file`"),
            true => ("endpoints", "there is a password and no `user`", "add `user = \"palisade\"`"),
        };
        section.error_at(here, message, mend);
        return None;
    }
    let login = user.zip(password);
    if has_password && login.is_none() {
        return None;
    }
    let peers = peers?;
    peers.check_login(section, login.is_some());
    let endpoint = |(host, port)| Endpoint { host, port };
    Some(Settings {
        endpoints: peers.endpoints.into_iter().map(endpoint).collect(),
        namespace: namespace?.into(),
        tls: peers.tls,
        login,
        timeout,
    })
}
