//! The network itself: who reaches whom, and what is lost and late.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Net, Node, Weather};

const QUICK: Duration = Duration::from_millis(300);

/// Answers every byte with the same one, on that machine.
fn echo(node: &Node) -> std::net::SocketAddr {
    let (node, address) = (node.clone(), node.free_address());
    let (telling, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        node.enter();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind(address).await.unwrap();
            telling.send(()).unwrap();
            // As long as a test takes at most.
            let serving = async {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let (mut from, mut to) = stream.split();
                        let _ = tokio::io::copy(&mut from, &mut to).await;
                    });
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(60), serving).await;
        });
    });
    told.recv().unwrap();
    address
}

async fn answers(stream: &mut TcpStream, within: Duration) -> bool {
    stream.write_all(b"x").await.unwrap();
    hears(stream, within).await
}

async fn hears(stream: &mut TcpStream, within: Duration) -> bool {
    let mut byte = [0];
    tokio::time::timeout(within, stream.read_exact(&mut byte)).await.is_ok_and(|read| read.is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_lost_one_way_and_comes_back() {
    let net = Net::new(&["a", "b"], 1);
    let (a, b) = (net.node("a"), net.node("b"));
    assert_ne!(a.ip, b.ip);
    let way = net.relay(&net.node("test"), &a, echo(&a));
    let mut stream = TcpStream::connect(way).await.unwrap();
    assert!(answers(&mut stream, Duration::from_secs(5)).await);
    for (from, to) in [("test", "a"), ("a", "test")] {
        assert!(net.lose(from, to));
        assert!(!answers(&mut stream, QUICK).await, "{from} reaches {to}");
        net.find(from, to);
        assert!(hears(&mut stream, Duration::from_secs(10)).await, "{from} is cut off");
    }
    // Others are not concerned.
    net.part("test", "b");
    assert!(answers(&mut stream, Duration::from_secs(5)).await);
    net.heal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_a_machine_and_is_gone_afterwards() {
    let net = Net::new(&["a", "b"], 1);
    if !net.is_namespaced() {
        return;
    }
    let (a, b) = (net.node("a"), net.node("b"));
    let address = echo(&b);
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(answers(&mut stream, Duration::from_secs(5)).await);
    let mut command = std::process::Command::new("ip");
    command.args(["-4", "-o", "addr", "show", "dev", "eth0"]);
    let said = a.command(&command).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains(&a.ip.to_string()), "{said}");
    let paths: Vec<_> =
        [a, b].iter().map(|node| super::space::path(node.space.as_ref().unwrap())).collect();
    assert!(paths.iter().all(|path| path.exists()));
    drop(net);
    assert!(!paths.iter().any(|path| path.exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_late_and_a_connection_that_seems_over_goes_on() {
    let net = Net::new(&["a"], 1);
    let (test, a) = (net.node("test"), net.node("a"));
    let way = net.relay(&test, &a, echo(&a));
    let mut stream = TcpStream::connect(way).await.unwrap();
    assert!(answers(&mut stream, Duration::from_secs(5)).await);
    net.weather("test", "a", Weather { delay_ms: 200, ..Weather::default() });
    net.weather("a", "test", Weather { delay_ms: 200, ..Weather::default() });
    let begun = Instant::now();
    assert!(answers(&mut stream, Duration::from_secs(5)).await);
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    net.reset("test", "a");
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}
