//! Each rule taken away: the search must see the harm.

use super::mutation::Mutation;
use super::world::{Faults, Model, Store};
use super::worlds::{
    A1, END, FREEZE, LAPSE, LOST, SEAL_B2, THREE, TWO, calm, forgetful, frozen, hurried, lapsed,
    late, left, two,
};
use crate::fence::model::assert_told;
use crate::fence::model::safety::Property;
use crate::fence::model::search::explore;

/// A counterexample that people can follow is not longer than this.
const STEPS_MAX: usize = 25;

/// The search finds, in at most [`STEPS_MAX`] steps, how the world goes wrong without the rule.
/// That it does not with the rule is what `worlds` shows.
fn breaks(mutation: Mutation, property: Property, model: Model) {
    let model = Model { mutation: Some(mutation), only: Some(property), ..model };
    let found = explore(&model).expect_err("the search sees no harm in this mutation");
    let row = format!("| {mutation:?} | {property:?} | {} |", found.steps.len());
    eprintln!("{row}\n{found}");
    assert_told(&row);
    assert!(found.steps.len() <= STEPS_MAX, "{mutation:?}: {found}");
}

#[test]
fn a_clean_end_waits_for_unknown_writes() {
    breaks(Mutation::ClosedWithUnknown, Property::G2, two(TWO, END));
}

#[test]
fn a_dead_session_is_buried_after_its_writes_have_settled() {
    breaks(Mutation::NotSettled, Property::G2, two(TWO, END));
}

#[test]
fn a_forgotten_fence_gives_up_what_it_was_told_to() {
    breaks(Mutation::GivenUpAtAnyMark, Property::G2, forgetful());
}

#[test]
fn a_former_grant_is_not_this_sessions() {
    breaks(Mutation::FormerGrantIsOwn, Property::G2, lapsed());
}

#[test]
fn a_grant_is_given_up_after_the_quiesce() {
    breaks(Mutation::ReleaseBeforeQuiesce, Property::G2, calm(TWO));
}

#[test]
fn a_grant_is_given_up_until_the_ledger_says_so() {
    breaks(Mutation::ReleaseNotRetried, Property::Progress, two(TWO, LOST));
}

#[test]
fn a_grant_is_set_after_the_quiesce() {
    breaks(Mutation::GrantBeforeQuiesce, Property::G2, calm(TWO));
}

#[test]
fn a_grant_is_set_while_the_mark_is_there() {
    breaks(Mutation::GrantedAnyway, Property::G1, calm(THREE));
}

#[test]
fn a_grant_moves_with_the_mark_only_when_nothing_is_in_flight() {
    breaks(Mutation::GrantMovesWithMark, Property::G2, calm(&[A1, SEAL_B2, SEAL_B2]));
}

#[test]
fn a_grant_outlives_its_session() {
    breaks(Mutation::GrantsVanish, Property::G2, two(TWO, END));
}

#[test]
fn a_living_session_is_not_buried() {
    breaks(Mutation::BuriedAlive, Property::G2, calm(TWO));
}

#[test]
fn a_lost_raise_is_never_done_after_a_read() {
    breaks(Mutation::NotMadeSure, Property::G2, left());
}

#[test]
fn a_new_process_begins_a_new_session() {
    breaks(Mutation::SessionTakenUp, Property::G2, two(TWO, END));
}

#[test]
fn a_new_process_is_not_the_one_before() {
    breaks(Mutation::DeadTakenForFormer, Property::G2, two(TWO, END));
}

#[test]
fn a_new_session_waits_for_the_gate() {
    breaks(Mutation::LeaseBeforeSuspended, Property::G1, hurried());
}

#[test]
fn a_prolonged_lease_is_told() {
    breaks(Mutation::ProlongedInSilence, Property::Progress, two(TWO, LAPSE));
}

#[test]
fn a_request_looks_at_the_lease_before_it_is_admitted() {
    breaks(Mutation::NoLookAtAdmission, Property::G1, two(TWO, FREEZE));
}

#[test]
fn a_row_from_before_the_grant_says_nothing() {
    breaks(Mutation::ToldByAnyRow, Property::G2, late(Default::default()));
}

#[test]
fn a_session_does_not_end_before_its_process_has_hung_up() {
    breaks(Mutation::EndedBeforeHangUp, Property::G2, Model { slow: true, ..two(TWO, LAPSE) });
}

#[test]
fn a_session_is_counted_from_when_the_keepalive_was_sent() {
    breaks(Mutation::CountedFromTheAnswer, Property::G1, calm(TWO));
}

#[test]
fn a_suspended_replica_admits_nothing() {
    breaks(Mutation::SuspensionIgnored, Property::G1, two(TWO, LAPSE));
}

#[test]
fn a_write_looks_at_the_fence_at_its_commit_point() {
    breaks(Mutation::NoSecondLook, Property::G1, calm(TWO));
}

#[test]
fn a_write_looks_at_the_lease_at_its_commit_point() {
    breaks(Mutation::NoLookAtCommit, Property::G1, two(TWO, FREEZE));
}

#[test]
fn others_are_awaited() {
    breaks(Mutation::OthersNotAwaited, Property::G2, calm(TWO));
}

#[test]
fn others_are_followed() {
    breaks(Mutation::FeedNotFollowed, Property::Progress, calm(TWO));
}

/// What the contract says of a replica that is frozen between check and send, where the store
/// cannot be asked: what it sends when it thaws may land.
#[test]
fn what_the_contract_does_not_promise() {
    for property in [Property::G1, Property::G2] {
        let model = Model { only: Some(property), ..frozen(Store::Timed) };
        let found = explore(&model).expect_err("this is only partly kept");
        let row =
            format!("| frozen between check and send | {property:?} | {} |", found.steps.len());
        eprintln!("{row}\n{found}");
        assert_told(&row);
    }
}

/// A rule that no counterexample asks for: it is a second line behind others.
#[test]
fn what_proves_not_to_matter() {
    for faults in [Faults { ends: 1, ..LOST }, Faults { lapses: 1, ..LOST }] {
        let mutation = Some(Mutation::SessionNotChecked);
        if let Err(found) = explore(&Model { mutation, ..two(TWO, faults) }) {
            panic!("{mutation:?} matters after all: {found}");
        }
    }
}
