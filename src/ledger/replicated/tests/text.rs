//! How rows look, and which texts are none.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::fence::{Holder, Mark, Own, Row, SessionId, Token};
use crate::ledger::Raised;
use crate::ledger::replicated::text::{Kept, TEXT_MAX_BYTES, TextError};

fn text_of(kept: &Kept) -> String {
    String::from_utf8(kept.encode().unwrap()).unwrap()
}

#[test]
fn a_row_is_one_line_with_its_keys_in_order() {
    let mut row = Row::default();
    let own = |replica: &str, number| Own {
        current: SessionId::new(replica, number),
        former: Vec::new(),
    };
    let mark = |token| Mark { token, holder: Holder::new("spiffe://x/\"y\"") };
    row.raise(&mark(Token::new(0, 41)), &own("r2", 10), true);
    row.raise(&mark(Token::new(1, 3)), &own("r2", 9), true);
    let at = UNIX_EPOCH + Duration::from_millis(1_795_302_000_123);
    let raised = Raised { token: Token::new(1, 3), holder: Holder::new("ä"), at };
    let kept = Kept { row: Arc::new(row), history: vec![raised] };
    let text = text_of(&kept);
    let wanted = r#"{"v":1,"mark":"1.3","holder":"spiffe://x/\"y\"","grants":{"r2#9":"1.3","r2#10":"41"},"history":[{"token":"1.3","holder":"ä","at":"2026-11-21T23:00:00.123Z"}]}"#;
    assert_eq!(text, wanted);
    assert_eq!(Kept::decode(text.as_bytes()), Ok(kept));
    let empty = r#"{"v":1,"mark":"0","holder":"","grants":{},"history":[]}"#;
    assert_eq!(text_of(&Kept::default()), empty);
    assert_eq!(Kept::decode(empty.as_bytes()), Ok(Kept::default()));
    let reset = empty.replace("\"0\"", "\"1.0\"");
    let found = Kept::decode(reset.as_bytes()).unwrap();
    assert_eq!(found.row.mark.token, Token::new(1, 0));
    assert_eq!(text_of(&found), reset);
    // Mended by hand, with spaces.
    assert!(Kept::decode(empty.replace(':', " : ").as_bytes()).is_ok());
}

#[test]
fn what_is_no_row_is_refused() {
    let check = |change: (&str, &str), wanted: &str| {
        let good = r#"{"v":1,"mark":"5","holder":"x","grants":{"r1#1":"4"},"history":[{"token":"5","holder":"x","at":"2026-11-21T23:00:00.123Z"}]}"#;
        Kept::decode(good.as_bytes()).unwrap();
        let bad = good.replacen(change.0, change.1, 1);
        assert_ne!(good, bad);
        let error = Kept::decode(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{bad}: {error}");
    };
    check(("\"v\":1", "\"v\":2"), "a newer palisade wrote it (version 2");
    check(("\"v\":1", "\"v\":2,\"new\":3"), "a newer palisade wrote it");
    check(("\"v\":1", "\"v\":0"), "its version is 0");
    check(("\"v\":1,", ""), "missing field `v`");
    check(("\"v\":1,", "\"v\":1,\"w\":2,"), "unknown field `w`");
    check(("\"mark\":\"5\"", "\"mark\":5"), "expected a string");
    check(("\"mark\":\"5\"", "\"mark\":\"\""), "the token is empty");
    check(("\"mark\":\"5\"", "\"mark\":\"0\""), "the grant of r1#1 is not within the mark");
    check(("\"mark\":\"5\"", "\"mark\":\"-5\""), "not a decimal number");
    check(("\"4\"", "\"6\""), "the grant of r1#1 is not within the mark");
    check(("\"4\"", "\"0\""), "the grant of r1#1 is not within the mark");
    check(("r1#1", "r1"), "NAME#NUMBER");
    check(("23:00", "25:00"), "hour");
    check(("\"mark\":\"5\"", "\"mark\":\"x.0\""), "not a decimal number");
    check(("\"mark\":\"5\"", "\"mark\":\"4294967296.0\""), "too large");
    check(("]}", "]}x"), "trailing characters");
}

#[test]
fn too_much_is_refused() {
    let mut row = Row::default();
    for number in 0..40_000 {
        row.grants.insert(SessionId::new("replica", number), Token::new(0, 1));
    }
    let kept = Kept { row: Arc::new(row), history: Vec::new() };
    assert_eq!(kept.encode(), Err(TextError::TooLarge));
    assert_eq!(Kept::decode(&vec![b' '; TEXT_MAX_BYTES + 1]), Err(TextError::TooLarge));
}
