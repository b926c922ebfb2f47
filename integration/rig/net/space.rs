//! Network namespaces: one for each machine, and one for the bridge between them, so that the
//! host's own firewall has no say. Nothing of it is left behind, also not by a run that was killed.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Once};

use rustix::process::{Pid, Signal, getuid, kill_process};

use crate::rig::unique;

/// What all names begin with.
const PREFIX: &str = "palisade";
/// Nobody has this one: what is sent to it is lost.
const NOWHERE: &str = "02:00:00:00:00:00";
/// The second byte of the addresses: `10.SECOND.x.y`.
const SECOND: std::ops::RangeInclusive<u32> = 160..=239;

/// The namespaces of one test.
#[derive(Debug)]
pub struct Spaces {
    /// `palisade-USER-PID-NUMBER`.
    run: String,
    net: [u8; 3],
    /// By index; 1 is the test itself, which has no namespace.
    names: Vec<Option<Arc<str>>>,
    /// How the test itself gets there.
    link: String,
    /// The namespaces that there are, with that of the bridge.
    made: BTreeSet<String>,
}

/// Where the kernel shows a namespace.
pub fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

impl Spaces {
    /// Machines of those names, and the test itself, each of which reaches all others.
    ///
    /// # Errors
    /// Why it is not permitted.
    pub fn make(names: &[&str]) -> Result<Self, String> {
        if std::env::var_os("PALISADE_NO_NETNS").is_some() {
            return Err("PALISADE_NO_NETNS is set".to_owned());
        }
        if !getuid().is_root() {
            return Err("only root may make them".to_owned());
        }
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let (pid, number) = (std::process::id(), unique());
        let run = format!("{PREFIX}-{}-{pid}-{number}", getuid().as_raw());
        let mut spaces = Self {
            net: free_net(pid, number)?,
            names: vec![None, None],
            link: format!("pal{:x}-{:x}", pid & 0xff_ffff, number & 0xffff),
            made: BTreeSet::new(),
            run,
        };
        spaces.fill(names)?;
        Ok(spaces)
    }

    fn fill(&mut self, names: &[&str]) -> Result<(), String> {
        let hub = format!("{}-hub", self.run);
        let link = self.link.clone();
        self.add(&hub)?;
        let mut hub_lines = "link set lo up\nlink add br0 type bridge\n".to_owned();
        let mut lines = format!(
            "link add {link} address {} type veth peer name v1 netns {hub}\n\
             addr add {}/24 dev {link}\nlink set {link} up\n",
            self.mac(1),
            self.address(1)
        );
        for (index, name) in (2_u8..).zip(names) {
            let space = format!("{}-{name}", self.run);
            self.add(&space)?;
            lines += &format!(
                "link add eth0 netns {space} address {} type veth peer name v{index} netns {hub}\n",
                self.mac(index)
            );
            self.names.push(Some(space.into()));
        }
        for index in 1..=names.len() + 1 {
            hub_lines += &format!("link set v{index} master br0 up\n");
        }
        ip(&["-batch", "-"], &lines)?;
        ip(&["-n", &hub, "-batch", "-"], &(hub_lines + "link set br0 up\n"))?;
        for (index, _) in (2_u8..).zip(names) {
            let space = self.names[usize::from(index)].clone().unwrap_or_default();
            let lines = format!(
                "link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up\n",
                self.address(index)
            );
            ip(&["-n", &space, "-batch", "-"], &lines)?;
        }
        Ok(())
    }

    fn add(&mut self, name: &str) -> Result<(), String> {
        ip(&["netns", "add", name], "")?;
        self.made.insert(name.to_owned());
        Ok(())
    }

    /// The address of a machine.
    pub fn address(&self, index: u8) -> Ipv4Addr {
        let [first, second, third] = self.net;
        Ipv4Addr::new(first, second, third, index)
    }

    /// The namespace of a machine.
    pub fn name(&self, index: u8, _of: &str) -> Option<Arc<str>> {
        self.names[usize::from(index)].clone()
    }

    fn mac(&self, index: u8) -> String {
        let [_, second, third] = self.net;
        format!("02:70:{second:02x}:{third:02x}:00:{index:02x}")
    }

    /// Whether what the one sends to the other gets lost. Nobody is told: it is sent to a network
    /// card that nobody has.
    pub fn set_lost(&self, from: u8, to: u8, is_lost: bool) {
        let mac = if is_lost { NOWHERE.to_owned() } else { self.mac(to) };
        let to = self.address(to).to_string();
        let arguments = ["neigh", "replace", &to, "lladdr", &mac, "nud", "permanent", "dev"];
        let done = match &self.names[usize::from(from)] {
            Some(space) => ip(&[&["-n", space][..], &arguments, &["eth0"]].concat(), ""),
            None => ip(&[&arguments[..], &[self.link.as_str()]].concat(), ""),
        };
        done.unwrap();
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for name in &self.made {
            remove(name);
        }
    }
}

/// Removes what runs of this user have left that were killed.
fn sweep() {
    let prefix = format!("{PREFIX}-{}-", getuid().as_raw());
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(&prefix) else { continue };
        let pid = rest.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(&name);
        }
    }
}

/// Removes a namespace with whatever still runs in it.
fn remove(name: &str) {
    let pids = ip(&["netns", "pids", name], "").unwrap_or_default();
    for pid in pids.lines().filter_map(|line| line.trim().parse::<i32>().ok()) {
        // The relays of this very test run in its namespaces, as threads.
        if let Some(pid) = Pid::from_raw(pid).filter(|pid| *pid != rustix::process::getpid()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    if let Err(why) = ip(&["netns", "del", name], "") {
        eprintln!("{name} is left: {why}");
    }
}

/// The first three bytes of addresses that nobody on this machine has.
fn free_net(pid: u32, number: u32) -> Result<[u8; 3], String> {
    let taken = ip(&["-4", "-o", "addr"], "")? + &ip(&["-4", "route"], "")?;
    let start = pid.wrapping_mul(97).wrapping_add(number.wrapping_mul(7));
    let spread = SECOND.end() - SECOND.start() + 1;
    (0..1_000)
        .map(|step| {
            let at = start.wrapping_add(step * 31);
            let second = SECOND.start() + at % spread;
            [10, second as u8, (at / spread % 256) as u8]
        })
        .find(|[a, b, c]| !taken.contains(&format!(" {a}.{b}.{c}.")))
        .ok_or_else(|| "no addresses are free".to_owned())
}

fn ip(arguments: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new("ip");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("ip: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| format!("ip: {error}"))?;
    }
    let done = child.wait_with_output().map_err(|error| format!("ip: {error}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(format!("ip {}: {said}", arguments.join(" ")));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
