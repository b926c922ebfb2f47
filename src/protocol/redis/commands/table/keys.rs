//! Keys of any type, whole databases, scripts, functions, channels that are written to.

use super::{
    Access, Group, Keys, Numbered, Reach, admin, channels, container, data, everything, free,
    reads, writes,
};

const fn script(access: Access) -> Keys {
    Keys::Numbered(Numbered { at: 2, step: 1, access, has_destination: false, is_script: true })
}

const SELECTED: Reach = Reach::Database(None);

pub(super) const GROUPS: &[Group] = &[
    reads(
        1,
        1,
        &[("DUMP", 2), ("EXPIRETIME", 2), ("PEXPIRETIME", 2), ("PTTL", 2), ("TTL", 2), ("TYPE", 2)],
    ),
    reads(1, -1, &[("EXISTS", -2), ("TOUCH", -2)]),
    writes(
        1,
        1,
        &[
            ("EXPIRE", -3),
            ("EXPIREAT", -3),
            ("PERSIST", 2),
            ("PEXPIRE", -3),
            ("PEXPIREAT", -3),
            ("RESTORE", -4),
        ],
    ),
    writes(1, 2, &[("RENAME", 3), ("RENAMENX", 3)]),
    writes(1, -1, &[("DEL", -2), ("UNLINK", -2)]),
    data(Keys::Copy, &[("COPY", -3)]),
    data(Keys::Move, &[("MOVE", 3)]),
    data(Keys::Sort { stores: true }, &[("SORT", -2)]),
    data(Keys::Sort { stores: false }, &[("SORT_RO", -2)]),
    container(&[("MEMORY", -2), ("OBJECT", -2)]),
    reads(
        2,
        2,
        &[
            ("MEMORY USAGE", -3),
            ("OBJECT ENCODING", 3),
            ("OBJECT FREQ", 3),
            ("OBJECT IDLETIME", 3),
            ("OBJECT REFCOUNT", 3),
        ],
    ),
    free(&[
        ("MEMORY DOCTOR", 2),
        ("MEMORY HELP", 2),
        ("MEMORY MALLOC-STATS", 2),
        ("MEMORY STATS", 2),
        ("OBJECT HELP", 2),
    ]),
    admin(&[("MEMORY PURGE", 2)]),
    // Whole databases.
    everything(
        Access::Read,
        SELECTED,
        &[("CLUSTERSCAN", -2), ("DBSIZE", 1), ("KEYS", 2), ("RANDOMKEY", 1), ("SCAN", -2)],
    ),
    everything(Access::Write, SELECTED, &[("FLUSHDB", -1)]),
    everything(Access::Write, Reach::Instance, &[("FLUSHALL", -1), ("SFLUSH", -3)]),
    data(Keys::Swap, &[("SWAPDB", 3)]),
    // Scripts and functions.
    data(script(Access::Write), &[("EVAL", -3), ("EVALSHA", -3), ("FCALL", -3)]),
    data(script(Access::Read), &[("EVALSHA_RO", -3), ("EVAL_RO", -3), ("FCALL_RO", -3)]),
    container(&[("FUNCTION", -2), ("SCRIPT", -2)]),
    everything(
        Access::Write,
        Reach::Instance,
        &[
            ("FUNCTION DELETE", 3),
            ("FUNCTION FLUSH", -2),
            ("FUNCTION LOAD", -3),
            ("FUNCTION RESTORE", -3),
        ],
    ),
    everything(
        Access::Read,
        Reach::Instance,
        &[("FUNCTION DUMP", 2), ("FUNCTION LIST", -2), ("SCRIPT SHOW", 3)],
    ),
    free(&[
        ("FUNCTION HELP", 2),
        ("FUNCTION STATS", 2),
        ("SCRIPT EXISTS", -3),
        ("SCRIPT HELP", 2),
        ("SCRIPT LOAD", 3),
    ]),
    admin(&[("FUNCTION KILL", 2), ("SCRIPT FLUSH", -2), ("SCRIPT KILL", 2)]),
    // Channels.
    data(channels(1, 1, Access::Write), &[("PUBLISH", 3), ("SPUBLISH", 3)]),
    container(&[("PUBSUB", -2)]),
    data(channels(2, -1, Access::Read), &[("PUBSUB NUMSUB", -2), ("PUBSUB SHARDNUMSUB", -2)]),
    everything(
        Access::Read,
        Reach::Instance,
        &[("PUBSUB CHANNELS", -2), ("PUBSUB NUMPAT", 2), ("PUBSUB SHARDCHANNELS", -2)],
    ),
    free(&[("PUBSUB HELP", 2)]),
];
