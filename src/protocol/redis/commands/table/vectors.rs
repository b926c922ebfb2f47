//! Vector sets, which Redis 8 lists as a module's, and arrays.

use super::{Group, reads, writes};

pub(super) const GROUPS: &[Group] = &[
    reads(
        1,
        1,
        &[
            ("VCARD", 2),
            ("VDIM", 2),
            ("VEMB", -3),
            ("VGETATTR", 3),
            ("VINFO", 2),
            ("VISMEMBER", 3),
            ("VLINKS", -3),
            ("VRANDMEMBER", -2),
            ("VRANGE", -4),
            ("VSIM", -4),
        ],
    ),
    writes(1, 1, &[("VADD", -5), ("VREM", 3), ("VSETATTR", 4)]),
    // Arrays.
    reads(
        1,
        1,
        &[
            ("ARCOUNT", 2),
            ("ARGET", 3),
            ("ARGETRANGE", -4),
            ("ARGREP", -3),
            ("ARINFO", -2),
            ("ARLASTITEMS", -3),
            ("ARLEN", 2),
            ("ARMGET", -3),
            ("ARNEXT", 2),
            ("AROP", -5),
            ("ARSCAN", -2),
        ],
    ),
    writes(
        1,
        1,
        &[
            ("ARDEL", -3),
            ("ARDELRANGE", -4),
            ("ARINSERT", -3),
            ("ARMSET", -4),
            ("ARRING", -3),
            ("ARSEEK", 3),
            ("ARSET", -4),
        ],
    ),
];
