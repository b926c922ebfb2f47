//! Lines and numbers as people and Prometheus see them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::fence::{Action, Holder, Mark, Refusal, Token};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: LogFormat, filter: &str, color: bool) -> String {
    let written = Written::default();
    let settings = LogSettings { format, filter: filter.into() };
    let writer = written.clone();
    let subscriber = log::subscriber(&settings, color, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(resource = "orders/1", "refused");
        tracing::debug!("detail");
    });
    String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn lines_are_json_or_text_and_filtered() {
    let json = logged(LogFormat::Json, "info", true);
    let line: serde_json::Value = serde_json::from_str(&json).expect("one line");
    assert_eq!((&line["level"], &line["resource"]), (&"WARN".into(), &"orders/1".into()));
    assert_eq!(line["message"], "refused");
    let text = logged(LogFormat::Text, "palisade=debug,info", false);
    assert!(text.contains("refused resource=\"orders/1\"") && text.contains("detail"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours: {text}");
    assert!(logged(LogFormat::Text, "info", true).contains('\u{1b}'));
}

#[test]
fn a_bad_filter_is_told_with_the_mend() {
    let settings = LogSettings { format: LogFormat::Text, filter: "palisade=loud".into() };
    let error = log::subscriber(&settings, false, io::sink).err().unwrap().to_string();
    assert!(error.contains("palisade=loud") && error.contains("\"info\""), "{error}");
}

#[test]
fn a_loop_says_few_lines_and_then_how_many_it_did_not() {
    let limit = RateLimit::new(2, Duration::from_secs(10));
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let said: Vec<_> = (0..5).map(|second| limit.say(&"stale", at(second))).collect();
    assert_eq!(said, [Some(0), Some(0), None, None, None]);
    assert_eq!(limit.say(&"conflict", at(5)), Some(0), "kinds do not silence each other");
    assert_eq!(limit.say(&"stale", at(10)), Some(3));
    assert_eq!(limit.say(&"stale", at(11)), Some(0));
    assert_eq!(limit.say(&"stale", at(12)), None);
    assert_eq!(limit.untold(at(13)), [], "the interval may bring another line yet");
    assert_eq!(limit.untold(at(20)), [(Some("stale"), 1)]);
    assert_eq!(limit.untold(at(30)), []);
}

#[test]
fn more_kinds_than_there_is_room_for_share_one_allowance() {
    let limit = RateLimit::new(1, Duration::from_secs(10));
    let now = Instant::now();
    let said = (0..5_000).filter(|kind| limit.say(kind, now).is_some()).count();
    assert_eq!(said, 1_025, "1024 kinds, and one line for all others");
    let later = now + Duration::from_secs(10);
    assert_eq!(limit.say(&9_999, later), Some(0), "quiet kinds make room");
}

#[test]
fn every_refusal_of_the_fence_has_its_counter() {
    let (token, mark) =
        (Token::new(0, 1), Mark { token: Token::new(0, 2), holder: Holder::new("b") });
    let refusals = [
        Refusal::Conflict { token, holder: Holder::new("b") },
        Refusal::Forbidden { action: Action::Write },
        Refusal::Implausible { token, mark: token, limit: token },
        Refusal::LedgerUnavailable,
        Refusal::Overloaded { limit: "x" },
        Refusal::Stale { token, mark },
        Refusal::Unsettled,
    ];
    let reasons: Vec<_> = refusals.iter().map(Refusal::reason).collect();
    assert_eq!(reasons, REASONS);
}

#[test]
fn the_gate_is_seen_by_prometheus_with_labels_of_bounded_number() {
    let recorder = super::metrics::recorder().unwrap();
    let handle = recorder.handle();
    ::metrics::with_local_recorder(&recorder, || {
        describe();
        let gate = GateMetrics::new();
        let rule = gate.rule(&"orders".into());
        rule.admitted(Action::Write).increment(2);
        rule.refused(Action::Read, "stale").unwrap().increment(1);
        assert!(rule.refused(Action::Write, "no such reason").is_none());
        let ms = Duration::from_millis;
        rule.took_over(Token::new(0, 34), ms(2), ms(700), Some(Duration::from_secs(7_200)));
        rule.took_over(Token::new(0, 33), ms(2), ms(0), None);
        gate.rule(&"orders".into()).permits.increment(1.0);
    });
    let text = handle.render();
    for line in [
        "# HELP palisade_gate_takeovers_total Takeovers by a larger token",
        "# TYPE palisade_gate_takeover_quiesce_seconds histogram",
        "palisade_gate_admitted_total{rule=\"orders\",action=\"write\"} 2",
        "palisade_gate_admitted_total{rule=\"orders\",action=\"seal\"} 0",
        "palisade_gate_refused_total{rule=\"orders\",action=\"seal\",reason=\"stale\"} 1",
        "palisade_gate_refused_total{rule=\"orders\",action=\"write\",reason=\"conflict\"} 0",
        "palisade_gate_takeovers_total{rule=\"orders\"} 2",
        "palisade_gate_takeover_ledger_seconds_bucket{rule=\"orders\",le=\"0.0025\"} 2",
        "palisade_gate_takeover_quiesce_seconds_bucket{rule=\"orders\",le=\"0.5\"} 1",
        "palisade_gate_tenure_seconds_bucket{rule=\"orders\",le=\"14400\"} 1",
        "palisade_gate_tenure_seconds_bucket{rule=\"orders\",le=\"3600\"} 0",
        "palisade_gate_permits{rule=\"orders\"} 1",
        "palisade_gate_mark_max{rule=\"orders\"} 34",
    ] {
        assert!(text.lines().any(|there| there == line), "{line}\nnot in\n{text}");
    }
}

/// A metric that was renamed would leave an alert silent for ever.
#[test]
fn alerts_and_dashboard_ask_only_for_metrics_that_exist() {
    fn sources(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs")
            {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut source = String::new();
    sources(&root.join("src"), &mut source);
    for file in ["alerts.yml", "alerts_test.yml", "alerts_redis_test.yml", "dashboard.json"] {
        let file = format!("config/{file}");
        let file = file.as_str();
        let text = fs::read_to_string(root.join(file)).unwrap();
        let words = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        let names: BTreeSet<_> = words.filter(|word| word.starts_with("palisade_")).collect();
        assert!(names.len() > 8, "{file}");
        for name in names {
            let declared = format!("\"{}\"", name.strip_suffix("_bucket").unwrap_or(name));
            assert!(source.contains(&declared), "{file} asks for {name}, which nothing counts");
        }
    }
}
