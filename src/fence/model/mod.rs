//! The exhaustive model: every interleaving of a small world, against the real [`Register`].
//!
//! A world is one resource: the process that fences it (the register and a driver that
//! executes its effects), the ledger, a few clients with one request each, and the store,
//! in which a write may land at any moment from its commit point until its settle time is
//! over. Anything may happen at any moment, any number of times: the ledger fails or leaves
//! an outcome unknown, connections break, clients hang up, the process is killed and
//! started again while writes are on the wire.
//!
//! There is no clock. What [`Register::expire`] is told rests on the store's promise
//! (nothing lands later than `settle_timeout` after its last byte), so the step is possible
//! exactly when nothing of that kind can land any more, and not a moment earlier. Time ends
//! two waits, as in `gate`: for leftovers, and for writes of unknown outcome. Nobody
//! gives up by time on a write that is still on its connection: the gate closes that, and
//! the write settles as unknown. Here that is [`step::Step::Break`], which may come at any
//! moment and comes for certain while the fence quiesces.
//!
//! - [`world`]: the state, and what the clients want.
//! - [`step`]: what can happen next.
//! - [`driver`]: executes the register's effects, as the gate and the ledger do.
//! - [`safety`]: what must hold in every state; the properties of the contract.
//! - [`search`]: breadth first, so that a counterexample is a shortest one.
//! - [`tell`]: a counterexample in words.
//! - [`mutation`]: the rules of the contract, each taken away once.
//!
//! [`replicas`] is the same for several replicas: other worlds, the same search.
//!
//! `docs/model.md` is the page about it; the tests hold its numbers in step.
//!
//! The shape is that of explicit-state model checkers such as TLC and stateright.
//!
//! [`Register`]: super::Register
//! [`Register::expire`]: super::Register::expire

mod driver;
mod mutation;
mod replicas;
mod safety;
mod search;
mod step;
mod tell;
mod world;
mod worlds;

/// The page about the model tells the numbers as they are.
fn assert_told(row: &str) {
    let page = include_str!("../../../docs/model.md");
    let told = page.lines().any(|line| line.starts_with(row));
    assert!(told, "docs/model.md is out of step: no row in it begins with `{row}`");
}
