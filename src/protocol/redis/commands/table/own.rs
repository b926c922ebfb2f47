//! What belongs to the connection: most of it the session deals with itself.

use super::super::command::Act;
use super::{
    Access, Group, Keys, Kind, Reach, Rows, admin, channels, container, data, free, range,
};

const fn session(act: Act, keys: Keys, names: Rows) -> Group {
    Group { kind: Kind::Session(act), is_blocking: false, keys, names }
}

pub(super) const GROUPS: &[Group] = &[
    session(Act::Auth, Keys::None, &[("AUTH", -2)]),
    session(Act::Hello, Keys::None, &[("HELLO", -1)]),
    session(Act::Reset, Keys::None, &[("RESET", 1)]),
    session(Act::Quit, Keys::None, &[("QUIT", -1)]),
    session(Act::Select, Keys::None, &[("SELECT", 2)]),
    session(Act::Multi, Keys::None, &[("MULTI", 1)]),
    session(Act::Exec, Keys::None, &[("EXEC", 1)]),
    session(Act::Discard, Keys::None, &[("DISCARD", 1)]),
    session(Act::Watch, range(1, -1, 1, Access::Read), &[("WATCH", -2)]),
    session(Act::Unwatch, Keys::None, &[("UNWATCH", 1)]),
    session(
        Act::Subscribe,
        channels(1, -1, Access::Read),
        &[("SSUBSCRIBE", -2), ("SUBSCRIBE", -2)],
    ),
    session(
        Act::PatternSubscribe,
        Keys::Everything(Access::Read, Reach::Instance),
        &[("PSUBSCRIBE", -2)],
    ),
    session(
        Act::Unsubscribe,
        Keys::None,
        &[("PUNSUBSCRIBE", -1), ("SUNSUBSCRIBE", -1), ("UNSUBSCRIBE", -1)],
    ),
    session(Act::Monitor, Keys::None, &[("MONITOR", 1)]),
    session(Act::Palisade, Keys::None, &[("PALISADE", -2)]),
    container(&[("CLIENT", -2)]),
    session(Act::SetName, Keys::None, &[("CLIENT SETNAME", 3)]),
    session(Act::GetName, Keys::None, &[("CLIENT GETNAME", 2)]),
    session(Act::ReplyMode, Keys::None, &[("CLIENT REPLY", 3)]),
    free(&[
        ("CLIENT CACHING", 3),
        ("CLIENT CAPA", -3),
        ("CLIENT GETREDIR", 2),
        ("CLIENT HELP", 2),
        ("CLIENT ID", 2),
        ("CLIENT INFO", 2),
        ("CLIENT NO-TOUCH", 3),
        ("CLIENT SETINFO", 4),
        ("CLIENT TRACKINGINFO", 2),
    ]),
    data(Keys::Tracking, &[("CLIENT TRACKING", -3)]),
    admin(&[
        ("CLIENT IMPORT-SOURCE", 3),
        ("CLIENT KILL", -3),
        ("CLIENT LIST", -2),
        ("CLIENT NO-EVICT", 3),
        ("CLIENT PAUSE", -3),
        ("CLIENT UNBLOCK", -3),
        ("CLIENT UNPAUSE", 2),
    ]),
];
