//! XML: the keys of a batch, and the documents of refusals.

use quick_xml::events::Event;

use crate::protocol::http::s3::{delete, refusal};

/// Any bytes as a batch delete.
///
/// # Panics
/// When keys are read that, written plainly, would be read as others.
pub fn delete_objects(data: &[u8]) {
    let Ok(keys) = delete::keys(data) else { return };
    assert!((1..=delete::KEYS_MAX).contains(&keys.len()));
    let object = |key: &String| {
        let key = quick_xml::escape::escape(key.as_str());
        format!("<Object><Key>{key}</Key></Object>")
    };
    let plain: String = keys.iter().map(object).collect();
    let again = delete::keys(format!("<Delete>{plain}</Delete>").as_bytes());
    assert_eq!(again.as_ref(), Ok(&keys), "{plain}");
    for target in delete::targets("bucket", &keys) {
        let path = target.path.strip_prefix("/bucket/").expect("it is in the bucket");
        assert!(!path.split('/').any(|part| matches!(part, "." | "..")), "{path:?}");
        assert!(!path.contains(char::is_control), "{path:?}");
    }
}

/// Any text in a refusal.
///
/// # Panics
/// When it makes no document that a parser takes and that says the same.
pub fn refusal_document(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let document = refusal::document(refusal::code(&text), &text, &[("Holder", &text)]);
    check_well_formed(&document);
}

/// # Panics
/// When it is not well-formed, or an element of it holds another one that nobody wrote.
pub fn check_well_formed(document: &str) {
    let mut reader = quick_xml::Reader::from_str(document);
    let mut depth = 0;
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {document}")) {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            _ => {}
        }
        assert!((0..=2).contains(&depth), "{document}");
    }
}
