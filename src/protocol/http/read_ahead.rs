//! Reads a small body whole, before admission: what a batch touches is in its body.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::body::Decode;
use super::client_body::ClientBody;
use super::flight::BodyFault;
use super::relay::Failure;

/// A body that has been read whole.
#[derive(Debug, Default)]
pub struct Held {
    /// As the store is to see it.
    pub bytes: Bytes,
    /// A header that says what the end of the client's body has said.
    pub checksum: Option<(&'static str, String)>,
}

/// How many bodies of one listener are held at once; each has a few MiB at most.
pub const READ_AHEADS_MAX: usize = 16;

/// The whole body, through its decoder.
///
/// # Errors
/// When it has more than `bytes_max`, takes longer than `limit`, or is not what it says it is.
pub async fn read(
    mut body: ClientBody,
    mut decoder: Option<Box<dyn Decode>>,
    bytes_max: u64,
    limit: Duration,
) -> Result<Held, Failure> {
    let reading = async {
        let (mut whole, mut decoded) = (BytesMut::new(), VecDeque::new());
        let mut left = bytes_max;
        while let Some(chunk) = std::future::poll_fn(|cx| body.poll_chunk(cx)).await {
            let chunk = chunk?;
            left = left
                .checked_sub(chunk.len() as u64)
                .ok_or(BodyFault::TooLarge { limit: "2 MiB of a batch", bytes_max })?;
            match &mut decoder {
                None => decoded.push_back(chunk),
                Some(decoder) => {
                    decoder.push(chunk, &mut decoded).map_err(BodyFault::Malformed)?;
                }
            }
            decoded.drain(..).for_each(|part| whole.extend_from_slice(&part));
        }
        if let Some(decoder) = &mut decoder {
            decoder.finish(&mut decoded).map_err(BodyFault::Malformed)?;
            decoded.drain(..).for_each(|part| whole.extend_from_slice(&part));
        }
        let checksum = decoder.as_ref().and_then(|decoder| decoder.checksum());
        Ok(Held { bytes: whole.freeze(), checksum })
    };
    match timeout(limit, reading).await {
        Ok(whole) => whole.map_err(Failure::Body),
        Err(_) => Err(Failure::ClientStalled),
    }
}
