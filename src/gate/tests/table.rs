//! The bound on resources in memory.

use super::rig::{Process, bid_for, folder};
use crate::fence::Refusal;
use crate::gate::Settings;

#[tokio::test]
async fn idle_resources_make_room_and_busy_ones_do_not() {
    let folder = folder();
    let settings = Settings { active_resources_max: 4, ..Settings::default() };
    let Process { gate, .. } = Process::start_with(&folder, settings);
    for n in 0..20 {
        drop(gate.admit(&bid_for(&format!("r{n}"), "a", 7)).await.expect("there is room"));
        assert!(gate.active_resources() <= 4);
    }
    let refusal = gate.admit(&bid_for("r0", "b", 6)).await.expect_err("forgotten, not forgiven");
    assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal:?}");
    let mut held = Vec::new();
    for n in 0..4 {
        held.push(gate.admit(&bid_for(&format!("s{n}"), "a", 7)).await.expect("there is room"));
    }
    let refusal = gate.admit(&bid_for("t", "a", 7)).await.expect_err("all are in use");
    assert_eq!(refusal, Refusal::Overloaded { limit: "active_resources_max" });
    held.pop();
    gate.admit(&bid_for("t", "a", 7)).await.expect("there is room again");
}
