//! What the file may hold: every table and key, as data. What is not here is unknown.

/// A table: its keys.
pub(super) struct Schema {
    pub(super) keys: &'static [(&'static str, Kind)],
    /// Keys that people write by mistake, with the mend.
    pub(super) traps: &'static [(&'static str, &'static str)],
}

/// What stands behind a key.
pub(super) enum Kind {
    /// A value.
    Value,
    /// A table.
    Table(&'static Schema),
    /// A table of tables with names of the operator's choice.
    Named(&'static Schema),
    /// A list of tables.
    List(&'static Schema),
}

use Kind::{List, Named, Table, Value};

const fn schema(keys: &'static [(&'static str, Kind)]) -> Schema {
    Schema { keys, traps: &[] }
}

pub(super) static ROOT: Schema = Schema {
    keys: &[
        ("drain_delay", Value),
        ("drain_timeout", Value),
        ("workers", Value),
        ("ledger", Table(&LEDGER)),
        ("gate", Table(&GATE)),
        ("admin", Table(&ADMIN)),
        ("log", Table(&LOG)),
        ("audit", Table(&AUDIT)),
        ("listeners", Named(&LISTENER)),
        ("upstreams", Named(&UPSTREAM)),
        ("resources", List(&RESOURCE)),
    ],
    traps: &[
        ("listener", "write `[listeners.NAME]`"),
        ("upstream", "write `[upstreams.NAME]`"),
        ("resource", "write `[[resources]]`"),
        ("rules", "write `[[resources]]`"),
    ],
};

static LEDGER: Schema = Schema {
    keys: &[
        ("embedded", Table(&EMBEDDED)),
        ("etcd", Table(&ETCD)),
        ("redis", Table(&REDIS_LEDGER)),
        ("session", Table(&SESSION)),
    ],
    traps: &[
        ("path", "write it in `[ledger.embedded]`"),
        ("replica", "write it in `[ledger.session]`"),
    ],
};
static EMBEDDED: Schema = schema(&[
    ("path", Value),
    ("verify_on_open", Value),
    ("cache", Value),
    ("commit_stall_timeout", Value),
]);

static ETCD: Schema = Schema {
    keys: &[
        ("endpoints", Value),
        ("namespace", Value),
        ("user", Value),
        ("password_file", Value),
        ("password_env", Value),
        ("tls", Table(&CLIENT_TLS)),
    ],
    traps: &[("password", PASSWORD), ("username", "write `user`"), ("prefix", "write `namespace`")],
};

static REDIS_LEDGER: Schema = Schema {
    keys: &[
        ("endpoints", Value),
        ("user", Value),
        ("password_file", Value),
        ("password_env", Value),
        ("database", Value),
        ("namespace", Value),
        ("wait_replicas", Value),
        ("wait_timeout", Value),
        ("accept_loss", Value),
        ("tls", Table(&CLIENT_TLS)),
        ("sentinel", Table(&SENTINEL)),
    ],
    traps: &[("password", PASSWORD), ("username", "write `user`"), ("prefix", "write `namespace`")],
};

static SESSION: Schema =
    schema(&[("replica", Value), ("ttl", Value), ("margin", Value), ("timeout", Value)]);

static GATE: Schema = schema(&[
    ("active_resources_max", Value),
    ("takeover_queue_max", Value),
    ("writes_per_resource_max", Value),
]);

static ADMIN: Schema =
    schema(&[("listen", Value), ("operators", Value), ("tls", Table(&SERVER_TLS))]);

static LOG: Schema = Schema {
    keys: &[("format", Value), ("filter", Value)],
    traps: &[("level", "write `filter`, as in `filter = \"info\"`")],
};

static AUDIT: Schema =
    schema(&[("stdout", Value), ("file", Value), ("rotate", Value), ("keep", Value)]);

static LISTENER: Schema = schema(&[
    ("protocol", Value),
    ("listen", Value),
    ("upstream", Value),
    ("token_header", Value),
    ("prefix", Value),
    ("domains", Value),
    ("tls", Table(&SERVER_TLS)),
    ("limits", Table(&LIMITS)),
    ("unmatched", Table(&UNMATCHED)),
]);

static SERVER_TLS: Schema = schema(&[
    ("certificate", Value),
    ("key", Value),
    ("client_ca", Value),
    ("crls", Value),
    ("identity", Value),
]);

static LIMITS: Schema = schema(&[
    ("connections_max", Value),
    ("connections_per_identity_max", Value),
    ("streams_max", Value),
    ("header_bytes_max", Value),
    ("headers_max", Value),
    ("handshake_timeout", Value),
    ("header_timeout", Value),
    ("body_stall_timeout", Value),
    ("body_bytes_max", Value),
    ("startup_timeout", Value),
    ("statement_bytes_max", Value),
    ("prepared_max", Value),
    ("command_bytes_max", Value),
    ("resources_max", Value),
    ("unread_timeout", Value),
]);

static UNMATCHED: Schema = schema(&[("read", Value), ("write", Value)]);

static UPSTREAM: Schema = schema(&[
    ("endpoints", Value),
    ("http_version", Value),
    ("connections_max", Value),
    ("connect_timeout", Value),
    ("response_timeout", Value),
    ("idle_timeout", Value),
    ("tls", Table(&CLIENT_TLS)),
    ("s3", Table(&S3)),
    ("postgres", Table(&POSTGRES)),
    ("redis", Table(&REDIS)),
]);

static CLIENT_TLS: Schema =
    schema(&[("ca", Value), ("certificate", Value), ("key", Value), ("server_name", Value)]);

static S3: Schema = Schema {
    keys: &[
        ("mode", Value),
        ("region", Value),
        ("aws_chunked", Value),
        ("access_key_id_file", Value),
        ("access_key_id_env", Value),
        ("secret_access_key_file", Value),
        ("secret_access_key_env", Value),
    ],
    traps: &[
        (
            "access_key_id",
            "credentials are not kept here: name a file with `access_key_id_file`, or an \
             environment variable with `access_key_id_env`",
        ),
        (
            "secret_access_key",
            "secrets are not kept here: name a file with `secret_access_key_file`, or an \
             environment variable with `secret_access_key_env`, and change the secret if this \
             file was ever shared",
        ),
    ],
};

/// What people write who have a password in their hand.
const PASSWORD: &str = "passwords are not kept here: name a file with `..._file`, or an \
                        environment variable with `..._env`, and change the password if this file was ever \
                        shared";

static POSTGRES: Schema = Schema {
    keys: &[
        ("target_session_attrs", Value),
        ("login", Value),
        ("login_timeout", Value),
        ("control_role", Value),
        ("control_password_file", Value),
        ("control_password_env", Value),
        ("control_database", Value),
        ("replica", Value),
        ("check_interval", Value),
        ("roles", Named(&ROLE)),
    ],
    traps: &[
        ("control_password", PASSWORD),
        ("password", PASSWORD),
        ("role", "write `[upstreams.NAME.postgres.roles.ROLE]` with its password"),
    ],
};

static ROLE: Schema = Schema {
    keys: &[("password_file", Value), ("password_env", Value)],
    traps: &[("password", PASSWORD)],
};

static REDIS: Schema = Schema {
    keys: &[
        ("user", Value),
        ("password_file", Value),
        ("password_env", Value),
        ("login_timeout", Value),
        ("replica", Value),
        ("check_interval", Value),
        ("sentinel", Table(&SENTINEL)),
    ],
    traps: &[("password", PASSWORD), ("username", "write `user`")],
};

static SENTINEL: Schema = Schema {
    keys: &[("service", Value), ("user", Value), ("password_file", Value), ("password_env", Value)],
    traps: &[
        ("password", PASSWORD),
        ("master", "write `service`, by the name that the Sentinels have for the primary"),
        ("master_name", "write `service`"),
        ("endpoints", "the `endpoints` above are the Sentinels"),
    ],
};

static RESOURCE: Schema = schema(&[
    ("name", Value),
    ("listeners", Value),
    ("path", Value),
    ("keys", Value),
    ("databases", Value),
    ("resource", Value),
    ("write", Value),
    ("read", Value),
    ("raise", Value),
    ("reads", Value),
    ("commit_point", Value),
    ("settle_timeout", Value),
    ("takeover_timeout", Value),
    ("role", Value),
    ("drain", Value),
    ("replication", Value),
    ("scripts", Value),
    ("administer", Value),
    ("tokens", Table(&TOKENS)),
]);

static TOKENS: Schema = schema(&[
    ("max_jump", Value),
    ("incarnation", Value),
    ("share_token", Value),
    ("holder", Value),
]);

impl Schema {
    /// What stands behind a key.
    pub(super) fn kind(&self, key: &str) -> Option<&'static Kind> {
        self.keys.iter().find(|(name, _)| *name == key).map(|(_, kind)| kind)
    }

    /// Every key below this table, as `listeners.NAME.tls.key`.
    pub(super) fn paths(&self, prefix: &str) -> Vec<String> {
        let below = self.keys.iter().flat_map(|(name, kind)| {
            let path = format!("{prefix}{name}");
            match kind {
                Value => vec![path],
                Table(schema) => schema.paths(&format!("{path}.")),
                Named(schema) => schema.paths(&format!("{path}.NAME.")),
                List(schema) => schema.paths(&format!("{path}.")),
            }
        });
        below.collect()
    }

    /// What to do about a key that is not here.
    pub(super) fn mend(&self, unknown: &str) -> String {
        if let Some((_, mend)) = self.traps.iter().find(|(trap, _)| *trap == unknown) {
            return (*mend).to_owned();
        }
        let suffix = format!(".{unknown}");
        let elsewhere = ROOT.paths("").into_iter().find(|path| path.ends_with(&suffix));
        if let Some((near, _)) = nearest(unknown, self.keys.iter().map(|(name, _)| *name)) {
            return format!("did you mean `{near}`?");
        }
        if let Some(path) = elsewhere {
            return format!("it belongs in {}", title(&path[..path.len() - suffix.len()]));
        }
        let known: Vec<_> = self.keys.iter().map(|(name, _)| format!("`{name}`")).collect();
        format!("known here: {}", known.join(", "))
    }
}

/// A table as it is written in the file.
pub(super) fn title(path: &str) -> String {
    match path {
        "" => "the top level".to_owned(),
        "resources" => "[[resources]]".to_owned(),
        _ => format!("[{path}]"),
    }
}

/// The known name that is most like a mistyped one, if any is.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<(&'a str, f64)> {
    known
        .map(|name| (name, strsim::jaro_winkler(typed, name)))
        .filter(|(_, likeness)| *likeness > 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1))
}
