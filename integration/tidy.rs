//! Style and layering, as tests: what a reviewer would have to look for in every change.
//!
//! The idea of a linter for the house's own rules among the ordinary tests, tested on itself,
//! is TigerBeetle's.

use std::path::{Path, PathBuf};

/// Lines of a file, at most.
const LINES_MAX: usize = 400;

/// What must not be written, and what to write instead. Taken apart here, so that this file passes.
const BANNED: [(&str, &str); 7] = [
    (concat!("todo", "!("), "write it, or open an issue"),
    (concat!("unimplemented", "!("), "write it, or open an issue"),
    (concat!("dbg", "!("), "use tracing"),
    (concat!(".un", "wrap()"), "handle it, or `expect` with the reason why it cannot happen"),
    (concat!("FIX", "ME"), "mend it, or open an issue"),
    (concat!("std::env::", "set_var"), "pass it as a value"),
    (concat!("get", "_unchecked"), "unsafe code is forbidden"),
];

/// The layers from the bottom up: each may use those before it, and not those behind it.
/// Those in one group do not know each other.
const LAYERS: [&[&str]; 10] = [
    &["fence"],
    &["net", "telemetry"],
    &["audit", "rules"],
    &["ledger"],
    &["gate"],
    &["protocol"],
    &["admin"],
    &["config"],
    &["app"],
    &["cli"],
];

/// What the lines of a source file are held against. In tests, what fails may panic.
fn violations(path: &str, text: &str, is_test_file: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |line: usize, what: String| found.push(format!("{path}:{line}: {what}"));
    let lines: Vec<_> = text.lines().collect();
    if lines.len() > LINES_MAX {
        say(lines.len(), format!("more than {LINES_MAX} lines: cut the file by its ideas"));
    }
    if !lines.first().is_some_and(|line| line.starts_with("//!")) {
        say(1, "does not open with a `//!` sentence that says what it is for".to_owned());
    }
    let mut is_test = is_test_file;
    for (index, line) in lines.iter().enumerate() {
        let number = index + 1;
        is_test |= line.trim() == "#[cfg(test)]"
            && lines.get(index + 1).is_some_and(|next| next.trim_end().ends_with('{'));
        let code = line.split("//").next().unwrap_or_default();
        for (banned, instead) in BANNED {
            let is_fine = is_test && banned.starts_with(".un");
            if code.contains(banned) && !is_fine {
                say(number, format!("`{banned}`: {instead}"));
            }
        }
        let is_silenced =
            ["#[allow(", "#![allow("].iter().any(|a| code.trim_start().starts_with(a));
        let end = lines.iter().skip(index).position(|line| line.contains(']')).unwrap_or(0);
        if is_silenced && !lines[index..=index + end].iter().any(|line| line.contains("reason =")) {
            say(number, "`allow` without a `reason = \"...\"`".to_owned());
        }
        if !is_test && let Some(told) = upward(path, code) {
            say(number, told);
        }
    }
    found
}

/// An import that runs up or sideways between the layers.
fn upward(path: &str, code: &str) -> Option<String> {
    let own = layer(path.strip_prefix("src/")?.split(['/', '.']).next()?)?;
    let (_, imported) = code.split_once("crate::")?;
    let names: Vec<_> = match imported.strip_prefix('{') {
        Some(list) => list.split(',').map(str::trim).collect(),
        None => vec![imported],
    };
    let top = |name: &str| {
        name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
    };
    let own_name = top(path.strip_prefix("src/")?);
    names.iter().map(|name| top(name)).filter(|name| *name != own_name).find_map(|name| {
        let other = layer(&name)?;
        (other >= own).then(|| format!("{own_name} must not use {name}: imports run down"))
    })
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|group| group.contains(&name))
}

/// The modules that a file declares for tests only.
fn test_modules(text: &str) -> Vec<&str> {
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        let line = rest.lines().find(|line| !line.starts_with("#["))?;
        line.split_once("mod ")?.1.strip_suffix(';')
    });
    declared.collect()
}

/// Whether a file of src/ is part of a module that is declared for tests only.
fn is_test_file(path: &str, tests: &[String]) -> bool {
    !path.starts_with("src/")
        || tests.iter().any(|module| {
            path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["src", "integration", "benches"] {
        sources(&root.join(dir), &mut files);
    }
    assert!(files.len() > 30, "the tree was not found");
    let files: Vec<_> = files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(root).unwrap().display().to_string();
            (path, std::fs::read_to_string(file).unwrap())
        })
        .collect();
    let mut tests = Vec::new();
    for (path, text) in &files {
        // `src/net/mod.rs` and `src/net.rs` both declare what is in `src/net/`.
        let own = path.trim_end_matches(".rs");
        let parent = own.strip_suffix("/mod").or(own.strip_suffix("/lib")).unwrap_or(own);
        tests.extend(test_modules(text).iter().map(|module| format!("{parent}/{module}")));
    }
    let found: Vec<_> = files
        .iter()
        .flat_map(|(path, text)| violations(path, text, is_test_file(path, &tests)))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_is_untidy_is_found() {
    let tests = test_modules("#[cfg(test)]\nmod tests;\nmod x;")
        .iter()
        .map(|m| format!("src/net/{m}"))
        .collect::<Vec<_>>();
    assert_eq!(tests, ["src/net/tests"]);
    let check = |path: &str, text: &str, expected: &str| {
        let found = violations(path, &format!("//! A file.\n{text}"), is_test_file(path, &tests));
        assert_eq!(found.join("; "), expected, "{text}");
    };
    let unwrap = BANNED[3].0;
    check("src/net/x.rs", "fn f() {}", "");
    check(
        "src/net/x.rs",
        &format!("f(){unwrap};"),
        &format!("src/net/x.rs:2: `{unwrap}`: {}", BANNED[3].1),
    );
    check("src/net/tests.rs", &format!("f(){unwrap};"), "");
    check("src/net/x.rs", &format!("#[cfg(test)]\nmod tests {{\n f(){unwrap};\n}}"), "");
    check("src/net/x.rs", &format!("// not {unwrap}"), "");
    check("src/net/x.rs", "use crate::fence::Token;", "");
    check("src/net/x.rs", "use crate::net::tls;", "");
    let up = "src/net/x.rs:2: net must not use gate: imports run down";
    check("src/net/x.rs", "use crate::gate::Gate;", up);
    check("src/net/x.rs", "use crate::{fence, gate};", up);
    check(
        "src/audit.rs",
        "use crate::rules::Who;",
        "src/audit.rs:2: audit must not use rules: imports run down",
    );
    check("src/net/tests/rig.rs", &format!("use crate::gate;\nf(){unwrap};"), "");
    let allow = "#[allow(dead_code)]\nfn f() {}";
    check("src/net/x.rs", allow, "src/net/x.rs:2: `allow` without a `reason = \"...\"`");
    check("src/net/x.rs", "#[allow(\n dead_code,\n reason = \"why\"\n)]", "");
    let long = violations("src/x.rs", &"//! x\n".repeat(401), false);
    assert_eq!(long, ["src/x.rs:401: more than 400 lines: cut the file by its ideas"]);
    assert_eq!(violations("src/x.rs", "fn f() {}", false).len(), 1);
}
