//! On a socket that counts writes and takes only as much as it is told to.

use std::future::poll_fn;
use std::task::Waker;

use tokio::io::AsyncWriteExt as _;

use super::*;

#[derive(Default)]
struct Socket {
    writes: Vec<Vec<u8>>,
    room: usize,
    waker: Option<Waker>,
    flushed: bool,
    ended: bool,
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.room);
        if taken == 0 {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.room -= taken;
        self.flushed = false;
        self.writes.push(bytes[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended = true;
        Poll::Ready(Ok(()))
    }
}

fn socket(room: usize) -> (Coalesced<Socket>, Flusher<Socket>) {
    coalesce(Socket { room, ..Socket::default() })
}

/// Polls once.
async fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    poll_fn(|cx| {
        Poll::Ready(match poll(cx) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    })
    .await
}

async fn flush(flusher: &Flusher<Socket>) -> bool {
    now(|cx| flusher.poll_flush(cx)).await.is_some_and(|flushed| flushed.is_ok())
}

fn sent(flusher: &Flusher<Socket>) -> Vec<u8> {
    lock(&flusher.0).io.writes.concat()
}

#[tokio::test]
async fn what_is_written_between_two_flushes_is_sent_at_once_and_in_order() {
    let (mut coalesced, flusher) = socket(usize::MAX);
    for round in 1..4 {
        for word in ["head ", "body ", "end "] {
            coalesced.write_all(word.as_bytes()).await.unwrap();
            coalesced.flush().await.unwrap();
        }
        let slices = [IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"b")];
        assert_eq!(coalesced.write_vectored(&slices).await.unwrap(), 2);
        assert_eq!(lock(&flusher.0).io.writes.len(), round - 1, "not before it is flushed");
        assert!(flush(&flusher).await);
        let shared = lock(&flusher.0);
        assert_eq!(shared.io.writes.len(), round);
        assert_eq!(shared.io.writes[round - 1], b"head body end ab");
        assert!(shared.io.flushed && shared.kept.capacity() == 0);
    }
}

#[tokio::test]
async fn beyond_its_bound_a_write_waits_for_the_socket() {
    let (mut coalesced, flusher) = socket(10);
    let bytes: Vec<u8> = (0..KEPT_BYTES_MAX + 5).map(|i| (i % 251) as u8).collect();
    assert_eq!(coalesced.write(&bytes).await.unwrap(), KEPT_BYTES_MAX);
    let rest = &bytes[KEPT_BYTES_MAX..];
    assert!(now(|cx| Pin::new(&mut coalesced).poll_write(cx, rest)).await.is_none());
    assert_eq!(sent(&flusher), bytes[..10], "it tried");
    assert!(!flush(&flusher).await);
    lock(&flusher.0).io.room = usize::MAX;
    assert!(lock(&flusher.0).io.waker.is_some(), "it is woken when there is room");
    coalesced.write_all(rest).await.unwrap();
    assert!(flush(&flusher).await);
    assert_eq!(sent(&flusher), bytes);
}

#[tokio::test]
async fn at_the_end_nothing_is_left_behind() {
    let (mut coalesced, flusher) = socket(2);
    coalesced.write_all(b"bye").await.unwrap();
    assert!(now(|cx| Pin::new(&mut coalesced).poll_shutdown(cx)).await.is_none());
    assert!(!lock(&flusher.0).io.ended);
    lock(&flusher.0).io.room = 1;
    coalesced.shutdown().await.unwrap();
    assert_eq!(sent(&flusher), b"bye");
    assert!(lock(&flusher.0).io.ended);
}
