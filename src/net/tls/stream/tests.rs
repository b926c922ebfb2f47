//! Against rustls's own client, over loopback.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::net::testing::{Config, Site, VERSIONS};
use crate::net::tls::TlsStore;

const PATIENCE: Duration = Duration::from_secs(10);

/// Both ends of a connection, for each version of TLS.
async fn pairs() -> Vec<(TlsStream<TcpStream>, Box<ServerStream>)> {
    let site = Site::new();
    let store = TlsStore::open("l".into(), site.tls(), &[]).unwrap();
    let mut pairs = Vec::new();
    for version in VERSIONS {
        let config = Config { version, ..site.config(Some(&site.client("a"))) }.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let accepting = ServerStream::accept(accepted, store.current().config.clone());
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(config).connect(name, tcp);
        let (client, server) = tokio::join!(connecting, accepting);
        pairs.push((client.unwrap(), server.unwrap()));
    }
    pairs
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it hangs")
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

#[tokio::test]
async fn bytes_arrive_whole_in_both_directions_however_they_are_read_and_written() {
    for (client, server) in pairs().await {
        let bytes = pattern(3_000_000);
        let (mut client_read, mut client_write) = split(client);
        let (mut server_read, mut server_write) = split(server);
        let up = async {
            for chunk in bytes.chunks(70_001) {
                client_write.write_all(chunk).await.unwrap();
            }
            client_write.shutdown().await.unwrap();
        };
        let read_up = async {
            let (mut got, mut size) = (Vec::new(), 1);
            loop {
                let mut buffer = vec![0; size];
                match server_read.read(&mut buffer).await.unwrap() {
                    0 => break got,
                    count => got.extend_from_slice(&buffer[..count]),
                }
                size = size * 7 % 50_021;
            }
        };
        let down = async {
            let (mut at, mut size) = (0, 1);
            while at < bytes.len() {
                let end = (at + size).min(bytes.len());
                let slices = [at..(at + 9).min(end), (at + 9).min(end)..end, end..end];
                let slices = slices.map(|range| IoSlice::new(&bytes[range]));
                at += server_write.write_vectored(&slices).await.unwrap();
                size = size * 7 % 150_029;
            }
            server_write.shutdown().await.unwrap();
        };
        let read_down = async {
            let mut got = Vec::new();
            client_read.read_to_end(&mut got).await.unwrap();
            got
        };
        let ((), up, (), down) = soon(async { tokio::join!(up, read_up, down, read_down) }).await;
        assert!(up == bytes, "what came up is not what was sent");
        assert!(down == bytes, "what came down is not what was sent");
    }
}

#[tokio::test]
async fn a_cut_is_not_an_end() {
    for (mut client, mut server) in pairs().await {
        client.write_all(b"half").await.unwrap();
        let (tcp, _) = client.into_inner();
        drop(tcp);
        let mut buffer = [0; 16];
        assert_eq!(soon(server.read(&mut buffer)).await.unwrap(), 4);
        let error = soon(server.read(&mut buffer)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn after_the_client_s_goodbye_it_is_still_answered() {
    for (mut client, mut server) in pairs().await {
        client.write_all(b"ask").await.unwrap();
        client.shutdown().await.unwrap();
        let mut asked = Vec::new();
        soon(server.read_to_end(&mut asked)).await.unwrap();
        assert_eq!(asked, b"ask");
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0, "and it stays at its end");
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        assert!(server.write_all(b"more").await.is_err());
        let mut answer = Vec::new();
        soon(client.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(answer, b"answer");
    }
}

#[tokio::test]
async fn keys_may_change_on_the_way() {
    let (mut client, mut server) = pairs().await.remove(1); // TLS 1.3
    for round in 0..3_u8 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(&[round; 100]).await.unwrap();
        let mut asked = [0; 100];
        soon(server.read_exact(&mut asked)).await.unwrap();
        server.write_all(&asked).await.unwrap();
        server.flush().await.unwrap();
        let mut answer = [0; 100];
        soon(client.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, [round; 100]);
    }
}

#[tokio::test]
async fn what_was_changed_on_the_way_ends_it_with_an_alert() {
    for (client, mut server) in pairs().await {
        let (mut tcp, mut session) = client.into_inner();
        // A record of the right form that no key has made.
        tcp.write_all(&[&[23, 3, 3, 0, 32][..], &[7; 32]].concat()).await.unwrap();
        let error = soon(server.read(&mut [0; 8])).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(soon(server.read(&mut [0; 8])).await.is_err(), "and it stays broken");
        assert!(server.write_all(b"x").await.is_err());
        drop(server);
        let mut alert = Vec::new();
        let _ = soon(tcp.read_to_end(&mut alert)).await;
        session.read_tls(&mut &alert[..]).unwrap();
        let told = session.process_new_packets().unwrap_err();
        let expected = rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac);
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn bytes_may_come_one_by_one_and_a_part_of_a_record_holds_little_memory() {
    for (client, mut server) in pairs().await {
        let (mut tcp, mut session) = client.into_inner();
        std::io::Write::write_all(&mut session.writer(), &pattern(300)).unwrap();
        let mut records = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut records).unwrap();
        }
        tcp.set_nodelay(true).unwrap();
        let dribble = async {
            for byte in &records {
                tcp.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            tcp
        };
        let mut got = [0; 300];
        let mut reading = Box::pin(server.read_exact(&mut got));
        let (_tcp, read) = soon(async { tokio::join!(dribble, &mut reading) }).await;
        drop(reading);
        read.unwrap();
        assert_eq!(got[..], pattern(300));
        assert!(server.incoming.is_empty() && server.plain.is_empty());
        assert_eq!(server.incoming.room(1).len(), buffer::BUFFER_BYTES, "it had given it back");
    }
}
