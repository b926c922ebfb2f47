//! Lists, sets, sorted sets, places on the earth.

use super::{
    Access, DESTINATION_AND_NUMBERED, DESTINATION_AND_SOURCE, DESTINATION_FIRST, Group, Keys,
    blocking, data, numbered, reads, writes,
};

pub(super) const GROUPS: &[Group] = &[
    // Lists.
    reads(1, 1, &[("LINDEX", 3), ("LLEN", 2), ("LPOS", -3), ("LRANGE", 4)]),
    writes(
        1,
        1,
        &[
            ("LINSERT", 5),
            ("LPOP", -2),
            ("LPUSH", -3),
            ("LPUSHX", -3),
            ("LREM", 4),
            ("LSET", 4),
            ("LTRIM", 4),
            ("RPOP", -2),
            ("RPUSH", -3),
            ("RPUSHX", -3),
        ],
    ),
    writes(1, 2, &[("LMOVE", 5), ("LMOVEM", -5), ("RPOPLPUSH", 3)]),
    blocking(writes(1, 2, &[("BLMOVE", 6), ("BLMOVEM", -6), ("BRPOPLPUSH", 4)])),
    blocking(writes(1, -2, &[("BLPOP", -3), ("BRPOP", -3)])),
    data(numbered(1, Access::Write), &[("LMPOP", -4), ("ZMPOP", -4)]),
    blocking(data(numbered(2, Access::Write), &[("BLMPOP", -5), ("BZMPOP", -5)])),
    // Sets.
    reads(
        1,
        1,
        &[
            ("SCARD", 2),
            ("SISMEMBER", 3),
            ("SMEMBERS", 2),
            ("SMISMEMBER", -3),
            ("SRANDMEMBER", -2),
            ("SSCAN", -3),
        ],
    ),
    reads(1, -1, &[("SDIFF", -2), ("SINTER", -2), ("SUNION", -2)]),
    writes(1, 1, &[("SADD", -3), ("SPOP", -2), ("SREM", -3)]),
    writes(1, 2, &[("SMOVE", 4)]),
    data(DESTINATION_FIRST, &[("SDIFFSTORE", -3), ("SINTERSTORE", -3), ("SUNIONSTORE", -3)]),
    // Sorted sets.
    reads(
        1,
        1,
        &[
            ("ZCARD", 2),
            ("ZCOUNT", 4),
            ("ZLEXCOUNT", 4),
            ("ZMSCORE", -3),
            ("ZRANDMEMBER", -2),
            ("ZRANGE", -4),
            ("ZRANGEBYLEX", -4),
            ("ZRANGEBYSCORE", -4),
            ("ZRANK", -3),
            ("ZREVRANGE", -4),
            ("ZREVRANGEBYLEX", -4),
            ("ZREVRANGEBYSCORE", -4),
            ("ZREVRANK", -3),
            ("ZSCAN", -3),
            ("ZSCORE", 3),
        ],
    ),
    writes(
        1,
        1,
        &[
            ("ZADD", -4),
            ("ZINCRBY", 4),
            ("ZPOPMAX", -2),
            ("ZPOPMIN", -2),
            ("ZREM", -3),
            ("ZREMRANGEBYLEX", 4),
            ("ZREMRANGEBYRANK", 4),
            ("ZREMRANGEBYSCORE", 4),
        ],
    ),
    blocking(writes(1, -2, &[("BZPOPMAX", -3), ("BZPOPMIN", -3)])),
    data(
        numbered(1, Access::Read),
        &[
            ("SDIFFCARD", -3),
            ("SINTERCARD", -3),
            ("SUNIONCARD", -3),
            ("ZDIFF", -3),
            ("ZINTER", -3),
            ("ZINTERCARD", -3),
            ("ZUNION", -3),
        ],
    ),
    data(DESTINATION_AND_NUMBERED, &[("ZDIFFSTORE", -4), ("ZINTERSTORE", -4), ("ZUNIONSTORE", -4)]),
    data(DESTINATION_AND_SOURCE, &[("GEOSEARCHSTORE", -8), ("ZRANGESTORE", -5)]),
    // Places.
    reads(
        1,
        1,
        &[
            ("GEODIST", -4),
            ("GEOHASH", -2),
            ("GEOPOS", -2),
            ("GEORADIUSBYMEMBER_RO", -5),
            ("GEORADIUS_RO", -6),
            ("GEOSEARCH", -7),
        ],
    ),
    writes(1, 1, &[("GEOADD", -5)]),
    data(Keys::Radius { options: 6 }, &[("GEORADIUS", -6)]),
    data(Keys::Radius { options: 5 }, &[("GEORADIUSBYMEMBER", -5)]),
];
