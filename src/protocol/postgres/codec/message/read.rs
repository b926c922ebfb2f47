//! Bodies of messages, read where Palisade has to understand them.
//!
//! Texts are bytes: what encoding they have is for the session to know.

use std::borrow::Cow;

use super::super::frame::FrameError;

/// Where a session stands towards transactions: what ReadyForQuery says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Status {
    /// Not in a transaction.
    #[default]
    Idle,
    /// In a transaction.
    InTransaction,
    /// In a transaction that can only be rolled back.
    Failed,
}

impl Status {
    /// From ReadyForQuery's byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InTransaction),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    /// ReadyForQuery's byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// What ErrorResponse and NoticeResponse say: what Palisade looks at. What is not there is empty;
/// what is not UTF-8 is shown as well as it can be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ErrorFields<'a> {
    /// `ERROR`, `FATAL`, `PANIC`, `WARNING` and so on, never translated (PostgreSQL 9.6 and later).
    pub severity: Cow<'a, str>,
    /// The SQLSTATE.
    pub code: Cow<'a, str>,
    /// What happened.
    pub message: Cow<'a, str>,
    /// More about it.
    pub detail: Cow<'a, str>,
    /// What to do.
    pub hint: Cow<'a, str>,
}

impl<'a> ErrorFields<'a> {
    /// Reads the body of either.
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut body = Body::new("ErrorResponse", body);
        let mut fields = Self::default();
        loop {
            let tag = body.byte()?;
            if tag == 0 {
                break;
            }
            let text = String::from_utf8_lossy(body.text()?);
            match tag {
                b'V' => fields.severity = text,
                // Translated, so only for want of the other.
                b'S' if fields.severity.is_empty() => fields.severity = text,
                b'C' => fields.code = text,
                b'M' => fields.message = text,
                b'D' => fields.detail = text,
                b'H' => fields.hint = text,
                _ => {}
            }
        }
        body.end(fields)
    }

    /// Whether the session ends with it.
    pub fn is_fatal(&self) -> bool {
        matches!(&*self.severity, "FATAL" | "PANIC")
    }
}

/// ParameterStatus: a name and a value.
pub fn parameter_status(body: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let mut body = Body::new("ParameterStatus", body);
    let read = (body.text()?, body.text()?);
    body.end(read)
}

/// BackendKeyData: a process id and a secret.
pub fn backend_key(body: &[u8]) -> Result<(u32, &[u8]), FrameError> {
    let mut body = Body::new("BackendKeyData", body);
    Ok((body.u32()?, body.rest))
}

/// Query: its text.
pub fn query_text(body: &[u8]) -> Result<&[u8], FrameError> {
    let mut body = Body::new("Query", body);
    let text = body.text()?;
    body.end(text)
}

/// Parse: the name of the statement, and its text. The types of parameters are left alone.
pub fn parse_text(body: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let mut body = Body::new("Parse", body);
    Ok((body.text()?, body.text()?))
}

/// Bind: the names of the portal and of the statement. The values are left alone.
pub fn bind(body: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let mut body = Body::new("Bind", body);
    Ok((body.text()?, body.text()?))
}

/// What Describe and Close are about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target<'a> {
    /// A prepared statement.
    Statement(&'a [u8]),
    /// A portal.
    Portal(&'a [u8]),
}

/// Describe and Close.
pub fn target(body: &[u8]) -> Result<Target<'_>, FrameError> {
    let mut body = Body::new("Describe or Close", body);
    let target = match (body.byte()?, body.text()?) {
        (b'S', name) => Target::Statement(name),
        (b'P', name) => Target::Portal(name),
        _ => return Err(body.error("it is about neither a statement nor a portal")),
    };
    body.end(target)
}

/// Execute: the portal's name. How many rows is left alone.
pub fn execute(body: &[u8]) -> Result<&[u8], FrameError> {
    let mut body = Body::new("Execute", body);
    let portal = body.text()?;
    body.u32()?;
    body.end(portal)
}

/// CommandComplete: what was done, as `INSERT 0 1`.
pub fn command_complete(body: &[u8]) -> Result<&[u8], FrameError> {
    let mut body = Body::new("CommandComplete", body);
    let tag = body.text()?;
    body.end(tag)
}

/// DataRow: its values. `None` is NULL.
pub fn data_row(body: &[u8]) -> Result<Vec<Option<&[u8]>>, FrameError> {
    let mut body = Body::new("DataRow", body);
    let count = body.u16()?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(match body.u32()? {
            u32::MAX => None,
            len => Some(body.bytes(len as usize)?),
        });
    }
    body.end(values)
}

/// What is left of a body. Public for messages that only one module knows.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    message: &'static str,
    /// Not read yet.
    pub rest: &'a [u8],
}

impl<'a> Body<'a> {
    /// Of a message that errors call `message`.
    pub fn new(message: &'static str, rest: &'a [u8]) -> Self {
        Self { message, rest }
    }

    /// That this message is malformed.
    pub fn error(&self, what: &'static str) -> FrameError {
        FrameError::Body { message: self.message, what }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], FrameError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(self.error("it is too short"))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, FrameError> {
        Ok(self.bytes(1)?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, FrameError> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, FrameError> {
        let bytes = self.bytes(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The text before the next NUL.
    pub fn text(&mut self) -> Result<&'a [u8], FrameError> {
        let end = memchr::memchr(0, self.rest).ok_or(self.error("a text has no end"))?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    /// `read`, if nothing is left.
    pub fn end<T>(&self, read: T) -> Result<T, FrameError> {
        match self.rest.is_empty() {
            true => Ok(read),
            false => Err(self.error("it is too long")),
        }
    }
}
