//! The server's side: one connection, served by one task.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::header::{TE, TRAILER};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, request, response};
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::encode::{self, AnswerFraming};
use super::framing::{self, keeps_alive};
use super::head::{self, Bounds, Fault, Search};
use super::incoming::{Conn, Incoming, Shared};
use super::wire::Io;

/// How much of a body that nobody wants any more is still read, in bytes, and for how long.
/// Closing at once would reset the connection and could destroy the answer on its way.
pub const LINGER_BYTES_MAX: u64 = 4 << 20;
/// See [`LINGER_BYTES_MAX`].
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// The bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of each head.
    pub head: Bounds,
    /// How long a head may take to arrive; also how long an idle connection is kept.
    pub head_timeout: Duration,
}

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The client has hung up, or has been asked to.
    Client,
    /// It had nothing under way, or the head of a request did not come.
    Idle,
    /// What came over it was no request.
    Malformed,
    /// The client did not read its answer.
    Unread,
}

impl End {
    /// What an error of the connection says.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Unread,
            _ => Self::Client,
        }
    }
}

/// Who answers.
pub trait Service {
    /// The body of an answer.
    type Body: Body<Data = Bytes> + Unpin;

    /// The answer to a request. Dropped when the client hangs up.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>>;

    /// The answer to what is no request. It is the last one of its connection.
    fn refuse(&self, fault: &Fault) -> Response<Self::Body>;
}

/// Serves one connection to its end. When `drain` resolves, the answer under way is the last.
pub async fn serve<S: Service>(
    io: Box<dyn Io>,
    limits: Limits,
    service: S,
    drain: impl Future<Output = ()>,
) -> End {
    // Polled when it is woken, not each time that the connection is.
    let mut drain = FuturesUnordered::from_iter([drain]);
    let conn = Conn::new(io);
    let mut idle = pin!(sleep(limits.head_timeout));
    let end = loop {
        idle.as_mut().reset(Instant::now() + limits.head_timeout);
        let mut search = Search::default();
        let read = poll_fn(|cx| {
            let read = poll_head(&conn, cx, &mut search, limits.head, &mut idle);
            let is_idle = read.is_pending() && conn.lock().wire.input.is_empty();
            if is_idle && drain.poll_next_unpin(cx) == Poll::Ready(Some(())) {
                return Poll::Ready(Err(End::Client));
            }
            read
        });
        let (head, incoming) = match read.await {
            Ok(Ok(parts)) => parts,
            Ok(Err(fault)) => {
                let is_head = conn.lock().asks_for_head;
                let told = Told { is_head, wants_trailers: false, closes: true };
                if send(&conn, service.refuse(&fault), told, &mut drain).await.is_ok() {
                    linger(&conn).await;
                }
                return if fault == Fault::Late { End::Idle } else { End::Malformed };
            }
            Err(end) => break end,
        };
        let told = Told {
            is_head: head.method == Method::HEAD,
            wants_trailers: head.headers.get(TE).is_some_and(|te| te.as_bytes() == b"trailers"),
            closes: !keeps_alive(head.version, &head.headers),
        };
        let mut answering = Box::pin(service.answer(Request::from_parts(head, incoming)));
        let answered = poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => conn.lock().poll_gone(cx).map(|()| None),
        });
        let Some(response) = answered.await else { return End::Client };
        drop(answering);
        let closes = match send(&conn, response, told, &mut drain).await {
            Ok(closes) => closes,
            Err(error) => return End::of(&error),
        };
        let rest = conn.lock().abandon();
        if closes || (rest && !discard(&conn).await) {
            if rest {
                linger(&conn).await;
                return End::Client;
            }
            break End::Client;
        }
    };
    let _ = timeout(LINGER_TIMEOUT, poll_fn(|cx| conn.lock().wire.poll_shutdown(cx))).await;
    end
}

type Asked = Result<(request::Parts, Incoming), Fault>;

/// A request, or what is none; or the end of the connection, when nothing is asked any more.
fn poll_head(
    conn: &Conn,
    cx: &mut Context<'_>,
    search: &mut Search,
    bounds: Bounds,
    idle: &mut Pin<&mut Sleep>,
) -> Poll<Result<Asked, End>> {
    let mut shared = conn.lock();
    loop {
        match take_head(conn, &mut shared, search, bounds) {
            Ok(None) => {}
            Ok(Some(request)) => return Poll::Ready(Ok(Ok(request))),
            Err(fault) => return Poll::Ready(Ok(Err(fault))),
        }
        match shared.wire.poll_read(cx, 0) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(End::Client)),
            Poll::Ready(Ok(_)) => continue,
            Poll::Pending => {}
        }
        let is_late = idle.as_mut().poll(cx).is_ready();
        return match (is_late, shared.wire.input.is_empty()) {
            (false, _) => Poll::Pending,
            (true, true) => Poll::Ready(Err(End::Idle)),
            (true, false) => Poll::Ready(Ok(Err(Fault::Late))),
        };
    }
}

fn take_head(
    conn: &Conn,
    shared: &mut Shared,
    search: &mut Search,
    bounds: Bounds,
) -> Result<Option<(request::Parts, Incoming)>, Fault> {
    search.skip_empty_lines(&mut shared.wire.input, bounds)?;
    shared.asks_for_head = shared.wire.input.starts_with(b"HEAD ");
    let Some(len) = search.end(&shared.wire.input, bounds)? else { return Ok(None) };
    let head = head::request(&shared.wire.take(len), bounds)?;
    let framing = framing::of_request(head.version, &head.headers)?;
    let incoming = conn.begin(shared, framing, &head.headers);
    Ok(Some((head, incoming)))
}

/// What a request has told about its answer.
#[derive(Clone, Copy)]
struct Told {
    is_head: bool,
    wants_trailers: bool,
    closes: bool,
}

/// Sends an answer to its end. Says whether it is the last.
///
/// # Errors
/// When the connection or the answer breaks. Then the client must not take it for whole.
async fn send<B: Body<Data = Bytes> + Unpin>(
    conn: &Conn,
    response: Response<B>,
    told: Told,
    drain: &mut FuturesUnordered<impl Future<Output = ()>>,
) -> io::Result<bool> {
    let (head, mut body) = response.into_parts();
    let framing = answer_framing(&head, &body, told);
    let mut closes = None;
    let mut left = match framing {
        AnswerFraming::Bare => Some(0),
        AnswerFraming::Length(len) => Some(len),
        AnswerFraming::Chunked => None,
    };
    let mut ended = left == Some(0) && (framing == AnswerFraming::Bare || body.is_end_stream());
    let (mut owes_line, mut is_broken) = (false, false);
    poll_fn(|cx| {
        let mut shared = conn.lock();
        closes.get_or_insert_with(|| {
            let closes = told.closes
                || shared.is_broken()
                || !keeps_alive(Version::HTTP_11, &head.headers)
                || drain.poll_next_unpin(cx) == Poll::Ready(Some(()));
            shared.answers();
            encode::response(&head, framing, closes, &mut shared.wire.output);
            closes
        });
        loop {
            let mut starved = false;
            while !ended && shared.wire.has_room() {
                if std::mem::take(&mut owes_line) {
                    shared.wire.output.extend_from_slice(b"\r\n");
                }
                // The body may be at the end of a chain that reads from this connection.
                drop(shared);
                let frame = Pin::new(&mut body).poll_frame(cx);
                shared = conn.lock();
                match frame {
                    Poll::Pending => {
                        starved = true;
                        break;
                    }
                    // What there is of it goes out, so that the client sees where it broke off.
                    Poll::Ready(Some(Err(_))) => (ended, is_broken) = (true, true),
                    Poll::Ready(None) => {
                        ended = true;
                        match left {
                            None => encode::last_chunk(None, &mut shared.wire.output),
                            Some(left) => is_broken = left > 0,
                        }
                    }
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) if data.is_empty() => {}
                        Ok(data) => {
                            if let Some(left) = &mut left {
                                let rest = left.checked_sub(data.len() as u64);
                                *left = rest.ok_or_else(broken)?;
                            } else {
                                encode::chunk_line(data.len(), &mut shared.wire.output);
                                owes_line = true;
                            }
                            shared.wire.push(data);
                            ended = left == Some(0) && body.is_end_stream();
                        }
                        Err(frame) => {
                            let trailers = frame.into_trailers().ok();
                            if let (None, Some(trailers)) = (left, trailers) {
                                let sent = announced(&head.headers, trailers, told);
                                encode::last_chunk(Some(&sent), &mut shared.wire.output);
                                ended = true;
                            }
                        }
                    },
                }
            }
            match shared.wire.poll_write(cx)? {
                Poll::Ready(()) if is_broken => return Poll::Ready(Err(broken())),
                Poll::Ready(()) if ended => return Poll::Ready(Ok(())),
                Poll::Ready(()) if !starved => {}
                Poll::Ready(()) if shared.poll_gone(cx).is_ready() => {
                    return Poll::Ready(Err(broken()));
                }
                _ => return Poll::Pending,
            }
        }
    })
    .await?;
    Ok(closes.unwrap_or(true))
}

fn answer_framing(head: &response::Parts, body: &impl Body, told: Told) -> AnswerFraming {
    let is_bare = told.is_head
        || head.status.is_informational()
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match body.size_hint().exact() {
        _ if is_bare => AnswerFraming::Bare,
        Some(len) => AnswerFraming::Length(len),
        None => AnswerFraming::Chunked,
    }
}

/// Trailers go to those who want them, and only those that the head has named.
fn announced(headers: &HeaderMap, mut trailers: HeaderMap, told: Told) -> HeaderMap {
    let names = headers.get_all(TRAILER).iter().filter_map(|names| names.to_str().ok());
    let names: Vec<&str> = names.flat_map(|names| names.split(',')).map(str::trim).collect();
    let is_announced = |name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    let unwanted: Vec<_> = trailers
        .keys()
        .filter(|name| !told.wants_trailers || !is_announced(name.as_str()))
        .cloned()
        .collect();
    for name in unwanted {
        trailers.remove(name);
    }
    trailers
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// Reads away what is left of a body. Says whether its end has come.
async fn discard(conn: &Conn) -> bool {
    let mut left = LINGER_BYTES_MAX;
    let reading = poll_fn(|cx| conn.lock().poll_discard(cx, &mut left));
    matches!(timeout(LINGER_TIMEOUT, reading).await, Ok(true))
}

/// Says that nothing more is coming, and closes only once the client has seen it.
async fn linger(conn: &Conn) {
    let mut left = LINGER_BYTES_MAX;
    let ending = async {
        let _ = poll_fn(|cx| conn.lock().wire.poll_shutdown(cx)).await;
        poll_fn(|cx| conn.lock().poll_deaf(cx, &mut left)).await;
    };
    let _ = timeout(LINGER_TIMEOUT, ending).await;
}
