//! Buffers that all connections of a thread share: an idle connection has none.

use std::cell::RefCell;

/// Bytes of a buffer: four full TLS records, encrypted.
pub const BUFFER_BYTES: usize = 66 * 1024;

/// Buffers that a thread keeps for later, at most.
const SPARE_MAX: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that come in at one end and go out at the other. It has memory while there are some.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What is in it.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The same, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Where more can be put, at least `room` bytes of it; tell [`Buffer::fill`] how many were.
    pub fn room(&mut self, room: usize) -> &mut [u8] {
        let held = self.end - self.start;
        if self.bytes.len() - self.end < room {
            if held + room <= self.bytes.len() {
                self.bytes.copy_within(self.start..self.end, 0);
            } else {
                let mut larger = match held + room {
                    ..=BUFFER_BYTES => take(),
                    more => vec![0; more].into_boxed_slice(),
                };
                larger[..held].copy_from_slice(self.filled());
                give_back(std::mem::replace(&mut self.bytes, larger));
            }
            (self.start, self.end) = (0, held);
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes have been put where there was room.
    pub fn fill(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= self.bytes.len());
        self.release();
    }

    /// So many bytes are done with.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        self.release();
    }

    /// It may take long until more comes or goes: keeps no more memory than it needs.
    pub fn park(&mut self) {
        if !self.is_empty() && self.bytes.len() >= BUFFER_BYTES {
            let held: Box<[u8]> = self.filled().into();
            (self.start, self.end) = (0, held.len());
            give_back(std::mem::replace(&mut self.bytes, held));
        }
    }

    fn release(&mut self) {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            give_back(std::mem::take(&mut self.bytes));
        }
    }
}

/// A buffer of [`BUFFER_BYTES`], with what somebody left in it.
pub fn take() -> Box<[u8]> {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
}

/// For the next who needs one.
pub fn give_back(bytes: Box<[u8]>) {
    if bytes.len() == BUFFER_BYTES {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < SPARE_MAX {
                spare.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(buffer: &mut Buffer, bytes: &[u8]) {
        buffer.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        buffer.fill(bytes.len());
    }

    #[test]
    fn bytes_come_out_in_order_and_memory_is_held_only_for_them() {
        let mut buffer = Buffer::default();
        let (mut wrote, mut read) = (0_u8, 0_u8);
        for (more, less) in [(10, 3), (60_000, 0), (7_000, 60_000), (90_000, 1), (0, 97_006)] {
            let bytes: Vec<u8> =
                (0..more).map(|_| (wrote, wrote = wrote.wrapping_add(1)).0).collect();
            put(&mut buffer, &bytes);
            let taken = buffer.filled()[..less].to_vec();
            for byte in taken {
                assert_eq!(byte, read);
                read = read.wrapping_add(1);
            }
            buffer.consume(less);
        }
        assert!(buffer.is_empty() && buffer.bytes.is_empty());
    }

    #[test]
    fn a_parked_buffer_is_as_large_as_what_is_in_it() {
        let mut buffer = Buffer::default();
        put(&mut buffer, b"abcdef");
        buffer.consume(2);
        buffer.park();
        assert_eq!((buffer.filled(), buffer.bytes.len()), (&b"cdef"[..], 4));
        put(&mut buffer, b"gh");
        assert_eq!(buffer.filled(), b"cdefgh");
    }
}
