//! A network for one test: machines with an address each, and what fails between them.
//!
//! | file | has |
//! |---|---|
//! | `space` | network namespaces on a bridge of their own, made and removed by the test |
//! | `relay` | a way between two machines that can be slow, lose, and overtake itself |
//!
//! Where namespaces are not permitted, each machine has a loopback address of its own, and only
//! what goes through a relay can fail. The test says so, and runs all the same.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

mod relay;
mod space;
#[cfg(test)]
mod tests;

use relay::Relay;
pub use relay::Weather;
use space::Spaces;

/// A machine: a name, and an address of its own.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: Arc<str>,
    pub ip: IpAddr,
    /// Its namespace, where it has one.
    space: Option<Arc<str>>,
    index: u8,
}

/// The machines of one test. Everything is removed when this is dropped.
#[derive(Debug)]
pub struct Net {
    nodes: Vec<Node>,
    relays: Mutex<Vec<Way>>,
    seed: u64,
    // Last: relays live in the namespaces.
    spaces: Option<Spaces>,
}

/// A relay, and between whom it is.
#[derive(Debug)]
struct Way {
    from: Arc<str>,
    to: Arc<str>,
    relay: Relay,
}

impl Net {
    /// Machines of those names. The test itself is one more, `test`, and not in a namespace.
    pub fn new(names: &[&str], seed: u64) -> Self {
        let spaces = match Spaces::make(names) {
            Ok(spaces) => Some(spaces),
            Err(why) => {
                eprintln!(
                    "no network namespaces, so machines are loopback addresses, and between them \
                     only relays fail: {why}"
                );
                None
            }
        };
        let node = |(at, name): (usize, &&str)| {
            let index = u8::try_from(at + 1).unwrap();
            let (ip, space) = match &spaces {
                Some(spaces) => (spaces.address(index), spaces.name(index, name)),
                None => (Ipv4Addr::new(127, 0, 0, 10 + index), None),
            };
            Node { name: (*name).into(), ip: ip.into(), space, index }
        };
        let mut all = vec!["test"];
        all.extend(names);
        let nodes = all.iter().enumerate().map(node).collect();
        Self { nodes, relays: Mutex::default(), seed, spaces }
    }

    /// Whether every machine has a namespace, so that anything between them can fail.
    pub fn is_namespaced(&self) -> bool {
        self.spaces.is_some()
    }

    /// The machine of that name.
    pub fn node(&self, name: &str) -> Node {
        let found = self.nodes.iter().find(|node| &*node.name == name);
        found.unwrap_or_else(|| panic!("there is no machine {name}")).clone()
    }

    /// A relay on the one machine through which it reaches the other; where it listens.
    pub fn relay(&self, from: &Node, to: &Node, address: SocketAddr) -> SocketAddr {
        let mut relays = self.relays.lock().unwrap();
        let relay = Relay::start(from, address, self.seed.wrapping_add(relays.len() as u64));
        let listens = relay.address;
        let (from, to) = (Arc::clone(&from.name), Arc::clone(&to.name));
        relays.push(Way { from, to, relay });
        listens
    }

    /// From now on nothing that the one sends to the other arrives; false where nothing between
    /// these two can be lost.
    pub fn lose(&self, from: &str, to: &str) -> bool {
        self.set_lost(from, to, true)
    }

    /// What the one sends to the other arrives again.
    pub fn find(&self, from: &str, to: &str) {
        self.set_lost(from, to, false);
    }

    /// Neither reaches the other; false where nothing between these two can be lost.
    pub fn part(&self, one: &str, other: &str) -> bool {
        let there = self.lose(one, other);
        self.lose(other, one) && there
    }

    /// Both reach each other again.
    pub fn join(&self, one: &str, other: &str) {
        self.find(one, other);
        self.find(other, one);
    }

    /// Nobody in the one group reaches anybody in the other.
    pub fn split(&self, one: &[&str], other: &[&str]) {
        for a in one {
            for b in other {
                self.part(a, b);
            }
        }
    }

    /// All is well again, and quick.
    pub fn heal(&self) {
        for from in &self.nodes {
            for to in self.nodes.iter().filter(|to| to.index != from.index) {
                if let Some(spaces) = &self.spaces {
                    spaces.set_lost(from.index, to.index, false);
                }
            }
        }
        for Way { relay, .. } in &*self.relays.lock().unwrap() {
            relay.forth(|weather| *weather = Weather::default());
            relay.back(|weather| *weather = Weather::default());
        }
    }

    /// How what the one sends to the other gets there, where there is a relay.
    pub fn weather(&self, from: &str, to: &str, weather: Weather) {
        for way in &*self.relays.lock().unwrap() {
            if &*way.from == from && &*way.to == to {
                way.relay.forth(|now| *now = weather);
            } else if &*way.from == to && &*way.to == from {
                way.relay.back(|now| *now = weather);
            }
        }
    }

    /// To the one every connection through a relay to the other seems to have ended. What is on
    /// its way there goes on.
    pub fn reset(&self, from: &str, to: &str) {
        for way in &*self.relays.lock().unwrap() {
            if &*way.from == from && &*way.to == to {
                way.relay.reset();
            }
        }
    }

    fn set_lost(&self, from: &str, to: &str, is_lost: bool) -> bool {
        let (from_index, to_index) = (self.node(from).index, self.node(to).index);
        if let Some(spaces) = &self.spaces {
            spaces.set_lost(from_index, to_index, is_lost);
            return true;
        }
        let mut is_there = false;
        for way in &*self.relays.lock().unwrap() {
            if &*way.from == from && &*way.to == to {
                way.relay.forth(|weather| weather.is_lost = is_lost);
                is_there = true;
            } else if &*way.from == to && &*way.to == from {
                way.relay.back(|weather| weather.is_lost = is_lost);
                is_there = true;
            }
        }
        is_there
    }
}

impl Node {
    /// The same command on this machine. Its pid is that of the program itself.
    pub fn command(&self, command: &Command) -> Command {
        let mut inside = match &self.space {
            Some(space) => {
                let mut inside = Command::new("nsenter");
                inside.arg(format!("--net={}", space::path(space).display()));
                inside.arg("--").arg(command.get_program());
                inside
            }
            None => Command::new(command.get_program()),
        };
        inside.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir);
        }
        inside
    }

    /// The calling thread is on this machine from now on, with every socket that it makes.
    pub fn enter(&self) {
        if let Some(space) = &self.space {
            let file = File::open(space::path(space)).unwrap();
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(file.as_fd(), network).unwrap();
        }
    }

    /// An address of this machine that nobody listens at.
    pub fn free_address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, super::free_address().port())
    }

    /// Where programs that only this machine reaches listen.
    pub fn inner_ip(&self) -> IpAddr {
        if self.space.is_some() { Ipv4Addr::LOCALHOST.into() } else { self.ip }
    }
}
