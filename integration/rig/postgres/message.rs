//! The messages of the protocol: what a client sends, and what errors and notices say.

use std::collections::BTreeMap;
use std::fmt;

/// A message with that tag.
pub fn tagged(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A message without tag, as sessions begin with.
pub fn untagged(body: &[u8]) -> Vec<u8> {
    tagged(0, body)[1..].to_vec()
}

/// The protocol of all servers.
pub const VERSION_3_0: u32 = 3 << 16;

/// A start with those parameters.
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(zeroed(name));
        body.extend(zeroed(value));
    }
    body.push(0);
    untagged(&body)
}

fn zeroed(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// `Query`.
pub fn query(sql: &str) -> Vec<u8> {
    tagged(b'Q', &zeroed(sql))
}

/// `Parse`, with the types left to the server.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    tagged(b'P', &[zeroed(name), zeroed(sql), vec![0, 0]].concat())
}

/// `Bind`, everything as text.
pub fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = [zeroed(portal), zeroed(statement), vec![0, 0]].concat();
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    tagged(b'B', &body)
}

/// `Describe` of a statement (`S`) or a portal (`P`).
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    tagged(b'D', &[vec![kind], zeroed(name)].concat())
}

/// `Close` of a statement (`S`) or a portal (`P`).
pub fn close(kind: u8, name: &str) -> Vec<u8> {
    tagged(b'C', &[vec![kind], zeroed(name)].concat())
}

/// `Execute`, so many rows at most; all of them for zero.
pub fn execute(portal: &str, rows_max: u32) -> Vec<u8> {
    tagged(b'E', &[&zeroed(portal)[..], &rows_max.to_be_bytes()].concat())
}

/// `CopyData`.
pub fn copy_data(data: &str) -> Vec<u8> {
    tagged(b'd', data.as_bytes())
}

/// A statement in the extended protocol, without the `Sync`.
pub fn extended(sql: &str, values: &[&str]) -> Vec<u8> {
    [parse("", sql), bind("", "", values), describe(b'P', ""), execute("", 0)].concat()
}

/// An error or a notice: its fields by their letters.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Told(pub BTreeMap<char, String>);

impl Told {
    /// Of the body of an ErrorResponse or a NoticeResponse.
    pub fn parse(body: &[u8]) -> Self {
        let fields = body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        let fields = fields
            .map(|field| (char::from(field[0]), String::from_utf8_lossy(&field[1..]).into_owned()));
        Self(fields.collect())
    }

    /// For a connection that ended without a word.
    pub fn cut() -> Self {
        Self([('C', "CUT".to_owned()), ('M', "the connection has ended".to_owned())].into())
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &str {
        self.field('C')
    }

    /// `ERROR`, `FATAL`, ...: never translated.
    pub fn severity(&self) -> &str {
        self.field('V')
    }

    /// The message.
    pub fn message(&self) -> &str {
        self.field('M')
    }

    /// The detail.
    pub fn detail(&self) -> &str {
        self.field('D')
    }

    /// The hint.
    pub fn hint(&self) -> &str {
        self.field('H')
    }

    fn field(&self, letter: char) -> &str {
        self.0.get(&letter).map_or("", String::as_str)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity(), self.code(), self.message())?;
        for (name, text) in [("detail", self.detail()), ("hint", self.hint())] {
            if !text.is_empty() {
                write!(f, "; {name}: {text}")?;
            }
        }
        Ok(())
    }
}
