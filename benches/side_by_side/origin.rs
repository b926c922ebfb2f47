//! The store behind every proxy: reads a request, answers `200`, and does nothing else.
//!
//! `GET /bench/<shard>/<bytes>` answers with that many bytes; a body is read and thrown away.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use super::http1;

const CHUNK_BYTES: usize = 256 * 1024;

/// Starts it on a thread that ends with the process.
pub fn start() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            tell.send(listener.local_addr().expect("it is bound")).expect("somebody waits");
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(async move {
                    // A proxy that closes its connection is no error of the origin.
                    let _ = serve(stream).await;
                });
            }
        });
    });
    told.recv().expect("the origin starts")
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let zeros = vec![b'0'; CHUNK_BYTES];
    let mut filled = 0;
    loop {
        let head = loop {
            if let Some(head) = http1::Head::parse(&buffer[..filled]) {
                break head;
            }
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                read => filled += read,
            }
        };
        let mut left = head.body_bytes.unwrap_or(0).saturating_sub((filled - head.bytes) as u64);
        let line = std::str::from_utf8(&buffer[..head.bytes]).map_err(io::Error::other)?;
        let path = line.split(' ').nth(1).unwrap_or("");
        let is_get = line.starts_with("GET ");
        let size: u64 = path.rsplit('/').next().and_then(|last| last.parse().ok()).unwrap_or(0);
        while left > 0 {
            match stream.read(&mut buffer).await? as u64 {
                0 => return Ok(()),
                read => left = left.saturating_sub(read),
            }
        }
        filled = 0;
        let size = if is_get { size } else { 0 };
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\
             etag: \"5d41402abc4b2a76b9719d911017c592\"\r\ncontent-length: {size}\r\n\r\n"
        )
        .into_bytes();
        let small = usize::try_from(size).unwrap_or(usize::MAX).min(CHUNK_BYTES / 4);
        answer.extend_from_slice(&zeros[..small]);
        stream.write_all(&answer).await?;
        let mut left = size - small as u64;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            stream.write_all(&zeros[..part]).await?;
            left -= part as u64;
        }
    }
}
