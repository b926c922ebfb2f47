//! Log lines, to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

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

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "log.filter {filter:?} cannot be read ({error}); write a level such as \"info\", or \"palisade=debug,info\""
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        error: String,
    },
    /// There is one in this process already.
    #[error("the log was started twice")]
    Twice,
}

/// Starts the log of this process. Colours are for terminals, and `NO_COLOR` turns them off.
///
/// # Errors
/// When the filter cannot be read, or there is a log already.
pub fn init_log(settings: &LogSettings) -> Result<(), LogError> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = !no_color && std::io::stderr().is_terminal();
    let subscriber = subscriber(settings, color, std::io::stderr)?;
    // `log` records of libraries come through as well.
    tracing_subscriber::util::SubscriberInitExt::try_init(subscriber).map_err(|_| LogError::Twice)
}

pub(super) fn subscriber<W>(
    settings: &LogSettings,
    color: bool,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&settings.filter).map_err(|error| {
        LogError::Filter { filter: settings.filter.clone(), error: error.to_string() }
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match settings.format {
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
        LogFormat::Text => Box::new(builder.with_ansi(color).finish()),
    })
}
