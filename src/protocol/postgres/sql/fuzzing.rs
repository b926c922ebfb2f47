//! What has to hold of any text.

use super::scan::scan;
use super::{Own, Verdict, own, verdict};

/// No text makes the readers panic or overflow, and the verdicts are consistent: white space and
/// comments around a text change nothing, two reads in one message are a read, a read with a
/// write in one message is a write, and Palisade's own statements are found whatever the case.
pub(crate) fn statements(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let alone = verdict(&text);
    let _ = own(&text);
    if scan(&text).is_err() {
        assert!(matches!(alone, Verdict::Write(_)), "read what cannot be scanned: {text:?}");
        return;
    }
    let among = format!("/* /* a */ b */ ;\n{text}\n;-- c");
    assert_eq!(
        std::mem::discriminant(&alone),
        std::mem::discriminant(&verdict(&among)),
        "{text:?}"
    );
    let twice = format!("{text}\n;\n{text}");
    match alone {
        Verdict::Read => assert_eq!(verdict(&twice), Verdict::Read, "{text:?}"),
        _ => assert!(matches!(verdict(&twice), Verdict::Write(_)), "{text:?}"),
    }
    let with_write = format!("{text}\n;select nextval('s')");
    assert!(matches!(verdict(&with_write), Verdict::Write(_)), "{text:?}");
    if alone == Verdict::Read {
        assert!(!matches!(own(&text), Own::Set { .. }), "a token as a read: {text:?}");
    }
}
