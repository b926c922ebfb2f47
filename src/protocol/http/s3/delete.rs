//! The keys of a batch delete, read so strictly that every other reader sees the same ones.
//!
//! What XML parsers disagree on is refused: DTDs and entities, comments and CDATA inside a key,
//! two keys in one object, prefixed or unknown elements, spaces around a key (some trim), other
//! encodings than UTF-8. SDKs write none of these.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::address;
use super::malformed::Malformed;
use crate::fence::Action;
use crate::protocol::http::operation::Target;

/// The longest body, in bytes: S3's own limit.
pub const BODY_MAX_BYTES: usize = 2 * 1024 * 1024;
/// The most keys of one request: S3's own limit.
pub const KEYS_MAX: usize = 1000;

/// What the keys of a batch touch, in the order of the body.
pub fn targets(bucket: &str, keys: &[String]) -> Vec<Target> {
    let target = |key| Target { path: format!("/{bucket}/{key}"), action: Action::Write };
    keys.iter().map(target).collect()
}

/// The keys in the body of `DeleteObjects`; never none.
///
/// # Errors
/// When the body is too large, is not the XML that S3 asks for, or could be read in two ways;
/// when a key is one that [`super::address`] refuses.
pub fn keys(body: &[u8]) -> Result<Vec<String>, Malformed> {
    if body.len() > BODY_MAX_BYTES {
        return Err(Malformed::Xml("a batch delete has at most 2 MiB"));
    }
    let text = str::from_utf8(body).map_err(|_| Malformed::Xml("a batch delete is not UTF-8"))?;
    let mut batch = Batch { reader: Reader::from_str(text), keys: Vec::new() };
    batch.document()?;
    if batch.keys.is_empty() {
        Err(Malformed::Xml("a batch delete has no keys"))
    } else {
        Ok(batch.keys)
    }
}

struct Batch<'a> {
    reader: Reader<&'a [u8]>,
    keys: Vec<String>,
}

/// A child element, or the end of its parent.
enum Child<'a> {
    Element { tag: BytesStart<'a>, is_empty: bool },
    End,
}

impl<'a> Batch<'a> {
    fn next(&mut self) -> Result<Event<'a>, Malformed> {
        match self.reader.read_event() {
            Ok(Event::DocType(_)) => Err(Malformed::Xml("a DTD is refused")),
            Ok(Event::PI(_)) => Err(Malformed::Xml("a processing instruction is refused")),
            Ok(event) => Ok(event),
            Err(_) => Err(Malformed::Xml("a batch delete is not well-formed XML")),
        }
    }

    /// The next element, past space and comments. `None` at the end of the document.
    fn child(&mut self) -> Result<Option<Child<'a>>, Malformed> {
        loop {
            match self.next()? {
                Event::Comment(_) => {}
                Event::Text(text) if is_space(&text.borrow().into_inner()) => {}
                Event::Start(tag) => return Ok(Some(Child::Element { tag, is_empty: false })),
                Event::Empty(tag) => return Ok(Some(Child::Element { tag, is_empty: true })),
                Event::End(_) => return Ok(Some(Child::End)),
                Event::Eof => return Ok(None),
                _ => return Err(Malformed::Xml("text stands between the elements")),
            }
        }
    }

    fn document(&mut self) -> Result<(), Malformed> {
        let mut first = self.next()?;
        if let Event::Decl(declaration) = &first {
            let is_utf8 = match declaration.encoding() {
                None => true,
                Some(encoding) => encoding.is_ok_and(|name| name.eq_ignore_ascii_case("utf-8")),
            };
            if !is_utf8 {
                return Err(Malformed::Xml("a batch delete declares another encoding than UTF-8"));
            }
            first = self.next()?;
        }
        while matches!(&first, Event::Comment(_))
            || matches!(&first, Event::Text(text) if is_space(&text.borrow().into_inner()))
        {
            first = self.next()?;
        }
        match first {
            Event::Start(tag) if tag.name().as_ref() == "Delete" => self.objects()?,
            _ => return Err(Malformed::Xml("a batch delete begins with <Delete>")),
        }
        match self.child()? {
            None => Ok(()),
            Some(_) => Err(Malformed::Xml("something follows </Delete>")),
        }
    }

    fn objects(&mut self) -> Result<(), Malformed> {
        loop {
            match self.child()? {
                Some(Child::End) => return Ok(()),
                Some(Child::Element { tag, is_empty: false })
                    if tag.name().as_ref() == "Object" =>
                {
                    if self.keys.len() == KEYS_MAX {
                        return Err(Malformed::Xml("a batch delete has at most 1000 keys"));
                    }
                    let key = self.object()?;
                    self.keys.push(key);
                }
                Some(Child::Element { tag, is_empty }) if tag.name().as_ref() == "Quiet" => {
                    self.text(is_empty)?;
                }
                Some(_) => return Err(Malformed::Xml("<Delete> holds <Object> and <Quiet> only")),
                None => return Err(Malformed::Xml("a batch delete is cut short")),
            }
        }
    }

    fn object(&mut self) -> Result<String, Malformed> {
        let mut key = None;
        loop {
            let (tag, is_empty) = match self.child()? {
                Some(Child::Element { tag, is_empty }) => (tag, is_empty),
                Some(Child::End) => {
                    return key.ok_or(Malformed::Xml("an <Object> has no <Key>"));
                }
                None => return Err(Malformed::Xml("a batch delete is cut short")),
            };
            let name = tag.name();
            let name = name.as_ref();
            let text = self.text(is_empty)?;
            match name {
                "Key" if key.is_some() => {
                    return Err(Malformed::Xml("an <Object> has two keys: it would be a guess"));
                }
                "Key" => {
                    if text.trim() != text {
                        return Err(Malformed::Xml("a key has spaces around it: some stores trim"));
                    }
                    address::check_key(&text)?;
                    key = Some(text);
                }
                "VersionId" | "ETag" | "LastModifiedTime" | "Size" => {}
                _ => return Err(Malformed::Xml("an <Object> holds something that S3 has not")),
            }
        }
    }

    /// The text of an element up to its end, references resolved.
    fn text(&mut self, is_empty: bool) -> Result<String, Malformed> {
        let mut text = String::new();
        if is_empty {
            return Ok(text);
        }
        loop {
            match self.next()? {
                Event::Text(part) => text.push_str(&part.into_inner()),
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(char)) => Some(char),
                        Ok(None) => predefined(&reference.into_inner()),
                        Err(_) => None,
                    };
                    text.push(resolved.ok_or(Malformed::Xml("an entity is refused"))?);
                }
                Event::End(_) => return Ok(text),
                _ => return Err(Malformed::Xml("a value holds something else than text")),
            }
        }
    }
}

fn is_space(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "apos" => '\'',
        "gt" => '>',
        "lt" => '<',
        "quot" => '"',
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
