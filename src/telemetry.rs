//! Every metric and span name, declared once.

/// The `[log]` table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// A filter such as `info` or `palisade=debug,info`.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}
