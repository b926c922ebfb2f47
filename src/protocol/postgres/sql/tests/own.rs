//! Statements about Palisade's own settings, and texts that only mention them.

use crate::protocol::postgres::sql::{Own, Setting, own};

fn check(text: &str, expected: &Own) {
    let found = own(text);
    match (&found, expected) {
        (Own::Refused(_), Own::Refused(_)) => {}
        _ => assert_eq!(&found, expected, "{text}"),
    }
}

#[test]
fn a_token_is_brought() {
    for (text, token) in [
        ("SET palisade.token = '43'", "43"),
        ("set palisade.token='43'", "43"),
        ("SET SESSION palisade.token TO '1.3'", "1.3"),
        ("SET SESSION palisade.token TO 43", "43"),
        ("SET palisade.token TO 1.3", "1.3"),
        ("Set PALISADE . Token To E'43';", "43"),
        ("SET \"palisade\".\"token\" = $$43$$;;", "43"),
        ("SET \"palisade.token\" = '43'", "43"),
        ("SET \"Palisade\".\"TOKEN\" = \"43\"", "43"),
        ("/* SELECT 1; */ SET palisade.token -- =\n= '43' ; -- done", "43"),
        ("SET palisade.token = ''", ""),
        ("SET palisade.token = 'it''s'", "it's"),
        ("SET palisade.token = abc", "abc"),
    ] {
        check(text, &Own::Set { token: token.into() });
    }
}

#[test]
fn settings_are_shown() {
    check("SHOW palisade.token", &Own::Show(Setting::Token));
    check(" show Palisade.Resource ; ", &Own::Show(Setting::Resource));
    check("SHOW \"palisade\".mark", &Own::Show(Setting::Mark));
    check("SHOW \"palisade.mark\"", &Own::Show(Setting::Mark));
}

#[test]
fn what_is_not_understood_is_refused() {
    for text in [
        "SET LOCAL palisade.token = '43'",
        "SET palisade.token",
        "SET palisade.token = $1",
        "SET palisade.token = -1",
        "SET palisade.token = '4' '3'",
        "SET palisade.token = E'\\x34'",
        "SET palisade.token = '43', '44'",
        "SET palisade.token TO DEFAULT",
        "SET palisade.token FROM CURRENT",
        "SET palisade.resource = 'a'",
        "SET palisade.mark = '1'",
        "SET palisade.x = '1'",
        "SET palisade.token.x = '1'",
        "RESET palisade.token",
        "SHOW palisade.x",
        "SHOW palisade.token palisade.mark",
        "SELECT 1; SHOW palisade.token",
        "SET palisade.token = '43'; SET palisade.token = '44'",
        "BEGIN; SET palisade.token = '43'",
        "SELECT set_config('palisade.token', '43', false)",
        "SELECT pg_catalog.\"set_config\" ( E'Palisade.token' , '43', false)",
        "SELECT set_config(setting_name => 'palisade.token', new_value => '1', is_local => false)",
        "SELECT set_config(E'p\\x61lisade.token', 'palisade', false)",
        "SELECT current_setting('palisade.token', true)",
        "INSERT INTO t VALUES (current_setting('palisade.mark'))",
        "ALTER ROLE a SET palisade.token = '1'",
        "ALTER DATABASE a RESET palisade.token",
        "ALTER SYSTEM SET palisade.token = '1'",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql SET palisade.token = '1' AS 'select 1'",
    ] {
        check(text, &Own::Refused(""));
    }
}

#[test]
fn what_only_mentions_palisade_goes_its_way() {
    for text in [
        "INSERT INTO notes VALUES ('SET palisade.token = 43')",
        "SELECT 'set_config(''palisade.token'')'",
        "SELECT * FROM palisade_x",
        "SELECT * FROM palisade.token",
        "UPDATE t SET palisade.token = 1",
        "UPDATE palisade.token SET a = 1",
        "SET search_path = palisade",
        "SET application_name = 'palisade.token'",
        "SET palisade = '1'",
        "SELECT set_config('app.name', 'palisade.token', false)",
        "SELECT 1 -- SET palisade.token = '43'",
        "SELECT 1 /* ; SET palisade.token = '43' */",
        "DO $$ begin set palisade.token = '1'; end $$",
        "CREATE TABLE palisade.token (id int)",
        "ALTER TABLE palisade.token ALTER a SET DEFAULT 1",
        "COPY palisade.token FROM STDIN",
        "SHOW search_path; SELECT 'palisade.'",
        "palisade",
        "'",
        "",
    ] {
        check(text, &Own::Not);
    }
}
