//! Bodies of batch deletes, one table: the keys, or that it is refused.

use proptest::prelude::*;

use super::*;

/// `expected` is the keys, or none for refused.
#[track_caller]
fn check(body: &str, expected: &[&str]) {
    let found = keys(body.as_bytes());
    match expected {
        [] => assert!(found.is_err(), "{body}: {found:?}"),
        _ => assert_eq!(found, Ok(expected.iter().map(|k| (*k).to_owned()).collect()), "{body}"),
    }
}

fn wrapped(inner: &str) -> String {
    format!("<Delete>{inner}</Delete>")
}

#[test]
fn what_sdks_write() {
    check(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- x -->\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n \
         <Object><Key>a/b</Key></Object> <Object><VersionId>v</VersionId><Key>c &amp; &#100;&#x20AC;</Key></Object>\n\
         <Quiet>true</Quiet></Delete>\n",
        &["a/b", "c & d€"],
    );
    check(&wrapped("<Object><Key>dir/</Key><ETag>\"x\"</ETag></Object><Quiet/>"), &["dir/"]);
    let many = |n: usize| wrapped(&"<Object><Key>k</Key></Object>".repeat(n));
    assert_eq!(keys(many(1000).as_bytes()).unwrap().len(), 1000);
    check(&many(1001), &[]);
}

#[test]
fn what_parsers_disagree_on() {
    for inner in [
        "",
        "<Quiet>true</Quiet>",
        "<Object></Object>",
        "<Object/>",
        "<Object><Key/></Object>",
        "<Object><Key></Key></Object>",
        "<Object><Key> a</Key></Object>",
        "<Object><Key>a\n</Key></Object>",
        "<Object><Key>a</Key><Key>b</Key></Object>",
        "<Object><Key>a<!-- x -->b</Key></Object>",
        "<Object><Key><![CDATA[a]]></Key></Object>",
        "<Object><Key>a<b/></Key></Object>",
        "<Object><Key>&x;</Key></Object>",
        "<Object><Key>&#0;</Key></Object>",
        "<Object><Key>&#13;a</Key></Object>",
        "<Object><Key>a&</Key></Object>",
        "<Object><key>a</key></Object>",
        "<Object><x:Key>a</x:Key></Object>",
        "<Object>a<Key>a</Key></Object>",
        "<Object><Key>a</Key><Other>b</Other></Object>",
        "<object><Key>a</Key></object>",
        "<Object><Key>../a</Key></Object>",
        "<Object><Key>a//b</Key></Object>",
        "<Object><Key>/a</Key></Object>",
        "<Object><Key>a</Object></Key>",
        "<Object><Key>a</Key>",
        "<Object><Key>a",
        "<?pi x?><Object><Key>a</Key></Object>",
        "text<Object><Key>a</Key></Object>",
    ] {
        check(&wrapped(inner), &[]);
    }
    let good = "<Delete><Object><Key>a</Key></Object></Delete>";
    check(good, &["a"]);
    for body in [
        "".to_owned(),
        "a".to_owned(),
        format!("<!DOCTYPE Delete>{good}"),
        format!("<!DOCTYPE Delete [<!ENTITY x \"y\">]>{good}"),
        format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{good}"),
        format!("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>{good}"),
        format!("{good}{good}"),
        format!("{good}x"),
        format!("x{good}"),
        good.replace("Delete", "s3:Delete"),
        good.replace("Delete", "Remove"),
        format!("<a>{good}</a>"),
        format!("{}{good}", " ".repeat(BODY_MAX_BYTES)),
    ] {
        check(&body, &[]);
    }
    assert!(keys(b"<Delete><Object><Key>\xFF</Key></Object></Delete>").is_err());
}

proptest! {
    #[test]
    fn nothing_panics(body: Vec<u8>, soup in "(<Delete>|</Delete>|<Object>|</Object>|<Key>|</Key>|a|&amp;|<!--|-->|<|>|&#x41;|/){0,24}") {
        let _ = keys(&body);
        if let Ok(keys) = keys(soup.as_bytes()) {
            prop_assert!(!keys.is_empty());
        }
    }

    #[test]
    fn a_key_survives(key in "[a-z&<>'\"é]{1,20}") {
        let body = wrapped(&format!("<Object><Key>{}</Key></Object>", quick_xml::escape::escape(&key)));
        prop_assert_eq!(keys(body.as_bytes()), Ok(vec![key]));
    }
}
