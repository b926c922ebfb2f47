//! Vector sets, which Redis 8 lists as a module's.

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
];
