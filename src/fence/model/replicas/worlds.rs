//! The small worlds of replicas, each explored to its end.

use super::world::{Faults, Model, Store};
use crate::fence::model::assert_told;
use crate::fence::model::search::{Explored, explore};
use crate::fence::model::world::Request;

pub(super) const A1: Request = Request::write("A", 1);
pub(super) const B2: Request = Request::write("B", 2);
pub(super) const SEAL_B2: Request = Request::seal("B", 2);
pub(super) const SEAL_C3: Request = Request::seal("C", 3);

const NONE: Faults = Faults { ends: 0, freezes: 0, lapses: 0, leaves: 0, lost: 0 };
pub(super) const END: Faults = Faults { ends: 1, ..NONE };
pub(super) const FREEZE: Faults = Faults { freezes: 1, ..NONE };
pub(super) const LAPSE: Faults = Faults { lapses: 1, ..NONE };
pub(super) const LOST: Faults = Faults { lost: 1, ..NONE };

/// One write and the seal above it.
pub(super) const TWO: &[Request] = &[A1, SEAL_B2];
/// Two writes and the seal above them.
pub(super) const THREE: &[Request] = &[A1, A1, SEAL_B2];

/// Two replicas.
pub(super) fn two(requests: &[Request], faults: Faults) -> Model {
    Model::new(2, requests, faults)
}

/// Two replicas without faults.
pub(super) fn calm(requests: &[Request]) -> Model {
    two(requests, NONE)
}

/// Fences are forgotten, and others take over meanwhile.
pub(super) fn forgetful() -> Model {
    let places: &[usize] = &[0, 1, 0, 1];
    Model { evicts: true, places: Some(places), ..calm(&[A1, B2, B2, SEAL_C3]) }
}

/// A replica freezes between its last look at the fence and the store.
pub(super) fn frozen(store: Store) -> Model {
    Model { slow: true, store, ..two(TWO, FREEZE) }
}

/// The keeper of the session is ahead of the gate.
pub(super) fn hurried() -> Model {
    Model { late_keeper: true, ..two(TWO, FREEZE) }
}

/// A leader stays where it was when the session ends, its follower is elsewhere.
pub(super) fn lapsed() -> Model {
    Model { places: Some(&[0, 0, 1]), ..two(THREE, LAPSE) }
}

/// A client that waits goes away, and an answer of the ledger is lost.
pub(super) fn left() -> Model {
    let places: &[usize] = &[0, 0, 0, 1];
    let model = two(&[A1, A1, SEAL_B2, SEAL_B2], Faults { leaves: 1, ..LOST });
    Model { places: Some(places), ..model }
}

/// What the ledger tells is late.
pub(super) fn late(faults: Faults) -> Model {
    Model { late_rows: true, ..two(TWO, faults) }
}

fn check(name: &str, model: &Model) {
    match explore(model) {
        Ok(Explored { states, steps }) => {
            let row = format!("| {name} | {states} | {steps} |");
            eprintln!("{row}");
            assert_told(&row);
        }
        Err(counterexample) => panic!("{name}: {counterexample}"),
    }
}

#[test]
fn a_client_leaves() {
    check("a client leaves", &left());
}

#[test]
fn a_fence_is_forgotten() {
    check("fences are forgotten", &forgetful());
    check("forgotten and lapses", &Model { evicts: true, ..two(TWO, LAPSE) });
}

#[test]
fn a_frozen_replica_of_a_store_that_can_be_asked() {
    check("frozen, asked", &frozen(Store::Asked));
}

#[test]
fn a_frozen_replica_that_looks_at_its_lease() {
    check("frozen, timed", &two(TWO, FREEZE));
}

#[test]
fn a_lease_runs_out() {
    check("lapses", &lapsed());
}

#[test]
fn a_lease_runs_out_twice() {
    check("lapses twice", &two(TWO, Faults { lapses: 2, ..NONE }));
}

#[test]
fn a_process_ends() {
    check("ends", &two(THREE, END));
}

#[test]
fn a_process_ends_twice() {
    check("ends twice", &two(TWO, Faults { ends: 2, ..NONE }));
}

#[test]
fn an_answer_is_lost() {
    check("lost", &two(THREE, LOST));
}

#[test]
fn an_answer_is_lost_and_a_lease_runs_out() {
    check("lost and lapses", &two(TWO, Faults { lapses: 1, ..LOST }));
}

#[test]
fn an_answer_is_lost_and_a_process_ends() {
    check("lost and ends", &two(TWO, Faults { ends: 1, ..LOST }));
}

#[test]
fn no_faults() {
    check("no faults", &calm(&[A1, A1, B2, B2]));
}

#[test]
fn rows_are_told_late() {
    check("late", &late(NONE));
    check("late and lost", &late(LOST));
    check("late and ends", &late(END));
    check("late and lapses", &late(LAPSE));
}

#[test]
fn the_gate_hears_late_of_its_session() {
    check("the gate hears late", &hurried());
}

#[test]
fn three_replicas() {
    check("three replicas", &Model { replicas: 3, ..calm(THREE) });
    check("three of each", &Model { replicas: 3, ..calm(&[A1, B2, SEAL_C3]) });
    check("three and ends", &Model { replicas: 3, ..two(TWO, END) });
    check("three and lapses", &Model { replicas: 3, ..two(TWO, LAPSE) });
}

#[test]
fn three_tokens() {
    check("three tokens", &calm(&[A1, B2, SEAL_C3]));
    check("three tokens and lost", &two(&[A1, B2, SEAL_C3], LOST));
}

#[test]
fn two_answers_are_lost() {
    check("lost twice", &two(TWO, Faults { lost: 2, ..NONE }));
}
