//! The rules of the contract, each taken away once: the search must see the harm.

use super::assert_told;
use super::safety::Property;
use super::search::explore;
use super::world::{Model, Request};

/// A rule that the driver or the ledger does not keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mutation {
    /// The process ends cleanly although what an earlier one left may still land.
    ClosedWithLeftovers,
    /// The process ends cleanly with writes on the wire.
    ClosedWithSent,
    /// The process ends cleanly with writes of unknown outcome.
    ClosedWithUnknown,
    /// The clean mark is not taken away when a process starts.
    CleanMarkKept,
    /// Two identities may bring one token.
    ConflictAdmitted,
    /// Writes that were cut are not told.
    CutNotTold,
    /// The ledger does a raise of a dead process after the next one has started.
    DeadRaiseDone,
    /// A fence is forgotten with writes of unknown outcome.
    EvictedWithUnknown,
    /// A raise is taken for done before the ledger has answered.
    ForwardedBeforeDurable,
    /// The grant is set before the quiesce, while it runs.
    GrantBeforeQuiesce,
    /// The grant is set together with the mark, always.
    GrantMovesWithMark,
    /// A restart takes the mark for the grant.
    GrantNotLookedAt,
    /// A client hangs up in the middle of its upload and its permit is not released.
    HangUpKeepsPermit,
    /// A token may be as far above the mark as it likes.
    JumpNotBounded,
    /// What a killed process may have left is not waited for.
    LeftoversIgnored,
    /// The ledger shows a lower mark than it once did.
    MarkLowered,
    /// A takeover waits for the store's answer for ever.
    NeverHungUp,
    /// Check on arrival, then forward: the quiesce is over at once.
    NoQuiesce,
    /// A write is forwarded at its commit point without asking the fence again.
    NoSecondLook,
    /// Who waits loses the place to who comes later.
    PlaceLost,
    /// Any number of requests wait.
    QueueNotBounded,
    /// Whoever may write may raise.
    RaisedByAnyone,
    /// Writes below a raise are told "stale" before its outcome is known.
    RefusedOnRaiseThatMayFail,
    /// Writes past their commit point are told "stale".
    SentToldStale,
    /// A write with an unknown outcome counts as settled.
    UnknownIsSettled,
    /// A raise with an unknown outcome is taken for done.
    UnknownRaiseIsDone,
    /// A raise with an unknown outcome is taken for failed.
    UnknownRaiseIsFailed,
    /// Nobody reads the ledger after a raise with an unknown outcome.
    UnknownRaiseNotResolved,
    /// A client hangs up while it waits, and the fence is not told.
    WaiterNotWithdrawn,
}

/// The search finds, in at most [`STEPS_MAX`] steps, how the world goes wrong without the rule.
fn breaks(mutation: Mutation, property: Property, requests: &[Request]) {
    breaks_in(mutation, property, Model::new(requests));
}

/// A counterexample that people can follow is not longer than this.
const STEPS_MAX: usize = 25;

fn breaks_in(mutation: Mutation, property: Property, model: Model) {
    let mutant = Model { mutation: Some(mutation), only: Some(property), ..model.clone() };
    let found = explore(&mutant).expect_err("the search sees no harm in this mutation");
    eprintln!("{mutation:?}, {} steps: {found}", found.steps.len());
    assert_eq!(found.broken.property, property);
    assert_told(&format!("| {mutation:?} | {property:?} | {} |", found.steps.len()));
    assert!(found.steps.len() <= STEPS_MAX, "{mutation:?}: {found}");
    // The same world with the rule in place keeps every property.
    if let Err(found) = explore(&model) {
        panic!("the world is broken without the mutation: {found}");
    }
}

const A1: Request = Request::write("A", 1);
const B1: Request = Request::write("B", 1);
const B2: Request = Request::write("B", 2);
const SEAL_B2: Request = Request::seal("B", 2);
const SEAL_C3: Request = Request::seal("C", 3);

#[test]
fn a_conflict_is_refused() {
    breaks(Mutation::ConflictAdmitted, Property::Admission, &[A1, B1]);
}

#[test]
fn a_cut_writer_is_told_at_once() {
    breaks(Mutation::CutNotTold, Property::Progress, &[A1, SEAL_B2]);
}

#[test]
fn a_fence_with_unknown_writes_is_not_forgotten() {
    let model = Model { evicts: true, ..Model::new(&[A1, SEAL_B2]) };
    breaks_in(Mutation::EvictedWithUnknown, Property::G2, model);
}

#[test]
fn a_hang_up_in_an_upload_releases_the_permit() {
    breaks(Mutation::HangUpKeepsPermit, Property::Books, &[A1]);
}

#[test]
fn a_jump_is_bounded() {
    let model = Model { max_jump: 2, ..Model::new(&[A1, SEAL_C3]) };
    breaks_in(Mutation::JumpNotBounded, Property::Admission, model);
}

#[test]
fn a_mark_never_goes_down() {
    breaks(Mutation::MarkLowered, Property::G1, &[A1, SEAL_B2]);
}

#[test]
fn a_raise_is_durable_before_anything_goes_forward() {
    breaks(Mutation::ForwardedBeforeDurable, Property::G3, &[A1]);
}

#[test]
fn a_raise_of_a_dead_process_is_never_done_later() {
    breaks(Mutation::DeadRaiseDone, Property::G2, &[A1, B2, A1, SEAL_B2]);
}

#[test]
fn a_raise_of_unknown_outcome_is_not_taken_for_done() {
    breaks(Mutation::UnknownRaiseIsDone, Property::G3, &[A1]);
}

#[test]
fn a_raise_of_unknown_outcome_is_not_taken_for_failed() {
    breaks(Mutation::UnknownRaiseIsFailed, Property::G2, &[A1, A1, B2, SEAL_B2]);
}

#[test]
fn a_raise_of_unknown_outcome_is_resolved() {
    breaks(Mutation::UnknownRaiseNotResolved, Property::Progress, &[A1]);
}

#[test]
fn a_restart_looks_at_the_grant() {
    breaks(Mutation::GrantNotLookedAt, Property::G2, &[A1, SEAL_B2, SEAL_B2]);
}

#[test]
fn a_restart_takes_the_clean_mark_away() {
    breaks(Mutation::CleanMarkKept, Property::G2, &[A1, SEAL_B2]);
}

#[test]
fn a_restart_waits_for_leftovers() {
    breaks(Mutation::LeftoversIgnored, Property::G2, &[A1, SEAL_B2]);
}

#[test]
fn a_sent_write_is_not_told_stale() {
    breaks(Mutation::SentToldStale, Property::G6, &[A1, SEAL_B2]);
}

#[test]
fn a_takeover_hangs_up_on_a_store_that_does_not_answer() {
    breaks(Mutation::NeverHungUp, Property::Progress, &[A1, SEAL_B2]);
}

#[test]
fn a_takeover_quiesces() {
    breaks(Mutation::NoQuiesce, Property::G2, &[A1, SEAL_B2]);
}

#[test]
fn a_waiter_that_goes_away_leaves_no_permit() {
    breaks(Mutation::WaiterNotWithdrawn, Property::Books, &[A1]);
}

#[test]
fn a_write_looks_again_at_its_commit_point() {
    breaks(Mutation::NoSecondLook, Property::G1, &[A1, SEAL_B2]);
}

#[test]
fn an_end_is_not_clean_with_leftovers() {
    breaks(Mutation::ClosedWithLeftovers, Property::G2, &[A1, SEAL_B2]);
}

#[test]
fn an_end_is_not_clean_with_sent_writes() {
    breaks(Mutation::ClosedWithSent, Property::G2, &[A1, SEAL_B2]);
}

#[test]
fn an_end_is_not_clean_with_unknown_writes() {
    breaks(Mutation::ClosedWithUnknown, Property::G2, &[A1, SEAL_B2]);
}

#[test]
fn an_unknown_outcome_is_not_settled() {
    breaks(Mutation::UnknownIsSettled, Property::G2, &[A1, SEAL_B2]);
}

#[test]
fn nobody_is_told_stale_on_a_raise_that_may_fail() {
    breaks(Mutation::RefusedOnRaiseThatMayFail, Property::G6, &[A1, SEAL_B2]);
}

#[test]
fn only_who_may_raise_raises() {
    let requests = [A1, SEAL_B2.without_raise()];
    breaks(Mutation::RaisedByAnyone, Property::Admission, &requests);
}

#[test]
fn the_grant_does_not_go_up_before_the_quiesce() {
    breaks(Mutation::GrantBeforeQuiesce, Property::G2, &[A1, SEAL_B2, SEAL_B2]);
}

#[test]
fn the_grant_does_not_move_with_the_mark() {
    breaks(Mutation::GrantMovesWithMark, Property::G2, &[A1, SEAL_B2]);
}

#[test]
fn the_queue_is_bounded() {
    let model = Model { queue_max: 1, ..Model::new(&[A1, A1]) };
    breaks_in(Mutation::QueueNotBounded, Property::Order, model);
}

#[test]
fn waiters_keep_their_places() {
    breaks(Mutation::PlaceLost, Property::Order, &[A1, A1]);
}
