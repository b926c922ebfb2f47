//! Texts that two readers could split up differently, compared with what the server makes of them.

use super::rig::Server;
use crate::protocol::postgres::sql::scan::{scan, statements};
use crate::protocol::postgres::sql::{Verdict, verdict};

/// Whole messages that the server runs: as many statements as it completes.
const TRICKY: &[&str] = &[
    "select 1",
    "select 1;",
    ";;select 1;;",
    "-- only a comment",
    "select 1 -- a ; b\n; select 2",
    "select 1 -- a ; b\r; select 2",
    "select 1 /* ; */; select 2",
    "select 1 /* /* ; */ ; */; select 2",
    "select 1 /* -- */; select 2",
    "select 1 /**/; select 2",
    "select 1 /*/ ; */; select 2",
    "select 1 /*/**/*/; select 2",
    "select 1 +/* */-- \n1; select 2",
    "select 1--1;\n; select 2",
    "select ';'; select 2",
    "select ''';'; select 2",
    "select 'a\\'; select 2",
    "select 'a\\''; select 2'",
    "select E'a\\'; select 2'",
    "select E'a\\\\'; select 2",
    "select E'a'';'; select 2",
    "select e'\\';'; select 2",
    "select N'a\\'; select 2",
    "select B'1'; select X'1f'",
    "select $$;$$; select 2",
    "select $a$;$b$;$$;$a$; select 2",
    "select $a$;$A$;$a$; select 2",
    "select $\u{e9}$;$\u{e9}$; select 2",
    "select 1 as a$b$; select 2 as c$b$",
    "select 1 as \"a;b\"; select 2",
    "select 1 as \"a\"\";b\"; select 2",
    "select 1 as \u{e9}; select 2",
    "select 1 as \"\u{a0}\"; select 2",
    "select 1\u{c}; select 2",
    "select 1\t;\r\n select 2",
    "select 1.5, .5, 1., 1e3, 1.e-3; select 2",
    "select 1<-1; select 2",
    "select 1 =- 1; select 2",
    "select 1::int, (array[1,2,3])[1:2]; select 2",
    "select 1 operator(pg_catalog.-) -1; select 2",
    "select 'a' ~~ 'b', 'a' !~* 'b', not 1 <> 2; select 2",
    "select '{}'::jsonb ? 'a', '{}'::jsonb ?| array['a'], '{}'::jsonb @> '{}'; select 2",
    "select '{\"a\":1}'::json -> 'a', '{\"a\":1}'::json #>> '{a}'; select 2",
    "select @ -5, |/ 4, ||/ 8, ~ 1, 2 ^ 3, 5 # 3, 1 << 2; select 2",
    "select point '(1,2)' <-> point '(0,0)', box '(0,0),(1,1)' && box '(0,0),(1,1)'; select 2",
    "select\u{b}1",
];

/// Texts that PostgreSQL takes and that are refused, because readers or versions differ.
const REFUSED: &[&str] = &[
    "select 'a'\n'b'",
    "select E'a'\n'\\'; notify x; --'",
    "select U&'\\0061'",
    "select U&\"\\0061\" from (select 1 as a) b",
    "select u&'!0061' uescape '!'",
    "select 1 as \u{a0}a",
    "select 1 as \u{17f}",
    "\u{17f}elect 1",
    "select 1\u{2003}",
    "select 1 as a\\b",
    "select 1 as {a}",
    "select 1 -/**/-1",
    "select 0x1f",
    "select 1_000",
    "select 1a",
    "select $1a",
    "select $",
    "select $a$ $b$",
    "select '",
    "select \"",
    "select \"\"",
    "select /*",
    "select 1 */",
    "select 'a\0b'",
    "select 1 \0; notify x",
];

#[test]
fn statements_end_where_the_server_ends_them() {
    let mut session = Server::shared().reader();
    for text in TRICKY {
        let reply = session.ask(text);
        let Ok(tokens) = scan(text) else {
            assert!(
                reply.error.is_some() || text.contains('\u{b}'),
                "taken by the server only: {text:?}"
            );
            continue;
        };
        assert_eq!(reply.error, None, "{text:?}");
        assert_eq!(statements(&tokens).len(), reply.completed, "{text:?}");
    }
}

#[test]
fn texts_that_are_tricky_but_plain_are_read() {
    for text in TRICKY.iter().filter(|text| !text.contains('\u{b}')) {
        if let Verdict::Write(reason) = verdict(text) {
            panic!("{reason}: {text:?}");
        }
    }
}

#[test]
fn texts_that_readers_could_split_differently_are_refused() {
    for text in REFUSED {
        assert!(matches!(verdict(text), Verdict::Write(_)), "{text:?}");
    }
}
