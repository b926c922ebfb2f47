//! A store that keeps every byte, takes requests in one form only, and says in each answer
//! whose it is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The header of an answer that names the target that it is for.
pub const ECHO: &str = "x-echo";

/// It serves until the test ends.
#[derive(Clone, Debug)]
pub struct Recorder {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    whole: Vec<String>,
    faults: Vec<String>,
}

/// A request by the strictest reading.
struct Read {
    method: String,
    target: String,
    body: Vec<u8>,
    is_whole: bool,
    taken: usize,
}

impl Recorder {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let recorder = Self { address, state: Arc::default() };
        let serving = recorder.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let recorder = serving.clone();
                tokio::spawn(async move { recorder.serve(stream).await });
            }
        });
        recorder
    }

    /// How many bytes have come in so far.
    pub fn len(&self) -> usize {
        self.state.lock().unwrap().bytes.len()
    }

    /// The bytes that came in since, as text.
    pub fn since(&self, len: usize) -> String {
        String::from_utf8_lossy(&self.state.lock().unwrap().bytes[len..]).into_owned()
    }

    /// The whole requests since the last call: `METHOD TARGET BODY`. Panics if there was
    /// anything that is none.
    pub fn requests(&self) -> Vec<String> {
        let mut state = self.state.lock().unwrap();
        assert!(state.faults.is_empty(), "the store saw {:?}", state.faults);
        std::mem::take(&mut state.whole)
    }

    /// A path with `early` is answered at its head, and its body read afterwards.
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut read = Vec::new();
        let mut is_answered = false;
        loop {
            match request(&read) {
                Err(why) => {
                    let text = String::from_utf8_lossy(&read).into_owned();
                    self.state.lock().unwrap().faults.push(format!("{why}: {text:?}"));
                    return None;
                }
                Ok(Some(Read { method, target, body, is_whole, taken })) => {
                    if is_whole {
                        let body = String::from_utf8_lossy(&body);
                        let told = format!("{method} {target} {body}").trim_end().to_owned();
                        self.state.lock().unwrap().whole.push(told);
                    }
                    if (is_whole || target.contains("early")) && !is_answered {
                        is_answered = true;
                        let len = if method == "HEAD" { 0 } else { target.len() };
                        let text = &target[..len];
                        let answer = format!(
                            "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n{ECHO}: {target}\r\n\r\n{text}"
                        );
                        stream.write_all(answer.as_bytes()).await.ok()?;
                    }
                    if is_whole {
                        read.drain(..taken);
                        is_answered = false;
                        continue;
                    }
                }
                Ok(None) => {}
            }
            let before = read.len();
            stream.read_buf(&mut read).await.ok().filter(|count| *count > 0)?;
            self.state.lock().unwrap().bytes.extend_from_slice(&read[before..]);
        }
    }
}

/// The first request; `None` while its head is not all there.
fn request(bytes: &[u8]) -> Result<Option<Read>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
    let mut lines = head.split("\r\n");
    let first: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = first[..] else { return Err("the first line".to_owned()) };
    let is_target = target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic());
    if !method.bytes().all(|b| b.is_ascii_uppercase()) || !is_target {
        return Err("the method or the target".to_owned());
    }
    let (mut length, mut chunked, mut hosts) = (None, false, 0);
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("a header without a colon")?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if !name.bytes().all(is_token) || value.contains(['\r', '\n', '\0']) {
            return Err(format!("the header {line:?}"));
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" if length.is_none() => {
                length = Some(value.parse::<usize>().map_err(|error| error.to_string())?);
            }
            "transfer-encoding" if value == "chunked" && !chunked => chunked = true,
            "content-length" | "transfer-encoding" | "fencing-token" | "upgrade" | "expect"
            | "keep-alive" | "trailer" | "proxy-connection" | "http2-settings" => {
                return Err(format!("the header {line:?}"));
            }
            _ => {}
        }
    }
    if hosts != 1 || (chunked && length.is_some()) {
        return Err("Host, or two lengths".to_owned());
    }
    let (body, is_whole, taken) = match length {
        None if chunked => chunks(&bytes[end + 4..])?,
        length => {
            let (rest, length) = (&bytes[end + 4..], length.unwrap_or(0));
            let taken = length.min(rest.len());
            (rest[..taken].to_vec(), taken == length, taken)
        }
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some(Read { method, target, body, is_whole, taken: end + 4 + taken }))
}

fn chunks(bytes: &[u8]) -> Result<(Vec<u8>, bool, usize), String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return Ok((body, false, at));
        };
        let size = std::str::from_utf8(&rest[..end]).map_err(|error| error.to_string())?;
        let size = usize::from_str_radix(size, 16).map_err(|error| error.to_string())?;
        let data = rest
            .get(end + 2..end + 2 + size)
            .and_then(|data| Some((data, rest.get(end + 2 + size..end + 4 + size)?)));
        let Some((data, behind)) = data else { return Ok((body, false, at)) };
        if behind != b"\r\n" {
            return Err("a chunk that does not end, or trailers".to_owned());
        }
        body.extend_from_slice(data);
        at += end + 4 + size;
        if size == 0 {
            return Ok((body, true, at));
        }
    }
}
