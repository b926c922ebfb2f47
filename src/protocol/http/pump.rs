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
        if let Err(fault) = read {
            drop(self.client);
            self.lease.close().await;
            self.flight.lose();
            return Err(Failure::Unknown(fault.to_string()));
        }
        if self.flight.is_done() {
            self.lease.give_back();
        }
        self.flight.settle();
        let _ = self.client.send(None).await;
        Ok(())
    }
}

async fn read(
    incoming: &mut Incoming,
    client: &mpsc::Sender<Pumping>,
    stall_timeout: Duration,
) -> Result<(), AnswerFault> {
    loop {
        match timeout(stall_timeout, incoming.frame()).await {
            Ok(Some(Ok(frame))) => {
                // Without a client the rest is still read: its end is what settles.
                let _ = client.send(Some(frame)).await;
            }
            Ok(Some(Err(error))) => return Err(AnswerFault::Broken(error)),
            Ok(None) => return Ok(()),
            Err(_) => return Err(AnswerFault::Stalled),
        }
    }
}
