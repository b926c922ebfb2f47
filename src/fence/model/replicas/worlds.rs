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
fn sizes() {
    let c = |name: &str, n, r: &[Request], f| check(name, &Model::new(n, r, f));
    c("A1 A1 B2 B2", 2, &[A1, A1, B2, B2], NONE);
    c("A1 B2 S3", 2, &[A1, B2, SEAL_C3], NONE);
    c("3: A1 A1 S2", 3, &[A1, A1, SEAL_B2], NONE);
    c("3: A1 B2 S3", 3, &[A1, B2, SEAL_C3], NONE);
    c("lost1", 2, &[A1, A1, SEAL_B2], Faults { lost: 1, ..NONE });
    c("ends1", 2, &[A1, A1, SEAL_B2], Faults { ends: 1, ..NONE });
    c("lapses1", 2, &[A1, A1, SEAL_B2], Faults { lapses: 1, ..NONE });
    c("freezes1", 2, &[A1, A1, SEAL_B2], Faults { freezes: 1, ..NONE });
}
