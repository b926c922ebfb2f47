//! The answer to a fenced write, read to its end even when its client does not.
//!
//! The write has settled when the store's answer has ended, so a client that reads slowly
//! or hangs up must not decide when that is.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::answer::{AnswerBody, AnswerFault, Pumped};
use super::body::FencedBody;
use super::flight::Flight;
use super::relay::Failure;
use crate::net::pool::Lease;

/// Frames that wait for a slow client.
const FRAMES_MAX: usize = 16;

/// Reads an answer to its end.
pub struct Pump {
    lease: Lease<FencedBody>,
    flight: Arc<Flight>,
    stall_timeout: Duration,
    client: mpsc::Sender<Pumping>,
}

/// What the client's side is given: frames, and at last `None`. Without that the answer was
/// broken off, and a client must not take half of it for the whole.
pub type Pumping = Option<Frame<Bytes>>;

impl Pump {
    /// For an answer whose head has arrived; with it comes the body that the client gets.
    pub fn new(
        lease: Lease<FencedBody>,
        flight: Arc<Flight>,
        stall_timeout: Duration,
    ) -> (Self, AnswerBody) {
        let (client, frames) = mpsc::channel(FRAMES_MAX);
        let body = AnswerBody::Pumped(Pumped::new(frames, lease.size_hint()));
        (Self { lease, flight, stall_timeout, client }, body)
    }

    /// Returns when the write has settled.
    ///
    /// # Errors
    /// [`Failure::Unknown`] where the answer has no end.
    pub async fn run(mut self) -> Result<(), Failure> {
        let read = tokio::select! {
            read = read(&mut self.lease, &self.client, self.stall_timeout) => read,
            () = self.flight.lost() => Err(AnswerFault::GivenUp),
        };
        let listens = match read {
            Ok(listens) => listens,
            Err(fault) => {
                drop(self.client);
                self.lease.close().await;
                self.flight.lose();
                return Err(Failure::Unknown(fault.to_string()));
            }
        };
        if self.flight.is_done() {
            self.lease.give_back();
        }
        self.flight.settle();
        if listens {
            let _ = timeout(self.stall_timeout, self.client.send(None)).await;
        }
        Ok(())
    }
}

/// Reads to the end, and says whether the client has been given everything.
async fn read(
    lease: &mut Lease<FencedBody>,
    client: &mpsc::Sender<Pumping>,
    stall_timeout: Duration,
) -> Result<bool, AnswerFault> {
    let mut listens = true;
    loop {
        let next = poll_fn(|cx| {
            drive(lease, cx);
            lease.poll_frame(cx)
        });
        match timeout(stall_timeout, next).await {
            Ok(Some(Ok(frame))) => {
                // Without a client that takes it the rest is still read: its end is what settles.
                listens = listens && {
                    let mut given = pin!(timeout(stall_timeout, client.send(Some(frame))));
                    let given = poll_fn(|cx| {
                        drive(lease, cx);
                        given.as_mut().poll(cx)
                    });
                    matches!(given.await, Ok(Ok(())))
                };
            }
            Ok(Some(Err(error))) => return Err(AnswerFault::Broken(error)),
            Ok(None) => return Ok(listens),
            Err(_) => return Err(AnswerFault::Stalled),
        }
    }
}

/// A request that counts from its head on may be answered while it is still being sent. What
/// goes wrong with the rest of it does not change the answer.
fn drive(lease: &mut Lease<FencedBody>, cx: &mut Context<'_>) {
    let _ = lease.poll_sending(cx);
}
