//! A store in this process, on a socket of its own: it reads by the letter, says what it saw,
//! and can be told what to answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::wire::{self, Ends, Manner, Message};

/// The header of an answer that says to which request of all it belongs.
pub const SERIAL: &str = "x-serial";

/// A request as the store read it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// By which it can be known again in the answer.
    pub serial: u64,
    /// As it came; [`Message::is_whole`] is false where the connection ended before.
    pub message: Message,
}

/// What the store saw, and what it shall say.
#[derive(Clone, Default)]
pub struct Record(Arc<(Mutex<State>, Notify)>);

/// See [`Record`].
#[derive(Default)]
pub struct State {
    /// In the order of their last bytes.
    pub seen: Vec<Seen>,
    /// What was no request by the letter.
    pub faults: Vec<String>,
    /// The next answer to a path with `/play` in it, byte by byte; the connection ends behind it
    /// where the flag says so.
    pub play: Option<(Vec<u8>, bool)>,
    /// Bytes that came and went: it stands still when nothing goes on.
    pub moved: u64,
    serials: u64,
}

impl Record {
    /// To look at and to change.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("nothing panics while it holds this lock")
    }

    /// Ends the connections on which an answer was played: it may be one that goes on up to
    /// the end of its connection.
    pub fn hang_up(&self) {
        self.0.1.notify_waiters();
    }

    /// Serves until the runtime ends.
    pub async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it was bound just now");
        let record = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let record = record.clone();
                tokio::spawn(async move { record.connection(stream).await });
            }
        });
        address
    }

    /// One request after the other. By words in the path it answers at the head (`/early`), in
    /// chunks (`/chunks`), with an informational answer before (`/hint`), and it hangs up after
    /// the answer (`/close`) or without one (`/hangup`).
    async fn connection(&self, mut stream: TcpStream) -> Option<()> {
        let mut read = Vec::new();
        let mut has_played = false;
        loop {
            let (message, taken) = loop {
                match wire::first(&read, Manner::Strict, Ends::ByHead) {
                    Err(why) => return self.fault(why, &read),
                    Ok(Some((message, taken))) => {
                        if let Some(why) = &message.fault {
                            return self.fault(why.clone(), &read);
                        }
                        let is_early = message.line[1].contains("/early");
                        if message.is_whole || is_early {
                            break (message, taken);
                        }
                    }
                    Ok(None) => {}
                }
                let count = tokio::select! {
                    biased;
                    count = stream.read_buf(&mut read) => count.unwrap_or(0),
                    () = self.0.1.notified(), if has_played => 0,
                };
                self.lock().moved += count as u64;
                if count == 0 {
                    return self.cut_short(&read);
                }
            };
            read.drain(..taken);
            let is_whole = message.is_whole;
            let target = message.line[1].clone();
            let method = message.line[0].clone();
            let serial = self.see(message);
            let does = |word: &str| target.contains(word);
            if does("/hangup") {
                return None;
            }
            let play = self.lock().play.take_if(|_| does("/play"));
            has_played |= play.is_some();
            let (answer, ends) = match play {
                Some(play) => play,
                None => (answer(serial, &method, &target), does("/close") || !is_whole),
            };
            stream.write_all(&answer).await.ok()?;
            self.lock().moved += answer.len() as u64;
            if ends {
                return None;
            }
        }
    }

    fn see(&self, message: Message) -> u64 {
        let mut state = self.lock();
        state.serials += 1;
        let serial = state.serials;
        state.seen.push(Seen { serial, message });
        serial
    }

    fn fault(&self, why: String, read: &[u8]) -> Option<()> {
        let text = String::from_utf8_lossy(read).into_owned();
        self.lock().faults.push(format!("{why} in {text:?}"));
        None
    }

    fn cut_short(&self, read: &[u8]) -> Option<()> {
        match wire::first(read, Manner::Strict, Ends::ByHead) {
            Ok(Some((message, _))) => drop(self.see(message)),
            // A head that is cut short is no request yet, and none of Palisade's doing.
            _ if read.is_empty() => {}
            _ => return self.fault("the head is cut short".to_owned(), read),
        }
        None
    }
}

fn answer(serial: u64, method: &str, target: &str) -> Vec<u8> {
    let text = format!("<{serial}>");
    let (hint, early) = match target {
        _ if target.contains("/hint") => {
            ("HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n", "200 OK")
        }
        _ if target.contains("/early") => ("", "403 Forbidden"),
        _ => ("", "200 OK"),
    };
    let head = format!("{hint}HTTP/1.1 {early}\r\n{SERIAL}: {serial}\r\n");
    let len = text.len();
    let rest = match (method, target.contains("/chunks")) {
        ("HEAD", _) => format!("content-length: {len}\r\n\r\n"),
        (_, true) => format!("transfer-encoding: chunked\r\n\r\n{len:x}\r\n{text}\r\n0\r\n\r\n"),
        (_, false) => format!("content-length: {len}\r\n\r\n{text}"),
    };
    (head + &rest).into_bytes()
}
