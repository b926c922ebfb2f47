//! A fence as people write it by hand: whenever a command arrives, it compares the token of the
//! session with the largest one, and then passes the command on. What is on its way by then, or
//! waits in a queue, it does not see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::rig::redis::{PASSWORD, Value, command};

/// The largest token for each key that sessions name.
type Marks = Arc<Mutex<BTreeMap<String, u64>>>;

/// Listens in that folder until it is dropped.
pub fn listen(dir: &Path, server: PathBuf) -> (JoinSet<()>, PathBuf) {
    let path = dir.join("naive.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let marks = Marks::default();
    let mut listening = JoinSet::new();
    listening.spawn(async move {
        let mut sessions = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let (server, marks) = (server.clone(), Arc::clone(&marks));
            sessions.spawn(async move { drop(serve(client, &server, &marks).await) });
        }
    });
    (listening, path)
}

async fn serve(mut client: UnixStream, server: &Path, marks: &Marks) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    let (key, token) = user(&request(&mut client, &mut buffer).await?);
    let is_stale = || {
        let mut marks = marks.lock().unwrap();
        let mark = marks.entry(key.clone()).or_default();
        *mark = token.max(*mark);
        *mark > token
    };
    if is_stale() {
        return client.write_all(b"-FENCED another leads\r\n").await;
    }
    let mut server = UnixStream::connect(server).await?;
    server.write_all(&command(&["AUTH", PASSWORD])).await?;
    let (mut from_server, mut to_server) = server.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let mut answering = JoinSet::new();
    answering.spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    loop {
        let bytes = request(&mut from_client, &mut buffer).await?;
        if is_stale() {
            return Ok(());
        }
        to_server.write_all(&bytes).await?;
    }
}

/// The bytes of the next one.
async fn request<S: AsyncReadExt + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Vec<u8>> {
    loop {
        if let Some((_, length)) = Value::read(buffer) {
            return Ok(buffer.drain(..length).collect());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The key and the token of `AUTH token=42,key=KEY x`.
fn user(auth: &[u8]) -> (String, u64) {
    let text = Value::read(auth).unwrap().0.list()[1].to_string();
    let (token, key) = text.strip_prefix("token=").unwrap().split_once(",key=").unwrap();
    (key.to_owned(), token.parse().unwrap())
}
