//! The answer to a fenced write, read to its end even when its client does not.
//!
//! The write has settled when the store's answer has ended, so a client that reads slowly
//! or hangs up must not decide when that is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
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
    incoming: Incoming,
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
        incoming: Incoming,
        lease: Lease<FencedBody>,
        flight: Arc<Flight>,
        stall_timeout: Duration,
    ) -> (Self, AnswerBody) {
        let (client, frames) = mpsc::channel(FRAMES_MAX);
        let body = AnswerBody::Pumped(Pumped::new(frames, incoming.size_hint()));
        (Self { incoming, lease, flight, stall_timeout, client }, body)
    }

    /// Returns when the write has settled.
    ///
    /// # Errors
    /// [`Failure::Unknown`] where the answer has no end.
    pub async fn run(mut self) -> Result<(), Failure> {
        let read = tokio::select! {
            read = read(&mut self.incoming, &self.client, self.stall_timeout) => read,
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
    incoming: &mut Incoming,
    client: &mpsc::Sender<Pumping>,
    stall_timeout: Duration,
) -> Result<bool, AnswerFault> {
    let mut listens = true;
    loop {
        match timeout(stall_timeout, incoming.frame()).await {
            Ok(Some(Ok(frame))) => {
                // Without a client that takes it the rest is still read: its end is what settles.
                listens = listens
                    && matches!(timeout(stall_timeout, client.send(Some(frame))).await, Ok(Ok(())));
            }
            Ok(Some(Err(error))) => return Err(AnswerFault::Broken(error)),
            Ok(None) => return Ok(listens),
            Err(_) => return Err(AnswerFault::Stalled),
        }
    }
}
