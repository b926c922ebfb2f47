//! Long and deep texts end in a verdict, on a small stack.

use crate::protocol::postgres::sql::{Verdict, own, verdict};

/// Half of what a thread of the runtime has, in bytes.
const STACK_BYTES: usize = 1 << 20;

fn judge(text: String) {
    let judged = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let _ = own(&text);
        std::mem::discriminant(&verdict(&text))
    });
    judged.expect("a thread").join().expect("a verdict, and no panic");
}

#[test]
fn long_and_deep_texts_end() {
    for count in [100, 1_000, 2_000, 4_000, 20_000] {
        let chain = |head: &str, link: &str| judge(format!("{head}{}", link.repeat(count)));
        chain("select 1", "+1");
        chain("select 1", " and 1");
        chain("select a", "::int");
        chain("select a", "[1]");
        chain("select a", " is null");
        chain("select a", ".a");
        chain("select a", " collate x");
        chain("select 1", " union select 1");
        chain("select ", "- ");
        chain("select ", "not ");
        chain("select ", "(");
        chain("select ", "(select ");
        chain("select ", "case when ");
        chain("select ", "array[");
        chain("select 1 from a", " join a");
        chain("select 1 from a", " cross join a");
        chain("select 1 from ", "(");
        chain("select 1 from (", "(select 1 from (");
        chain("with a as (", "with a as (");
        chain("select lower", "(lower");
        chain("explain ", "explain ");
        chain("prepare a as ", "prepare a as ");
        chain("", "/*");
        chain("", "select 1;");
        chain("select 1 order by 1", ",1");
        chain("select '", "''");
        chain("select a from a where a in (1", ",1");
    }
}

#[test]
fn a_long_list_is_read() {
    let list = format!("select a from a where a in ({})", vec!["1"; 20_000].join(", "));
    assert_eq!(verdict(&list), Verdict::Read);
}
