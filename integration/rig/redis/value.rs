//! The values of RESP2 and RESP3, read without any of Palisade's code.

use std::fmt;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    Bool(bool),
    /// A double, a big number: as it was written.
    Number(char, String),
    /// An array, a set `~` or a push `>`.
    List(char, Vec<Self>),
    /// A map, or attributes `|`.
    Map(char, Vec<(Self, Self)>),
}

impl Value {
    /// The value at the front, and how many bytes it has; `None` while it is not all there.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = memchr::memchr(b'\n', bytes)?;
        let line = bytes.get(1..end.checked_sub(1)?)?;
        let line = String::from_utf8_lossy(line).into_owned();
        let mut at = end + 1;
        let count = || line.parse::<i64>().unwrap_or_else(|_| panic!("a number, not {line:?}"));
        let kind = char::from(bytes[0]);
        let value = match kind {
            '+' => Self::Simple(line),
            '-' => Self::Error(line),
            ':' => Self::Integer(count()),
            ',' | '(' => Self::Number(kind, line),
            '#' => Self::Bool(line == "t"),
            '_' => Self::Null,
            '$' | '*' if count() < 0 => Self::Null,
            '$' | '=' | '!' => {
                let length = usize::try_from(count()).unwrap();
                let body = bytes.get(at..at + length + 2)?;
                assert_eq!(&body[length..], b"\r\n", "the end of a bulk");
                at += length + 2;
                let body = body[..length].to_vec();
                match kind {
                    '!' => Self::Error(String::from_utf8_lossy(&body).into_owned()),
                    _ => Self::Bulk(body),
                }
            }
            '*' | '~' | '>' => {
                let mut list = Vec::new();
                for _ in 0..count() {
                    let (value, length) = Self::read(&bytes[at..])?;
                    list.push(value);
                    at += length;
                }
                Self::List(kind, list)
            }
            '%' | '|' => {
                let mut map = Vec::new();
                for _ in 0..count() {
                    let (key, length) = Self::read(&bytes[at..])?;
                    at += length;
                    let (value, length) = Self::read(&bytes[at..])?;
                    at += length;
                    map.push((key, value));
                }
                Self::Map(kind, map)
            }
            _ => panic!("no value: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)])),
        };
        Some((value, at))
    }

    /// Whether it comes unasked.
    pub fn is_push(&self) -> bool {
        matches!(self, Self::List('>', _))
    }

    /// The elements; none if it is no list.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(_, list) => list,
            _ => &[],
        }
    }

    /// What stands under that name, in a map or in a list of names and values.
    pub fn under(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(_, map) => {
                map.iter().find(|(key, _)| key.to_string() == name).map(|(_, value)| value)
            }
            _ => self
                .list()
                .chunks_exact(2)
                .find(|pair| pair[0].to_string() == name)
                .map(|pair| &pair[1]),
        }
    }
}

/// Short, for comparisons in tests: `OK`, `-ERR ...`, `:1`, `nil`, `[a, :2]`, `{a: :1}`, `>[..]`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => f.write_str(text),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Null => f.write_str("nil"),
            Self::Bool(is_true) => write!(f, "#{is_true}"),
            Self::Number(kind, text) => write!(f, "{kind}{text}"),
            Self::List(kind, list) => {
                let inner: Vec<_> = list.iter().map(Self::to_string).collect();
                let kind = if *kind == '*' { String::new() } else { kind.to_string() };
                write!(f, "{kind}[{}]", inner.join(", "))
            }
            Self::Map(kind, map) => {
                let inner: Vec<_> = map.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                let kind = if *kind == '%' { String::new() } else { kind.to_string() };
                write!(f, "{kind}{{{}}}", inner.join(", "))
            }
        }
    }
}

/// A command as clients send it.
pub fn command<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend(format!("${}\r\n", argument.len()).bytes());
        bytes.extend(argument);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// A command whose arguments have single spaces between them. What stands between single quotes is
/// one argument.
pub fn words(line: &str) -> Vec<u8> {
    let parts = line.split('\'').enumerate();
    let arguments = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split(' ').filter(|word| !word.is_empty()).collect(),
        _ => vec![part],
    });
    command(&arguments.collect::<Vec<_>>())
}
