//! A TLS connection on the server's side.
//!
//! rustls keeps buffers for each connection, and reads 4 KiB at a time into them. Here it works
//! on buffers that the connections of a thread share, by its unbuffered interface: an idle
//! connection holds none, and a large body comes in large reads. Keys, records and alerts stay
//! with rustls.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::net::buffer::{self, Buffer};

/// Bytes of one write that are encrypted and sent together, at most: four full records, and
/// what HTTP/2 adds to as much.
const WRITE_BYTES_MAX: usize = 65 * 1024;
/// A write in several pieces becomes one if its first piece is shorter than this.
const JOIN_BYTES_MAX: usize = 16 * 1024;
/// Room for what TLS adds to [`WRITE_BYTES_MAX`].
const OVERHEAD_BYTES: usize = 512;
/// Messages that are still sent after an error, at most: the alert that tells of it.
const LAST_WORDS_MAX: usize = 4;

/// See the module. An end of file without TLS's own goodbye is an error of kind
/// `UnexpectedEof`: what was cut off is not what was sent.
pub struct ServerStream {
    tcp: TcpStream,
    session: UnbufferedServerConnection,
    /// From the client, not decrypted yet.
    incoming: Buffer,
    /// Decrypted, for which the reader had no room.
    plain: Buffer,
    /// Encrypted, not sent yet.
    outgoing: Buffer,
    /// The client has said goodbye.
    ended: bool,
    /// We have.
    said_goodbye: bool,
    /// Why there is nothing more to be had.
    failure: Option<rustls::Error>,
}

/// What is to be sent as soon as the session may send.
enum Speech<'a> {
    Nothing,
    Data(&'a [u8]),
    Goodbye,
}

enum Step {
    /// There may be more to do.
    Again,
    /// The speech is on its way out, or if there was none: nothing happens without more input.
    Done,
    /// The client has said goodbye.
    Ended,
}

impl ServerStream {
    /// Shakes hands. Takes as long as the client likes.
    ///
    /// # Errors
    /// The socket's, or a [`rustls::Error`] inside of one of kind `InvalidData`.
    pub async fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Box<Self>> {
        let session = UnbufferedServerConnection::new(config).map_err(invalid)?;
        let mut stream = Box::new(Self {
            tcp,
            session,
            incoming: Buffer::default(),
            plain: Buffer::default(),
            outgoing: Buffer::default(),
            ended: false,
            said_goodbye: false,
            failure: None,
        });
        poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    /// The client's certificate and those it sent with it.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.session.peer_certificates().unwrap_or_default()
    }

    /// What was agreed on to be spoken.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let step = match self.step(&Speech::Nothing, None) {
                Ok(step) => step,
                Err(error) => return Poll::Ready(Err(self.failed(cx, error))),
            };
            if matches!(step, Step::Again) {
                continue;
            }
            ready!(self.poll_send(cx))?;
            if !self.session.is_handshaking() {
                self.incoming.park();
                return Poll::Ready(Ok(()));
            }
            if matches!(step, Step::Ended) || ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Lets rustls do one thing with what has come in. Decrypted bytes go to `reader` first.
    fn step(
        &mut self,
        speech: &Speech<'_>,
        reader: Option<&mut ReadBuf<'_>>,
    ) -> Result<Step, rustls::Error> {
        let Self { session, incoming, plain, outgoing, failure, .. } = self;
        if let Some(error) = failure {
            return Err(error.clone());
        }
        let status = session.process_tls_records(incoming.filled_mut());
        let UnbufferedStatus { mut discard, state } = status;
        let step = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                let mut reader = reader;
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    let room = reader.as_ref().map_or(0, |reader| reader.remaining());
                    let (now, later) = record.payload.split_at(record.payload.len().min(room));
                    if let Some(reader) = &mut reader {
                        reader.put_slice(now);
                    }
                    plain.room(later.len())[..later.len()].copy_from_slice(later);
                    plain.fill(later.len());
                }
                Ok(Step::Again)
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                let mut room = OVERHEAD_BYTES;
                loop {
                    match data.encode(outgoing.room(room)) {
                        Ok(count) => break outgoing.fill(count),
                        Err(EncodeError::InsufficientSize(size)) => room = size.required_size,
                        Err(EncodeError::AlreadyEncoded) => break,
                    }
                }
                Ok(Step::Again)
            }
            // What was encoded is ahead of all that follows in `outgoing`.
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Ok(Step::Again)
            }
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let mut room = OVERHEAD_BYTES;
                let said = loop {
                    let said = match speech {
                        Speech::Nothing => break Ok(()),
                        Speech::Data(data) => {
                            room = room.max(data.len() + OVERHEAD_BYTES);
                            traffic.encrypt(data, outgoing.room(room))
                        }
                        Speech::Goodbye => traffic.queue_close_notify(outgoing.room(room)),
                    };
                    match said {
                        Ok(count) => {
                            outgoing.fill(count);
                            break Ok(());
                        }
                        Err(EncryptError::InsufficientSize(size)) => room = size.required_size,
                        Err(EncryptError::EncryptExhausted) => {
                            break Err(rustls::Error::EncryptError);
                        }
                    }
                };
                said.map(|()| Step::Done)
            }
            Ok(ConnectionState::BlockedHandshake) => match speech {
                Speech::Nothing => Ok(Step::Done),
                _ => Err(rustls::Error::HandshakeNotComplete),
            },
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                self.ended = true;
                Ok(Step::Ended)
            }
            Ok(other) => Err(rustls::Error::General(format!("{other:?}, which is not expected"))),
            Err(error) => Err(error),
        };
        self.incoming.consume(discard);
        step
    }

    /// Encrypts it. What comes in meanwhile is kept, which `incoming` bounds.
    fn say(&mut self, speech: &Speech<'_>) -> Result<(), rustls::Error> {
        // When the client's goodbye is found, there may still be something to say to it.
        while let Step::Again | Step::Ended = self.step(speech, None)? {
            if self.ended && self.said_goodbye {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Tells the client of an error, if it can be done at once.
    fn failed(&mut self, cx: &mut Context<'_>, error: rustls::Error) -> io::Error {
        for _ in 0..LAST_WORDS_MAX {
            // Only to fetch them: what came in must not be looked at a second time.
            if !self.session.wants_write() || self.step(&Speech::Nothing, None).is_err() {
                break;
            }
        }
        // The error is worth more than that the client does not hear of it.
        let _ = self.poll_send(cx);
        self.incoming.consume(self.incoming.filled().len());
        self.failure = Some(error.clone());
        invalid(error)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.tcp).poll_write(cx, self.outgoing.filled())? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(count) => self.outgoing.consume(count),
                Poll::Pending => {
                    self.outgoing.park();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let held = self.incoming.filled().len();
        if held >= buffer::BUFFER_BYTES {
            let error = rustls::Error::General("the message is too long".to_owned());
            return Poll::Ready(Err(invalid(error)));
        }
        let mut room = ReadBuf::new(self.incoming.room(buffer::BUFFER_BYTES - held));
        let read = Pin::new(&mut self.tcp).poll_read(cx, &mut room);
        let count = room.filled().len();
        self.incoming.fill(count);
        if read.is_pending() {
            self.incoming.park();
        }
        read.map_ok(|()| count)
    }

    fn poll_write_one(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.said_goodbye {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_send(cx))?;
        let taken = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        if let Err(error) = self.say(&Speech::Data(taken)) {
            return Poll::Ready(Err(self.failed(cx, error)));
        }
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What did not go out now goes out before the next.
            _ => Poll::Ready(Ok(taken.len())),
        }
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        reader: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = reader.filled().len();
        let kept = this.plain.filled();
        let now = kept.len().min(reader.remaining());
        reader.put_slice(&kept[..now]);
        this.plain.consume(now);
        loop {
            if reader.remaining() == 0 || !this.plain.is_empty() || this.ended {
                this.plain.park();
                return Poll::Ready(Ok(()));
            }
            // Without input there is nothing to do, so rustls need not be asked.
            let step = match this.incoming.is_empty() && this.failure.is_none() {
                true => Ok(Step::Done),
                false => this.step(&Speech::Nothing, Some(reader)),
            };
            match step {
                Ok(Step::Again | Step::Ended) => {}
                Ok(Step::Done) if reader.filled().len() > before => {
                    this.incoming.park();
                    return Poll::Ready(Ok(()));
                }
                Ok(Step::Done) => {
                    // An answer that TLS itself owes, such as to a change of keys.
                    let _ = this.poll_send(cx)?;
                    if ready!(this.poll_receive(cx))? == 0 {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
                Err(error) => return Poll::Ready(Err(this.failed(cx, error))),
            }
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_one(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut slices = slices.iter().filter(|slice| !slice.is_empty()).peekable();
        let Some(first) = slices.next() else { return Poll::Ready(Ok(0)) };
        if slices.peek().is_none() || first.len() >= JOIN_BYTES_MAX {
            return this.poll_write_one(cx, first);
        }
        ready!(this.poll_send(cx))?;
        let mut joined = buffer::take();
        let mut end = 0;
        for slice in std::iter::once(first).chain(slices) {
            let count = slice.len().min(WRITE_BYTES_MAX - end);
            joined[end..end + count].copy_from_slice(&slice[..count]);
            end += count;
        }
        let written = this.poll_write_one(cx, &joined[..end]);
        buffer::give_back(joined);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.said_goodbye {
            // A session that has failed has no goodbye to say.
            let _ = this.say(&Speech::Goodbye);
            this.said_goodbye = true;
        }
        ready!(this.poll_send(cx))?;
        match ready!(Pin::new(&mut this.tcp).poll_shutdown(cx)) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }
}

impl fmt::Debug for ServerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ServerStream");
        shown.field("tcp", &self.tcp).field("ended", &self.ended).finish_non_exhaustive()
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
