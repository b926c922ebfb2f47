//! Bytes that came in at one side of a session: what has been looked at may go on, in order.

use super::codec::frame::{self, FrameError, HEADER_BYTES, Header, Side};
use crate::net::lane::Lane;

/// One direction of a session.
#[derive(Debug)]
pub(super) struct Inlet {
    side: Side,
    pub(super) lane: Lane,
    /// Bytes still to come of a message that goes on, or is dropped, without being held.
    passing: usize,
    dropping: usize,
}

impl Inlet {
    pub(super) fn new(side: Side, rest: &[u8]) -> Self {
        Self { side, lane: Lane::new(rest), passing: 0, dropping: 0 }
    }

    /// The next message that nothing was decided about; `None` while its header is not there.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn next(&mut self) -> Result<Option<Header>, FrameError> {
        self.advance();
        if self.passing > 0 || self.dropping > 0 {
            return Ok(None);
        }
        frame::header(self.side, self.open())
    }

    /// What nothing was decided about: begins with a message, once [`Inlet::next`] has found one.
    pub(super) fn open(&self) -> &[u8] {
        self.lane.open()
    }

    /// The body of the next message, if all of it is there.
    pub(super) fn body(&self, header: &Header) -> Option<&[u8]> {
        self.open().get(HEADER_BYTES..HEADER_BYTES + header.len)
    }

    /// The next message may go on, as it comes.
    pub(super) fn pass(&mut self, header: &Header) {
        self.passing = HEADER_BYTES + header.len;
        self.advance();
    }

    /// The next message goes nowhere. Only when nothing before it is left to go on.
    pub(super) fn skip(&mut self, header: &Header) {
        self.dropping = HEADER_BYTES + header.len;
        self.advance();
    }

    /// What may go on.
    pub(super) fn cleared(&self) -> &[u8] {
        self.lane.cleared()
    }

    /// So much of it has gone on.
    pub(super) fn gone(&mut self, count: usize) {
        self.lane.gone(count);
    }

    /// Whether what went on so far ends with a whole message.
    pub(super) fn is_between_messages(&self) -> bool {
        self.cleared().is_empty() && self.passing == 0
    }

    fn advance(&mut self) {
        let now = self.passing.min(self.open().len());
        self.lane.clear(now);
        self.passing -= now;
        if self.dropping > 0 && self.cleared().is_empty() {
            let now = self.dropping.min(self.open().len());
            self.lane.skip(now);
            self.dropping -= now;
        }
    }
}
