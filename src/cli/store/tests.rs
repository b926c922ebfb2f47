//! What the tests and the demo rely on in the store, over real connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Settings, serve};

fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.join("store"),
        buckets: vec!["bkt".to_owned()],
        journal: Some(dir.join("journal")),
        ..Settings::default()
    }
}

/// Sends raw bytes and reads what comes back until the store closes or a second passes.
fn talk(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn put(key: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "PUT /bkt/{key} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {length}\r\n\
         {headers}\r\n{body}"
    )
}

fn get(key: &str) -> String {
    format!("GET /bkt/{key} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
}

fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_true() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_kept_and_journaled_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = serve(settings(dir.path()), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = store.address();
    let answer = tokio::task::spawn_blocking(move || {
        let late = std::thread::spawn(move || {
            talk(address, &put("k", "x-amz-meta-token: 1\r\nx-amz-meta-delay-ms: 300\r\n", "old"))
        });
        std::thread::sleep(Duration::from_millis(50));
        talk(address, &put("k", "x-amz-meta-token: 2\r\nx-amz-meta-write: w\r\n", "new"));
        late.join().unwrap();
        talk(address, &get("k"))
    })
    .await
    .unwrap();
    assert!(answer.ends_with("\r\n\r\nold"), "{answer}");
    let journal = std::fs::read_to_string(dir.path().join("journal")).unwrap();
    let lines: Vec<serde_json::Value> =
        journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = lines.iter().map(|line| (line["token"].as_str(), line["write"].as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [(Some("2"), Some("w")), (Some("1"), None)]);
    let [new, old] = &lines[..] else { unreachable!("two lines") };
    assert_eq!((&old["method"], &old["path"]), (&"PUT".into(), &"/bkt/k".into()));
    let ms = |line: &serde_json::Value, what: &str| line[what].as_u64().unwrap();
    assert!(ms(old, "applied_ms") >= ms(old, "whole_ms") + 300, "{journal}");
    assert!(ms(old, "whole_ms") <= ms(new, "whole_ms"), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_short_leaves_nothing() {
    for journal in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path());
        if !journal {
            settings.journal = None;
        }
        let root = settings.dir.clone();
        let store = serve(settings, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = store.address();
        tokio::task::spawn_blocking(move || {
            talk(address, &put("whole", "", "whole"));
            let before = files(&root);
            let head = "PUT /bkt/cut HTTP/1.1\r\nhost: h\r\n";
            for sent in [
                format!("{head}content-length: 5\r\n\r\ncut."),
                format!("{head}transfer-encoding: chunked\r\n\r\n3\r\ncut\r\n"),
            ] {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(sent.as_bytes()).unwrap();
                // Long enough for the store to have begun with it.
                std::thread::sleep(Duration::from_millis(50));
                drop(stream);
                let gone = talk(address, &get("cut"));
                assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");
                wait_until("no temporary file is left", || files(&root) == before);
            }
            assert_eq!(files(&root.join("bkt")), ["whole"]);
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_request_is_applied_though_the_client_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = serve(settings(dir.path()), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = store.address();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(put("late", "x-amz-meta-delay-ms: 200\r\n", "late").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        drop(stream);
        assert!(talk(address, &get("late")).starts_with("HTTP/1.1 404"));
        wait_until("the late write lands", || talk(address, &get("late")).ends_with("late"));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_requests_are_refused_when_there_are_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    settings.credentials = Some(("id".to_owned(), "secret".to_owned()));
    let store = serve(settings, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = store.address();
    let answer = tokio::task::spawn_blocking(move || talk(address, &put("k", "", "v"))).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 403"));
}
