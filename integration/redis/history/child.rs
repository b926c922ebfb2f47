//! A leader's process, from without.

use std::path::Path;
use std::process::Command;

use super::errand::{ERRAND, Errand, Fate, Line, Point};
use crate::rig::Process;
use crate::rig::net::Node;

pub struct Leader {
    process: Process,
    pub resource: u32,
    pub token: u64,
}

impl Leader {
    /// On a machine of its own, or not.
    pub fn start(errand: &Errand, node: Option<&Node>, dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "redis::history::one_leader", "--nocapture"]);
        command.env(ERRAND, serde_json::to_string(errand).unwrap());
        let mut command = node.map(|node| node.command(&command)).unwrap_or(command);
        let process = Process::start(&mut command, "leader", dir);
        Self { process, resource: errand.resource, token: errand.token }
    }

    pub fn name(&self) -> String {
        format!("the leader of r{} with token {}", self.resource, self.token)
    }

    /// What it has told so far.
    pub fn lines(&self) -> Vec<Line> {
        let text = self.process.output();
        // One that was being written when the process was killed has no end.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Where it stands still, or was killed.
    pub fn at(&self) -> Option<Point> {
        let at = self.lines().into_iter().find_map(|line| match line {
            Line::At { point } => Some(point),
            _ => None,
        });
        // It says so a moment before.
        at.filter(|_| "TZ".contains(self.state()))
    }

    /// How many of its writes it knows to be there.
    pub fn applied(&self) -> usize {
        let is_applied = |line: &Line| {
            matches!(line, Line::Told { fate: Fate::Applied, .. } | Line::Popped { .. })
        };
        self.lines().iter().filter(|line| is_applied(line)).count()
    }

    /// A letter, as the kernel has it.
    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('Z')
    }

    pub fn has_ended(&self) -> bool {
        self.state() == 'Z'
    }

    pub fn thaw(&self) {
        if !self.has_ended() {
            self.process.thaw();
        }
    }
}
