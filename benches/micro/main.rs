//! Micro-benchmarks: `cargo bench --bench micro -- [NAME]`.

mod admission;
mod etcd;
mod fixture;
mod ledger;
mod redis;
mod replicas;

fn main() {
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    if wanted("admission") {
        admission::run();
    }
    if wanted("ledger") {
        ledger::run();
    }
    if wanted("redis") {
        redis::run();
    }
    if wanted("replicas") {
        replicas::run();
    }
}
