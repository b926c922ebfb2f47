//! The first packet of a connection: a wish for encryption, a cancel, or the start of a session.

mod options;
#[cfg(test)]
mod tests;

use options::Options;

/// The longest first packet without its length field, as PostgreSQL has it.
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// The bytes of a cancel key's secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 4..=256;

/// In the place of a version: no version has a major part this high.
pub(super) const CANCEL_CODE: u32 = 80_877_102;
pub(super) const SSL_CODE: u32 = 80_877_103;
pub(super) const GSS_CODE: u32 = 80_877_104;
/// Version 3.0.
pub(super) const VERSION_3: u32 = 3 << 16;

/// What a first packet asks for.
#[derive(Eq, PartialEq)]
pub enum First {
    /// TLS.
    Ssl,
    /// Encryption by GSSAPI.
    Gss,
    /// That what another connection runs be cancelled.
    Cancel {
        /// Of the key that the other connection was given.
        pid: u32,
        /// The same, 4 to 256 bytes.
        secret: Vec<u8>,
    },
    /// A session.
    Startup(Startup),
}

/// A secret is not shown.
impl std::fmt::Debug for First {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ssl => f.write_str("Ssl"),
            Self::Gss => f.write_str("Gss"),
            Self::Cancel { pid, .. } => {
                f.debug_struct("Cancel").field("pid", pid).finish_non_exhaustive()
            }
            Self::Startup(startup) => f.debug_tuple("Startup").field(startup).finish(),
        }
    }
}

/// The version of the protocol that a client asks for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// Always 3.
    pub major: u16,
    /// Any.
    pub minor: u16,
}

/// How a session is to be.
#[derive(Clone, Eq, PartialEq)]
pub struct Startup {
    /// The version that was asked for.
    pub version: Version,
    /// Names and values in their order, each name once. Of `_pq_.` none.
    pub parameters: Vec<(String, String)>,
    /// The names of extensions of the protocol (`_pq_.*`), none of which is known here.
    pub unknown_options: Vec<String>,
}

/// Only names are shown: a value may be one that nobody else should see.
impl std::fmt::Debug for Startup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        f.debug_struct("Startup")
            .field("version", &self.version)
            .field("parameters", &names)
            .field("unknown_options", &self.unknown_options)
            .finish()
    }
}

/// A first packet that cannot be understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StartupError {
    /// Too short or too long.
    #[error(
        "the first packet has a length of {length}, which is outside of 8 to {}; speak \
         PostgreSQL's protocol to this port, with shorter options",
        STARTUP_BYTES_MAX + 4
    )]
    Length {
        /// What its length field says, itself included.
        length: u32,
    },
    /// Not version 3.
    #[error(
        "protocol {major}.{minor} is not spoken here, only 3.0 and later; use a driver made for \
         PostgreSQL 7.4 or later"
    )]
    Version {
        /// What was asked for.
        major: u16,
        /// What was asked for.
        minor: u16,
    },
    /// A cancel of another form.
    #[error("a request to cancel has to bring a process id and 4 to 256 bytes of secret")]
    Cancel,
    /// The parameters are not names and values.
    #[error("the start-up packet is malformed: {0}; use a driver that speaks protocol 3")]
    Malformed(&'static str),
    /// Something was said twice.
    #[error(
        "\"{0}\" is given more than once at start-up; give it once, as a parameter or in options"
    )]
    Twice(String),
}

/// Bytes of the packet after its length field, which `bytes` begins with. `None`: fewer than
/// four bytes are there.
pub fn len(bytes: &[u8]) -> Result<Option<usize>, StartupError> {
    let Some(&length) = bytes.first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes(length);
    match (length as usize).checked_sub(4) {
        Some(len) if (4..=STARTUP_BYTES_MAX).contains(&len) => Ok(Some(len)),
        _ => Err(StartupError::Length { length }),
    }
}

/// Reads what follows the length field, all of it.
pub fn first(body: &[u8]) -> Result<First, StartupError> {
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    let Some((&code, rest)) = body.split_first_chunk() else {
        return Err(StartupError::Length { length });
    };
    if body.len() > STARTUP_BYTES_MAX {
        return Err(StartupError::Length { length });
    }
    match u32::from_be_bytes(code) {
        SSL_CODE if rest.is_empty() => Ok(First::Ssl),
        GSS_CODE if rest.is_empty() => Ok(First::Gss),
        SSL_CODE | GSS_CODE => Err(StartupError::Malformed("bytes after a wish for encryption")),
        CANCEL_CODE => match rest.split_first_chunk() {
            Some((&pid, secret)) if SECRET_BYTES.contains(&secret.len()) => {
                Ok(First::Cancel { pid: u32::from_be_bytes(pid), secret: secret.to_vec() })
            }
            _ => Err(StartupError::Cancel),
        },
        version => {
            let [a, b, c, d] = version.to_be_bytes();
            let (major, minor) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            if major != 3 {
                return Err(StartupError::Version { major, minor });
            }
            Startup::parse(Version { major, minor }, rest).map(First::Startup)
        }
    }
}

impl Startup {
    /// A name twice is refused: the server would take the last, somebody else the first.
    fn parse(version: Version, mut rest: &[u8]) -> Result<Self, StartupError> {
        let mut startup = Self { version, parameters: Vec::new(), unknown_options: Vec::new() };
        loop {
            let name = text(&mut rest)?;
            if name.is_empty() {
                break;
            }
            let value = text(&mut rest)?;
            let same = |other: &str| other.eq_ignore_ascii_case(&name);
            if startup.parameters.iter().any(|(other, _)| same(other))
                || startup.unknown_options.iter().any(|other| same(other))
            {
                return Err(StartupError::Twice(name));
            }
            match name.starts_with("_pq_.") {
                true => startup.unknown_options.push(name),
                false => startup.parameters.push((name, value)),
            }
        }
        match rest.is_empty() {
            true => Ok(startup),
            false => Err(StartupError::Malformed("bytes after its end")),
        }
    }

    /// The value of a parameter by its exact name. What `options` says is not looked at.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(other, _)| other == name)?;
        Some(value)
    }

    /// All settings, from parameters and `options`; `None` where `options` has switches that set
    /// none.
    pub fn settings(&self) -> Option<Vec<(String, String)>> {
        let mut settings = Vec::new();
        for (name, value) in &self.parameters {
            match name.as_str() {
                "user" | "database" | "replication" => {}
                "options" => settings.extend(Options::parse(value).settings()?),
                _ => settings.push((name.clone(), value.clone())),
            }
        }
        Some(settings)
    }

    /// Takes a setting out, wherever it is: a parameter, or in `options` (`-c name=value`,
    /// `-cname=value`, `--name=value`). Names of settings know no upper case, and in `options` `-` is
    /// `_` in them. What else `options` says is kept for the server, in its order.
    ///
    /// An error leaves everything as it was.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, StartupError> {
        let at = self.parameters.iter().position(|(other, _)| other.eq_ignore_ascii_case(name));
        let options_at = self.parameters.iter().position(|(other, _)| other == "options");
        let parsed = options_at.map(|at| Options::parse(&self.parameters[at].1));
        let (kept, mut values) = parsed.map_or_else(Default::default, |it| it.without(name));
        if values.len() + usize::from(at.is_some()) > 1 {
            return Err(StartupError::Twice(name.to_owned()));
        }
        if let (Some(value), Some(options_at)) = (values.pop(), options_at) {
            let text = kept.to_string();
            match text.is_empty() {
                true => drop(self.parameters.remove(options_at)),
                false => self.parameters[options_at].1 = text,
            }
            return Ok(Some(value));
        }
        Ok(at.map(|at| self.parameters.remove(at).1))
    }
}

/// The text before the next NUL.
fn text(rest: &mut &[u8]) -> Result<String, StartupError> {
    let end = memchr::memchr(0, rest).ok_or(StartupError::Malformed("a text without its end"))?;
    let text = std::str::from_utf8(&rest[..end])
        .map_err(|_| StartupError::Malformed("a text that is not UTF-8"))?;
    *rest = &rest[end + 1..];
    Ok(text.to_owned())
}
