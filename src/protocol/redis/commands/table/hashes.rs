//! Hashes.

use super::{Group, container, free, reads, writes};

pub(super) const GROUPS: &[Group] = &[
    reads(
        1,
        1,
        &[
            ("HEXISTS", 3),
            ("HEXPIRETIME", -5),
            ("HGET", 3),
            ("HGETALL", 2),
            ("HKEYS", 2),
            ("HLEN", 2),
            ("HMGET", -3),
            ("HPEXPIRETIME", -5),
            ("HPTTL", -5),
            ("HRANDFIELD", -2),
            ("HSCAN", -3),
            ("HSTRLEN", 3),
            ("HTTL", -5),
            ("HVALS", 2),
        ],
    ),
    writes(
        1,
        1,
        &[
            ("HDEL", -3),
            ("HEXPIRE", -6),
            ("HEXPIREAT", -6),
            ("HGETDEL", -5),
            ("HGETEX", -5),
            ("HINCRBY", 4),
            ("HINCRBYFLOAT", 4),
            ("HMSET", -4),
            ("HPERSIST", -5),
            ("HPEXPIRE", -6),
            ("HPEXPIREAT", -6),
            ("HSET", -4),
            ("HSETEX", -6),
            ("HSETNX", 4),
        ],
    ),
    // What HIMPORT PREPARE keeps belongs to the connection.
    container(&[("HIMPORT", -2)]),
    free(&[("HIMPORT DISCARD", 3), ("HIMPORT DISCARDALL", 2), ("HIMPORT PREPARE", -4)]),
    writes(2, 2, &[("HIMPORT SET", -5)]),
];
