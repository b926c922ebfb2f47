//! The bytes of a row: what goes in comes out, and nothing else is believed.

use std::time::{Duration, UNIX_EPOCH};

use super::super::row::{Row, RowError};
use crate::fence::{Holder, Mark, Record, Token};
use crate::ledger::HISTORY_MAX;

fn row(raises: u64) -> Row {
    let mut row = Row::default();
    for i in 1..=raises {
        let to = Mark { token: Token::new(7, i), holder: Holder::new(format!("spiffe://x/{i}")) };
        row.raise(&to, i % 2 == 1, UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + i));
    }
    row
}

#[test]
fn rows_survive_the_round_trip() {
    for raises in [0, 1, 2, HISTORY_MAX as u64, HISTORY_MAX as u64 + 5] {
        let row = row(raises);
        assert_eq!(Row::decode(b"a", &row.encode(b"a")).unwrap(), row);
        assert!(row.history.len() <= HISTORY_MAX);
    }
}

#[test]
fn no_damaged_row_is_believed() {
    let bytes = row(2).encode(b"a");
    for len in 0..bytes.len() {
        Row::decode(b"a", &bytes[..len]).unwrap_err();
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Row::decode(b"a", &flipped), Err(RowError::Checksum), "bit {bit}");
    }
    assert_eq!(Row::decode(b"b", &bytes), Err(RowError::Checksum), "another row's key");
    let mut padded = bytes.clone();
    padded.push(0);
    assert_eq!(Row::decode(b"a", &padded), Err(RowError::Checksum));
}

#[test]
fn a_grant_above_the_mark_is_a_contradiction() {
    let mut row = row(1);
    row.record = Record { grant: Token::new(7, 2), ..row.record };
    assert_eq!(Row::decode(b"a", &row.encode(b"a")), Err(RowError::Contradiction));
}
