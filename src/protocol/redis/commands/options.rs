//! Commands whose keys are among options. An option that Redis does not know either makes the
//! request malformed: a walk that does not understand an argument cannot tell what the next one is.

use super::keys::Args;
use super::touches::{Access, Finding, Key, Reach, Touches};

/// A number as Redis reads one where it says how many or which database: no sign, no leading zero.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if text.len() <= 10 && text.iter().all(u8::is_ascii_digit) => {
            text.iter().try_fold(0_u32, |number, digit| {
                number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
            })
        }
        _ => None,
    }
}

const fn key(index: usize, access: Access) -> Key {
    Key { index, access, database: None }
}

/// One of the words, in any case.
fn is(arg: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| arg.eq_ignore_ascii_case(word.as_bytes()))
}

/// Gives the argument at `$index`; ends with what is to be said where it is not there.
macro_rules! arg {
    ($args:expr, $index:expr) => {
        match ($args.arg)($index) {
            Some(arg) => arg,
            None if $index < $args.count => return Finding::More,
            None => return Finding::Malformed,
        }
    };
}

/// XREAD and XREADGROUP: options, STREAMS, as many keys as positions.
pub(super) fn streams(args: &Args<'_, '_>, access: Access) -> Finding {
    let mut index = 1;
    loop {
        let option = arg!(args, index);
        index += 1;
        match option {
            option if is(option, &["STREAMS"]) => break,
            option if is(option, &["BLOCK", "COUNT", "CLAIM", "MAXCOUNT", "MAXSIZE"]) => index += 1,
            option if is(option, &["GROUP"]) => index += 2,
            option if is(option, &["NOACK"]) => {}
            _ => return Finding::Malformed,
        }
    }
    let Some(rest) = args.count.checked_sub(index) else { return Finding::Malformed };
    if rest == 0 || !rest.is_multiple_of(2) {
        return Finding::Malformed;
    }
    let end = index + rest / 2;
    if (args.arg)(end - 1).is_none() {
        return Finding::More;
    }
    let keys = (index..end).map(|index| key(index, access)).collect();
    Finding::Touches(Touches { keys, everything: None }, false)
}

/// SORT: STORE writes a key; BY and GET read keys that nobody has named.
pub(super) fn sort(args: &Args<'_, '_>, stores: bool) -> Finding {
    let mut touches = Touches::default();
    touches.keys.push(key(1, Access::Read));
    let mut index = 2;
    while index < args.count {
        let option = arg!(args, index);
        let operand = index + 1;
        if is(option, &["ASC", "DESC", "ALPHA"]) {
            index += 1;
        } else if is(option, &["LIMIT"]) {
            index += 3;
        } else if is(option, &["BY", "GET"]) {
            let pattern = arg!(args, operand);
            let reads_others =
                if is(option, &["BY"]) { pattern.contains(&b'*') } else { pattern != b"#" };
            if reads_others {
                touches.everything = Some((Access::Read, Reach::Database(None)));
            }
            index += 2;
        } else if stores && is(option, &["STORE"]) {
            arg!(args, operand);
            touches.keys.push(key(operand, Access::Write));
            index += 2;
        } else {
            return Finding::Malformed;
        }
    }
    if index == args.count { args.found(touches) } else { Finding::Malformed }
}

/// GEORADIUS and GEORADIUSBYMEMBER: STORE and STOREDIST write a key.
pub(super) fn radius(args: &Args<'_, '_>, options: usize) -> Finding {
    let mut touches = Touches::default();
    touches.keys.push(key(1, Access::Read));
    let mut index = options;
    while index < args.count {
        let option = arg!(args, index);
        if is(option, &["WITHDIST", "WITHHASH", "WITHCOORD", "ASC", "DESC", "ANY"]) {
            index += 1;
        } else if is(option, &["COUNT"]) {
            index += 2;
        } else if is(option, &["STORE", "STOREDIST"]) {
            arg!(args, index + 1);
            touches.keys.push(key(index + 1, Access::Write));
            index += 2;
        } else {
            return Finding::Malformed;
        }
    }
    if index == args.count { args.found(touches) } else { Finding::Malformed }
}

/// COPY source destination [DB number] [REPLACE].
pub(super) fn copy(args: &Args<'_, '_>) -> Finding {
    let mut database = None;
    let mut index = 3;
    while index < args.count {
        let option = arg!(args, index);
        if is(option, &["REPLACE"]) {
            index += 1;
        } else if is(option, &["DB"]) {
            let Some(number) = number(arg!(args, index + 1)) else { return Finding::Malformed };
            database = Some(number);
            index += 2;
        } else {
            return Finding::Malformed;
        }
    }
    let keys = [key(1, Access::Read), Key { index: 2, access: Access::Write, database }];
    args.found(Touches { keys: keys.as_slice().into(), everything: None })
}

/// MOVE key database: it is taken away here and put there.
pub(super) fn moved(args: &Args<'_, '_>) -> Finding {
    let Some(database) = number(arg!(args, 2)) else { return Finding::Malformed };
    let here = key(1, Access::Write);
    let keys = [here, Key { database: Some(database), ..here }];
    args.found(Touches { keys: keys.as_slice().into(), everything: None })
}

/// SWAPDB database database.
pub(super) fn swap(args: &Args<'_, '_>) -> Finding {
    match (number(arg!(args, 1)), number(arg!(args, 2))) {
        (Some(one), Some(other)) => Finding::Touches(
            Touches::everything(Access::Write, Reach::Databases(one, other)),
            false,
        ),
        _ => Finding::Malformed,
    }
}

/// CLIENT TRACKING ON|OFF: with BCAST the names of all keys that are written come to the client.
pub(super) fn tracking(args: &Args<'_, '_>) -> Finding {
    let mut touches = Touches::default();
    let mut index = 3;
    while index < args.count {
        let option = arg!(args, index);
        index += if is(option, &["REDIRECT", "PREFIX"]) { 2 } else { 1 };
        if is(option, &["BCAST"]) {
            touches.everything = Some((Access::Read, Reach::Instance));
        }
    }
    Finding::Touches(touches, false)
}
