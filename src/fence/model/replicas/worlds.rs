//! The small worlds of replicas, each explored to its end.

use super::world::{Faults, Model, Store};
use crate::fence::model::search::{Explored, explore};
use crate::fence::model::world::Request;

pub(super) const A1: Request = Request::write("A", 1);
pub(super) const B2: Request = Request::write("B", 2);
pub(super) const SEAL_B2: Request = Request::seal("B", 2);
pub(super) const SEAL_C3: Request = Request::seal("C", 3);

pub(super) const NONE: Faults = Faults { ends: 0, freezes: 0, lapses: 0, leaves: 0, lost: 0 };

fn check(name: &str, model: &Model) {
    let began = std::time::Instant::now();
    match explore(model) {
        Ok(Explored { states, steps }) => {
            eprintln!("{name}: {states} states, {steps} steps {:?}", began.elapsed());
        }
        Err(counterexample) => panic!("{name}: {counterexample}"),
    }
}

#[test]
fn mutants() {
    use super::mutation::Mutation::*;
    use crate::fence::model::safety::Property::{self, *};
    let calm = Model::new(2, &[A1, SEAL_B2], NONE);
    let calm3 = Model::new(2, &[A1, A1, SEAL_B2], NONE);
    let f = |faults| Model { faults, ..calm.clone() };
    let ends = f(Faults { ends: 1, ..NONE });
    let lapses = f(Faults { lapses: 1, ..NONE });
    let lapses3 = Model { requests: calm3.requests.clone(), ..lapses.clone() };
    let freezes = f(Faults { freezes: 1, ..NONE });
    let lost = f(Faults { lost: 1, ..NONE });
    let lost3 = Model { requests: calm3.requests.clone(), ..lost.clone() };
    let slow = |m: &Model| Model { slow: true, ..m.clone() };
    let late = |m: &Model| Model { late: true, ..m.clone() };
    let lostlapse = Model { faults: Faults { lost: 1, lapses: 1, ..NONE }, ..calm3.clone() };
    let lostend = Model { faults: Faults { lost: 1, ends: 1, ..NONE }, ..calm3.clone() };
    let all: Vec<(_, Property, Model)> = vec![
        (BuriedAlive, G2, calm.clone()),
        (ClosedWithUnknown, G2, ends.clone()),
        (CountedFromTheAnswer, G2, calm.clone()),
        (CountedFromTheAnswer, G1, calm.clone()),
        (DeadTakenForFormer, G2, ends.clone()),
        (EndedBeforeHangUp, G2, slow(&lapses)),
        (FeedNotFollowed, Progress, calm.clone()),
        (FormerGrantIsOwn, G2, lapses3.clone()),
        (
            GivenUpAtAnyMark,
            G2,
            Model { evicts: true, requests: vec![A1, B2, B2, SEAL_C3], ..calm.clone() },
        ),
        (GrantBeforeQuiesce, G2, calm.clone()),
        (GrantMovesWithMark, G2, Model::new(2, &[A1, SEAL_B2, SEAL_B2], NONE)),
        (GrantedAnyway, G1, calm3.clone()),
        (GrantsVanish, G2, ends.clone()),
        (LeaseBeforeSuspended, G2, late(&freezes)),
        (LeaseBeforeSuspended, G1, late(&freezes)),
        (NoLookAtAdmission, G1, lapses.clone()),
        (NoLookAtCommit, G1, lapses.clone()),
        (NoLookAtCommit, G2, freezes.clone()),
        (NoSecondLook, G1, calm.clone()),
        (NotMadeSure, G2, lost3.clone()),
        (NotSettled, G2, ends.clone()),
        (OthersNotAwaited, G2, calm.clone()),
        (ProlongedInSilence, Progress, lapses.clone()),
        (ReleaseBeforeQuiesce, G2, calm.clone()),
        (ReleaseNotRetried, Progress, lost.clone()),
        (SessionTakenUp, G2, ends.clone()),
        (SuspensionIgnored, G2, lapses.clone()),
        (SuspensionIgnored, G1, lapses.clone()),
        (ToldByAnyRow, G2, late(&calm)),
        (SessionNotChecked, G2, lapses3.clone()),
        (SessionNotChecked, G2, lostlapse.clone()),
        (SessionNotChecked, G2, lostend.clone()),
        (NotCompared, G2, lost3.clone()),
        (NotCompared, G2, lostend.clone()),
    ];
    for (mutation, property, model) in all {
        let model = Model { mutation: Some(mutation), only: Some(property), ..model };
        let began = std::time::Instant::now();
        match explore(&model) {
            Ok(Explored { states, .. }) => {
                eprintln!("## {mutation:?} {property:?}: NO HARM in {states} {:?}", began.elapsed())
            }
            Err(found) => eprintln!(
                "## {mutation:?} {property:?}: {} steps {:?}",
                found.steps.len(),
                began.elapsed()
            ),
        }
    }
}
