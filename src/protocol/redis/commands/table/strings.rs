//! Strings, bitmaps, HyperLogLogs.

use super::{Access, Group, Keys, Numbered, Range, data, range, reads, writes};

/// BITOP operation destination source...
const BITOP: Keys = Keys::Ranges(&[
    Range { first: 2, last: 2, step: 1, access: Access::Write },
    Range { first: 3, last: -1, step: 1, access: Access::Read },
]);

/// MSETEX number, and so many times key and value.
const PAIRS: Keys = Keys::Numbered(Numbered {
    at: 1,
    step: 2,
    access: Access::Write,
    has_destination: false,
    is_script: false,
});

pub(super) const GROUPS: &[Group] = &[
    reads(
        1,
        1,
        &[
            ("BITCOUNT", -2),
            ("BITFIELD_RO", -2),
            ("BITPOS", -3),
            ("DIGEST", 2),
            ("GET", 2),
            ("GETBIT", 3),
            ("GETRANGE", 4),
            ("STRLEN", 2),
            ("SUBSTR", 4),
        ],
    ),
    reads(1, 2, &[("LCS", -3)]),
    reads(1, -1, &[("MGET", -2)]),
    writes(
        1,
        1,
        &[
            ("APPEND", 3),
            ("BITFIELD", -2),
            ("DECR", 2),
            ("DECRBY", 3),
            ("DELEX", -2),
            ("DELIFEQ", 3),
            ("GETDEL", 2),
            ("GETEX", -2),
            ("GETSET", 3),
            ("INCR", 2),
            ("INCRBY", 3),
            ("INCRBYFLOAT", 3),
            ("INCREX", -2),
            ("PFADD", -2),
            ("PSETEX", 4),
            ("SET", -3),
            ("SETBIT", 4),
            ("SETEX", 4),
            ("SETNX", 3),
            ("SETRANGE", 4),
        ],
    ),
    // PFCOUNT keeps what it has counted in the key.
    writes(1, -1, &[("PFCOUNT", -2)]),
    data(range(1, -1, 2, Access::Write), &[("MSET", -3), ("MSETNX", -3)]),
    data(PAIRS, &[("MSETEX", -4)]),
    data(BITOP, &[("BITOP", -4)]),
    data(super::DESTINATION_FIRST, &[("PFMERGE", -2)]),
];
