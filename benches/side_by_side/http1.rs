//! As little HTTP/1.1 as a load generator needs, so that its own cost stays small.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Stream, Work};

const BUFFER_BYTES: usize = 256 * 1024;

/// Where a head ends, and what it says of its body.
pub struct Head {
    /// Its length with the empty line.
    pub bytes: usize,
    /// `Content-Length`.
    pub body_bytes: Option<u64>,
}

impl Head {
    /// `None` while it is not complete.
    pub fn parse(buffer: &[u8]) -> Option<Self> {
        let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let body_bytes = buffer[..end].split(|byte| *byte == b'\n').find_map(|line| {
            let (name, value) = line.split_at_checked(15)?;
            name.eq_ignore_ascii_case(b"content-length:")
                .then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
        });
        Some(Self { bytes: end, body_bytes })
    }
}

/// A connection.
pub struct Http1 {
    stream: Stream,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

impl Http1 {
    /// On an established connection.
    pub fn new(stream: Stream) -> Self {
        Self { stream, buffer: Vec::new(), body: Vec::new() }
    }

    /// One exchange; returns the status.
    pub async fn send(&mut self, work: &Work) -> io::Result<u16> {
        use std::io::Write as _;
        // Only made when it is used: an idle connection of ours should cost this process little.
        self.buffer.resize(BUFFER_BYTES, 0);
        let mut head = Vec::with_capacity(512);
        write!(head, "{} {} HTTP/1.1\r\nhost: localhost\r\n", work.method, work.path)?;
        if let Some(token) = work.token {
            write!(head, "fencing-token: {token}\r\n")?;
        }
        if work.method == http::Method::PUT {
            write!(head, "content-length: {}\r\n", work.up_bytes)?;
        }
        head.extend_from_slice(b"user-agent: side-by-side\r\naccept: */*\r\n\r\n");
        let mut left = work.up_bytes;
        self.body.resize(BUFFER_BYTES.min(usize::try_from(left).unwrap_or(BUFFER_BYTES)), b'0');
        if left <= 4096 {
            head.extend_from_slice(&self.body);
            left = 0;
        }
        self.stream.write_all(&head).await?;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            self.stream.write_all(&self.body[..part]).await?;
            left -= part as u64;
        }
        self.stream.flush().await?;
        let mut filled = 0;
        let head = loop {
            if let Some(head) = Head::parse(&self.buffer[..filled]) {
                break head;
            }
            filled += self.read(filled).await?;
        };
        let status = std::str::from_utf8(&self.buffer[9..12]).ok().and_then(|s| s.parse().ok());
        let mut left = head.body_bytes.unwrap_or(0).saturating_sub((filled - head.bytes) as u64);
        while left > 0 {
            left = left.saturating_sub(self.read(0).await? as u64);
        }
        status.ok_or_else(|| io::Error::other("no status line"))
    }

    /// Gives the buffers back.
    pub fn rest(&mut self) {
        (self.buffer, self.body) = (Vec::new(), Vec::new());
    }

    async fn read(&mut self, at: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[at..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}
