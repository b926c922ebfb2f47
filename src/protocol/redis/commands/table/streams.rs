//! Streams.

use super::{Access, Group, Keys, blocking, container, data, free, reads, writes};

pub(super) const GROUPS: &[Group] = &[
    reads(1, 1, &[("XLEN", 2), ("XPENDING", -3), ("XRANGE", -4), ("XREVRANGE", -4)]),
    writes(
        1,
        1,
        &[
            ("XACK", -4),
            ("XACKDEL", -6),
            ("XADD", -5),
            ("XAUTOCLAIM", -6),
            ("XCFGSET", -2),
            ("XCLAIM", -6),
            ("XDEL", -3),
            ("XDELEX", -5),
            ("XNACK", -6),
            ("XSETID", -3),
            ("XTRIM", -4),
        ],
    ),
    // Without BLOCK they do not wait.
    blocking(data(Keys::Streams(Access::Read), &[("XREAD", -4)])),
    blocking(data(Keys::Streams(Access::Write), &[("XREADGROUP", -7)])),
    container(&[("XGROUP", -2), ("XINFO", -2)]),
    writes(
        2,
        2,
        &[
            ("XGROUP CREATE", -5),
            ("XGROUP CREATECONSUMER", 5),
            ("XGROUP DELCONSUMER", 5),
            ("XGROUP DESTROY", 4),
            ("XGROUP SETID", -5),
        ],
    ),
    reads(2, 2, &[("XINFO CONSUMERS", 4), ("XINFO GROUPS", 3), ("XINFO STREAM", -3)]),
    free(&[("XGROUP HELP", 2), ("XINFO HELP", 2)]),
];
