//! The rules of the protocol between replicas, each taken away once.

/// A rule that the driver or the ledger does not keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mutation {
    /// A grant is removed although its session is alive.
    BuriedAlive,
    /// The process ends cleanly with writes of unknown outcome.
    ClosedWithUnknown,
    /// The ledger may end a session while its process still admits.
    CountedFromTheAnswer,
    /// A new process takes the sessions of the one before it for its own.
    DeadTakenForFormer,
    /// The ledger may end a session before its process has hung up.
    EndedBeforeHangUp,
    /// Nobody hears what others raise.
    FeedNotFollowed,
    /// The grant of a session before this one counts as this one's.
    FormerGrantIsOwn,
    /// A forgotten fence's grant is given up whatever the mark is by then.
    GivenUpAtAnyMark,
    /// The grant is set before the quiesce, while it runs.
    GrantBeforeQuiesce,
    /// The grant is set together with the mark, always.
    GrantMovesWithMark,
    /// The grant is set although the mark has moved on.
    GrantedAnyway,
    /// Grants end with their sessions.
    GrantsVanish,
    /// A new session is relied on before all fences have heard that the old one is over.
    LeaseBeforeSuspended,
    /// Nobody looks at the lease before a request is admitted.
    NoLookAtAdmission,
    /// Nobody looks at the lease at the commit point.
    NoLookAtCommit,
    /// A write is sent at its commit point without asking the fence again.
    NoSecondLook,
    /// A read of the ledger does not make sure that what was lost is never done.
    NotMadeSure,
    /// A dead session's grant is removed while its writes may land.
    NotSettled,
    /// A fence opens without waiting for the grants of others.
    OthersNotAwaited,
    /// A session that is prolonged after its lease had run out is not told of.
    ProlongedInSilence,
    /// The grant is given up before the quiesce.
    ReleaseBeforeQuiesce,
    /// That a grant was given up is believed although the ledger has not said so.
    ReleaseNotRetried,
    /// The ledger does not look whether the session is alive.
    SessionNotChecked,
    /// A new process goes on with the session of the one before it.
    SessionTakenUp,
    /// A suspended replica goes on.
    SuspensionIgnored,
    /// A row from before the own grant was set counts.
    ToldByAnyRow,
}
