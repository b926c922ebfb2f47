//! The small worlds, each explored to its end.

use super::assert_told;
use super::search::{Explored, explore};
use super::world::{Model, Request};

const A1: Request = Request::write("A", 1);
const B1: Request = Request::write("B", 1);
const B2: Request = Request::write("B", 2);
const C2: Request = Request::write("C", 2);
const C3: Request = Request::write("C", 3);
const SEAL_B2: Request = Request::seal("B", 2);
const SEAL_C3: Request = Request::seal("C", 3);

fn check(name: &str, model: &Model) {
    match explore(model) {
        Ok(Explored { states, steps }) => {
            eprintln!("{name}: {states} states, {steps} steps");
            assert_told(&format!("| {name} | {states} | {steps} |"));
        }
        Err(counterexample) => panic!("{name}: {counterexample}"),
    }
}

#[test]
fn a_full_queue() {
    let model = Model { queue_max: 1, ..Model::new(&[A1, A1, B2, SEAL_C3]) };
    check("a full queue", &model);
}

#[test]
fn a_token_that_is_implausible_until_the_raise_before_it_is_done() {
    let model = Model { max_jump: 1, ..Model::new(&[A1, B2, C3, SEAL_C3]) };
    check("implausible", &model);
}

#[test]
fn idle_fences_are_forgotten() {
    let model = Model { evicts: true, ..Model::new(&[A1, A1, B2, SEAL_C3]) };
    check("forgotten", &model);
}

#[test]
fn seals_and_writes_race() {
    check("seals and writes", &Model::new(&[A1, A1, SEAL_B2, B2]));
}

#[test]
fn some_may_not_raise() {
    check("some may not raise", &Model::new(&[A1, B2.without_raise(), B2, C3.without_raise()]));
}

#[test]
fn three_leaders() {
    check("three leaders", &Model::new(&[A1, A1, B2, C3]));
}

#[test]
fn three_leaders_with_five_requests() {
    check("five requests", &Model::new(&[A1, A1, B2, B2, SEAL_C3]));
}

#[test]
fn two_leaders() {
    check("two leaders", &Model::new(&[A1, A1, B2, B2]));
}

#[test]
fn two_with_one_token() {
    check("conflict", &Model::new(&[A1, B1, B2, C2]));
}

#[test]
fn two_who_share_a_token() {
    let (a1, b1) = (A1.shared(), B1.shared());
    check("shared", &Model::new(&[a1, b1, B2.shared(), C2.shared()]));
}
