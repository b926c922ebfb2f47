//! What processes have used, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// The processes and all their descendants.
pub fn family(pids: &[u32]) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return pids.to_vec() };
    let parents: Vec<(u32, u32)> = entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses may have spaces in it.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut family = pids.to_vec();
    let mut at = 0;
    while at < family.len() {
        let parent = family[at];
        let children = parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid);
        let new: Vec<u32> = children.filter(|pid| !family.contains(pid)).collect();
        family.extend(new);
        at += 1;
    }
    family
}

/// User and system time of all their threads. From `schedstat`, which counts nanoseconds;
/// `stat` counts the same in steps of ten milliseconds.
pub fn cpu(pids: &[u32]) -> Duration {
    let of = |pid: &u32| -> Option<u64> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let times = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Some(times.sum())
    };
    Duration::from_nanos(pids.iter().filter_map(of).sum())
}

/// Resident memory.
pub fn resident_bytes(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum::<u64>() * 1024
}
