//! The listener over real sockets, on a real gate and a real ledger.

mod replicas;
pub(crate) mod rig;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::audit::Event;
use rig::{Answer, Rig};

#[tokio::test]
async fn it_lives_and_is_ready_once_all_is_up() {
    let rig = Rig::start().await;
    assert_eq!(rig.get("/livez").await.status, 200);
    let answer = rig.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let listener = json!({ "name": "listener s3", "ok": false, "detail": "not bound yet" });
    assert_eq!(answer.json()["checks"][2], listener);

    rig.readiness.listener_up("s3", &["127.0.0.1:9000".parse().unwrap()]);
    let answer = rig.get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["ready"]), (200, &Value::Bool(true)));

    rig.readiness.drain();
    let answer = rig.get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["checks"][1]["ok"]), (503, &Value::Bool(false)));
    assert_eq!(rig.get("/livez").await.status, 200, "it drains, and lives");
}

#[tokio::test]
async fn a_ledger_that_stopped_is_not_ready() {
    let rig = Rig::start().await;
    rig.readiness.listener_up("s3", &[]);
    assert_eq!(rig.get("/readyz").await.status, 200);
    rig.ledger.close().await.unwrap();
    let answer = rig.get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["checks"][0]["name"]), (503, &"ledger".into()));
    let answer = rig.get("/api/resources").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.problem()["reason"], "ledger_unavailable");
}

#[tokio::test]
async fn metrics_are_rendered() {
    let rig = Rig::start().await;
    let answer = rig.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.body.contains("palisade_build_info{version="), "{}", answer.body);
    assert!(answer.body.contains("\npalisade_ledger_failing "), "{}", answer.body);
}

#[tokio::test]
async fn resources_are_listed_page_by_page_and_shown() {
    let rig = Rig::start().await;
    for (name, token) in [("a", 3), ("b", 7), ("c/d e", 9)] {
        rig.write(name, token).await;
    }
    let held = rig.admit("b", 8).await;
    held.commit().unwrap();
    let page = rig.get("/api/resources?limit=2").await.json();
    let names = |page: &Value| -> Vec<String> {
        let resources = page["resources"].as_array().unwrap().iter();
        resources.map(|resource| resource["resource"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names(&page), &page["next"]), (vec!["a".into(), "b".into()], &"b".into()));
    let page = rig.get("/api/resources?limit=2&after=b").await.json();
    assert_eq!((names(&page), &page["next"]), (vec!["c/d e".into()], &Value::Null));

    let shown = rig.get("/api/resources/show?name=b").await.json();
    assert_eq!((&shown["mark"], &shown["holder"]), (&"8".into(), &"leader-8".into()));
    let flight = json!({ "busy": false, "streaming": 0, "sent": 1, "unknown": 0 });
    assert_eq!(shown["in_flight"], flight);
    let tokens: Vec<_> = shown["history"].as_array().unwrap().iter().map(|r| &r["token"]).collect();
    assert_eq!(tokens, ["7", "8"]);
    assert_eq!(shown["last_takeover"]["from"], "7");
    assert_eq!(shown["last_takeover"]["from_holder"], "leader-7");
    held.settle();
    assert_eq!(rig.get("/api/resources/show?name=b").await.json()["in_flight"]["sent"], 0);
    assert_eq!(rig.get("/api/resources/show?name=c%2Fd%20e").await.json()["mark"], "9");
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_problem_document() {
    let rig = Rig::start().await;
    let long = format!("/api/resources/show?name={}", "x".repeat(600));
    for (target, status, reason) in [
        ("/nothing", 404, "not_found"),
        ("/api/resources/show?name=never", 404, "not_found"),
        ("/api/resources/show", 400, "bad_request"),
        (&*long, 400, "bad_request"),
        ("/api/resources?limit=0", 400, "bad_request"),
        ("/api/resources?limit=1001", 400, "bad_request"),
        ("/api/resources?limit=many", 400, "bad_request"),
        ("/api/resources?first=1", 400, "bad_request"),
        ("/api/resources/reset", 405, "method_not_allowed"),
    ] {
        let answer = rig.get(target).await;
        let problem = answer.problem();
        assert_eq!((answer.status, &problem["reason"]), (status, &reason.into()), "{target}");
        assert_eq!(problem["status"], status, "{target}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
    }
}

#[tokio::test]
async fn a_reset_needs_a_reason_quiesces_bumps_the_incarnation_and_is_audited() {
    let rig = Rig::start().await;
    rig.write("orders", 41).await;
    let on_the_wire = rig.admit("orders", 42).await;
    on_the_wire.commit().unwrap();
    for reason in ["", "  ", "two\nlines"] {
        let answer = rig.post("reset", json!({ "name": "orders", "reason": reason })).await;
        assert_eq!((answer.status, &answer.problem()["reason"]), (400, &"bad_request".into()));
    }
    let body = json!({ "name": "orders", "reason": "etcd was restored" });
    let (answer, ()) = tokio::join!(rig.post("reset", body), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let shown = rig.get("/api/resources/show?name=orders").await.json();
        assert_eq!(shown["in_flight"]["busy"], true, "it waits for what is on the wire");
        on_the_wire.settle();
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["mark"], "1.0");
    assert_eq!(answer.json()["evidence"]["awaited"], 1);
    assert_eq!(rig.get("/api/resources/show?name=orders").await.json()["mark"], "1.0");

    let event = rig.audited("reset");
    assert_eq!(event["identity"], "operator@loopback");
    assert_eq!(event["detail"]["reason"], "etcd was restored");
}

#[tokio::test]
async fn a_name_that_never_had_a_token_is_not_reset_or_sealed() {
    let rig = Rig::start().await;
    for operation in ["reset", "seal"] {
        let answer = rig.post(operation, json!({ "name": "typo", "reason": "oops" })).await;
        assert_eq!((answer.status, &answer.problem()["reason"]), (404, &"not_found".into()));
    }
    assert_eq!(rig.get("/api/resources").await.json()["resources"], json!([]));
}

#[tokio::test]
async fn a_seal_leaves_the_mark_and_shows_evidence() {
    let rig = Rig::start().await;
    rig.write("orders", 41).await;
    rig.write("orders", 42).await;
    let answer = rig.post("seal", json!({ "name": "orders", "reason": "handover" })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        (&answer.json()["mark"], &answer.json()["holder"]),
        (&"42".into(), &"leader-42".into())
    );
    assert_eq!(answer.json()["evidence"]["from"], "41");
    assert_eq!(rig.audited("seal")["detail"]["reason"], "handover");
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let rig = Rig::start().await;
    rig.write("orders", 1).await;
    let json = ("content-type", "application/json");
    let ours = (OPERATOR_HEADER, "test");
    let host = rig.address.to_string();
    let same_origin = format!("http://{host}");
    let refused: &[&[(&str, &str)]] = &[
        &[],
        &[json],
        &[ours],
        &[ours, ("content-type", "text/plain")],
        &[ours, ("content-type", "application/x-www-form-urlencoded")],
        &[json, ours, ("sec-fetch-site", "cross-site")],
        &[json, ours, ("sec-fetch-site", "same-site")],
        &[json, ours, ("origin", "https://evil.example")],
        &[json, ours, ("origin", "null")],
        &[json, ours, ("origin", "http://localhost:1")],
    ];
    let body = json!({ "name": "orders", "reason": "because" }).to_string();
    for headers in refused {
        let answer = rig.send("POST", "/api/resources/reset", &host, headers, &body).await;
        assert!([400, 403].contains(&answer.status), "{headers:?}: {}", answer.body);
        answer.problem();
    }
    assert_eq!(rig.get("/api/resources/show?name=orders").await.json()["mark"], "1");
    let headers = [json, ours, ("sec-fetch-site", "same-origin"), ("origin", &*same_origin)];
    let answer = rig.send("POST", "/api/resources/reset", &host, &headers, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn foreign_names_for_loopback_are_refused() {
    let rig = Rig::start().await;
    for (host, status) in [
        ("localhost", 200),
        ("LocalHost:9470", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:9470", 200),
        ("evil.example", 403),
        ("evil.example:9470", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("10.0.0.1", 403),
        ("", 403),
    ] {
        let answer = rig.send("GET", "/livez", host, &[], "").await;
        assert_eq!(answer.status, status, "{host}");
    }
    let answer = rig.send("GET", "http://evil.example/livez", "localhost", &[], "").await;
    assert_eq!(answer.status, 403, "the name in the request line counts too");
}

#[tokio::test]
async fn with_certificates_only_operators_change_something() {
    let rig = Rig::start().await;
    rig.write("orders", 1).await;
    let body = json!({ "name": "orders", "reason": "because" }).to_string();
    let headers = [("content-type", "application/json"), (OPERATOR_HEADER, "test")];
    for (name, status) in [("watcher", 403), ("ops/anna", 200)] {
        let caller = Caller::Certificate(rig::peer(name));
        let looked = rig.send_as(caller.clone(), "GET", "/api/resources", "admin.example", &[], "");
        assert_eq!(looked.await.status, 200, "any trusted certificate may look, by any name");
        let target = "/api/resources/reset";
        let answer = rig.send_as(caller, "POST", target, "admin.example", &headers, &body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let event = rig.audited("refused");
    assert_eq!((&event["identity"], &event["operation"]), (&"watcher".into(), &"reset".into()));
    assert_eq!(rig.audited("reset")["identity"], "ops/anna");
}

#[tokio::test]
async fn bodies_and_connections_have_bounds() {
    let rig = Rig::start().await;
    let reason = "x".repeat(REASON_BYTES_MAX + 1);
    let answer = rig.post("reset", json!({ "name": "orders", "reason": reason })).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let answer = rig.post("reset", json!({ "name": "x".repeat(BODY_BYTES_MAX) })).await;
    assert_eq!((answer.status, &answer.problem()["reason"]), (413, &"too_large".into()));

    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        idle.push(tokio::net::TcpStream::connect(rig.address).await.unwrap());
    }
    // They are accepted in order, so this one is one too many.
    assert!(rig.try_get("/livez").await.is_none(), "closed without an answer");
    drop(idle);
    let mut answer = None;
    for _ in 0..100 {
        answer = rig.try_get("/livez").await;
        if answer.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(answer.map(|answer: Answer| answer.status), Some(200), "and then there is room");
}

#[tokio::test]
async fn the_page_shows_what_is_up_and_takes_nothing_as_markup() {
    let rig = Rig::start().await;
    let page = rig.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("&lt;b&gt;") || page.body.contains("&#60;b&#62;"), "{}", page.body);
    assert!(!page.body.contains("<b>"), "names are escaped");
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let links = ["/dashboard.js", "/dashboard.css"];
    for link in links {
        assert!(page.body.contains(&format!("\"{link}\"")), "{link}");
        assert_eq!(rig.get(link).await.status, 200);
    }
    assert!(
        !page.body.contains("http://") && !page.body.contains("https://"),
        "nothing from elsewhere"
    );

    rig.audit.record(Event { event: "refused", reason: Some("stale"), ..Event::default() });
    assert!(rig.audit.flush(Duration::from_secs(5)));
    let overview = rig.get("/api/overview").await.json();
    assert_eq!(overview["recent"][0]["reason"], "stale");
    assert_eq!(overview["listeners"][0]["speaks"], "s3");
}

#[tokio::test]
async fn a_plain_listener_off_loopback_is_not_served() {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = Rig::start().await.server.serve(listener).await.unwrap_err();
    assert!(error.to_string().contains("not on loopback"), "{error}");
}
