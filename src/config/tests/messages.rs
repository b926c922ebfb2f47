//! How problems look, and what they never show.

use proptest::prelude::*;

use super::{BASE, check};
use crate::config::Config;
use crate::config::testing::Fixture;

fn shown(text: &str) -> String {
    let fixture = Fixture::new();
    let problems = match fixture.parse(text) {
        Ok((_, problems)) | Err(problems) => problems,
    };
    let directory = fixture.directory().to_str().expect("a path");
    problems.iter().map(|p| format!("{p}\n")).collect::<String>().replace(directory, "DIR")
}

#[test]
fn a_problem_shows_its_line() {
    let text = BASE.replace("name = \"orders\"", "name = \"orders\"\n\tsetle_timeout = \"30s\"");
    let expected = "\
DIR/p.toml:18:2: error: unknown key `setle_timeout` in [[resources]]
   18 |  setle_timeout = \"30s\"
      |  ^^^^^^^^^^^^^ did you mean `settle_timeout`?
";
    assert_eq!(shown(&text), expected);
}

#[test]
fn a_problem_past_characters_of_several_bytes() {
    let text = BASE.replace("[\"**\"]", "[\"é日\", 7]");
    let expected = "\
DIR/p.toml:20:16: error: `write[1]` is a number
   20 | write = [\"é日\", 7]
      |                ^ it takes a text in quotes
";
    assert_eq!(shown(&text), expected);
}

#[test]
fn every_kind_of_problem_is_told_in_one_go() {
    let edits = [
        ("ledger.redb", "none/ledger.redb"),
        ("minio\"\n", "mino\"\n"),
        ("client_ca =", "client_co ="),
        ("{shard}/**", "{shard}/**/x"),
        ("write =", "read ="),
    ];
    let expected = r#"
2:8 error: the directory DIR/none is not there
    make the directory, and name a file in it
11:12 error: there is no upstream "mino"
    did you mean "minio"?
12:1 error: [listeners.objects.tls] has no `client_ca`
    add `client_ca = "ca/ca.pem"`
15:1 error: unknown key `client_co` in [listeners.objects.tls]
    did you mean `client_ca`?
16:1 warning: nobody may write: [[resources]] has no `write`
    add `write = ["…"]` with globs on identities
18:8 error: `path` is not a pattern
    `**` stands alone and at the end, as in `/orders/**`
"#;
    check(&edits, expected);
}

#[test]
fn no_message_shows_a_secret() {
    let secret = "wJalrXUtnFEMI/K7MDENG";
    for line in [
        format!("secret_access_key = \"{secret}\""),
        format!("secret_access_key = {secret}"),
        format!("secret_access_key_file = \"{secret}\""),
        format!("secret_access_key_env = \"{secret}\""),
        format!("secret_acces_key = \"\"\"\n{secret}\n\\q\"\"\""),
        format!("Password = '{secret}'"),
        format!("endpoint = \"http://u:{secret}@h\""),
    ] {
        let text = BASE.replace("secret_access_key_env = \"SECRET\"", &line);
        let shown = shown(&text);
        assert!(shown.contains("error"), "{line}");
        assert!(!shown.contains(secret), "{shown}");
    }
    let config = Fixture::new().parse(BASE).expect("a valid base").0;
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn a_file_that_cannot_be_read() {
    fn check(file: &std::path::Path, expected: &str) {
        let problems = Config::load(file).expect_err("a problem");
        let shown = problems[0].to_string().replace(file.to_str().expect("a path"), "FILE");
        assert_eq!(shown, expected);
    }

    let fixture = Fixture::new();
    check(
        &fixture.path("none.toml"),
        "FILE: error: cannot be read: there is no such file\n      = name a configuration file",
    );
    std::fs::write(fixture.path("latin.toml"), b"# a\n# \xe9\n").expect("a file");
    check(
        &fixture.path("latin.toml"),
        "FILE: error: is not UTF-8 in line 2\n      = save it as UTF-8",
    );
}

#[test]
fn a_huge_file_is_refused_in_bounded_time() {
    let fixture = Fixture::new();
    let rule = "[[resources]]\nname = \"a\"\npath = \"/a\"\nresource = \"a\"\n";
    let keys: String = (0..20_000).map(|n| format!("x{n} = 1\n")).collect();
    for text in [rule.repeat(1_001), keys, "= \n".repeat(20_000), "[".repeat(100_000)] {
        let problems = fixture.parse(&format!("{text}{BASE}")).expect_err("too much");
        assert!(problems.len() <= 201);
    }
}

#[test]
fn an_error_is_not_lost_behind_warnings() {
    let rule = |n: usize, path: &str| {
        format!("[[resources]]\nname = \"{n}\"\npath = \"{path}{n}\"\nresource = \"{n}\"\n")
    };
    let warnings: String = (0..250).map(|n| rule(n, "/")).collect();
    let error = rule(250, "no slash");
    assert!(Fixture::new().parse(&format!("{BASE}{warnings}")).is_ok());
    assert!(Fixture::new().parse(&format!("{BASE}{warnings}{error}")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Lines of a valid file in any order, cut anywhere, never bring it down.
    #[test]
    fn nothing_panics(order in Just(BASE.lines().collect::<Vec<_>>()).prop_shuffle(),
                      cut in 0..400_usize, noise in "\\PC{0,8}") {
        let text = order.join("\n");
        let cut = text.floor_char_boundary(cut);
        let text = format!("{}{noise}{}", &text[..cut], &text[cut..]);
        let directory = std::path::Path::new("/nowhere/p.toml");
        if let Err(problems) = Config::parse(&text, directory, &|_| None) {
            prop_assert!(problems.iter().any(crate::config::Problem::is_error));
            for problem in problems {
                prop_assert!(!problem.to_string().is_empty());
            }
        }
    }
}
