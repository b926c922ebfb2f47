//! Breadth-first search over all worlds, so that a counterexample is a shortest one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::safety::{Broken, Property};
use super::step::{Reply, Step};
use super::world::{Model, Pending, World};
use crate::fence::{Intent, Linger};

/// Past this many states a world is not small any more.
const STATES_MAX: usize = 4_000_000;

/// How large a world without a counterexample is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explored {
    pub states: usize,
    pub steps: usize,
}

/// A shortest way to break a property.
#[derive(Debug)]
pub(super) struct Counterexample {
    pub broken: Broken,
    pub steps: Vec<Step>,
    model: Model,
}

/// The states found so far. Known by a hash of 64 bits: with a million states the odds
/// that two are taken for one are below 1 in 10 million.
#[derive(Default)]
struct Graph {
    by_hash: HashMap<u64, u32, FixedState>,
    /// How each was first reached.
    reached: Vec<Option<(u32, Step)>>,
    /// Steps that happen by themselves, for the search for endless runs.
    certain: Vec<(u32, u32)>,
}

impl Graph {
    /// The number of a state, and whether it is new.
    fn number(&mut self, world: &World, from: Option<(u32, Step)>) -> (u32, bool) {
        let next = self.reached.len() as u32;
        let number = *self.by_hash.entry(FixedState::default().hash_one(world)).or_insert(next);
        if number == next {
            self.reached.push(from);
        }
        (number, number == next)
    }

    fn path(&self, to: u32, last: Option<Step>) -> Vec<Step> {
        let mut steps = Vec::from_iter(last);
        let mut at = to;
        while let Some((from, step)) = self.reached[at as usize] {
            steps.push(step);
            at = from;
        }
        steps.reverse();
        steps
    }

    /// A state on a cycle of certain steps: takes away what nothing leads to, until
    /// nothing changes (Kahn's topological sort).
    fn endless(&self) -> Option<u32> {
        let states = self.reached.len();
        let mut edges: Vec<Vec<u32>> = vec![Vec::new(); states];
        let mut entering = vec![0_u32; states];
        for &(from, to) in &self.certain {
            edges[from as usize].push(to);
            entering[to as usize] += 1;
        }
        let mut free: Vec<u32> =
            (0..states as u32).filter(|state| entering[*state as usize] == 0).collect();
        while let Some(state) = free.pop() {
            for to in &edges[state as usize] {
                entering[*to as usize] -= 1;
                if entering[*to as usize] == 0 {
                    free.push(*to);
                }
            }
        }
        entering.iter().position(|left| *left > 0).map(|state| state as u32)
    }
}

/// Explores every world that the model can reach.
pub(super) fn explore(model: &Model) -> Result<Explored, Box<Counterexample>> {
    let found = |broken, steps| Box::new(Counterexample { broken, steps, model: model.clone() });
    let mut graph = Graph::default();
    let start = model.start();
    graph.number(&start, None);
    let mut frontier = VecDeque::from([(0_u32, start)]);
    let mut steps = 0;
    while let Some((number, world)) = frontier.pop_front() {
        let mut at_rest = true;
        for step in model.steps(&world) {
            steps += 1;
            let after = match model.apply(&world, step) {
                Ok(after) => after,
                Err(broken) => return Err(found(broken, graph.path(number, Some(step)))),
            };
            let (next, is_new) = graph.number(&after, Some((number, step)));
            if model.is_certain(&world, step) && next != number {
                at_rest = false;
                graph.certain.push((number, next));
            }
            if is_new {
                frontier.push_back((next, after));
            }
        }
        if at_rest && let Err(broken) = model.check_rest(&world) {
            return Err(found(broken, graph.path(number, None)));
        }
        assert!(graph.reached.len() < STATES_MAX, "this world is too large: {model:?}");
    }
    if let Some(state) = graph.endless() {
        let broken = model.check(Property::Progress, false, || "it goes on for ever".into());
        if let Err(broken) = broken {
            return Err(found(broken, graph.path(state, None)));
        }
    }
    Ok(Explored { states: graph.reached.len(), steps })
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken { property, how } = &self.broken;
        writeln!(f, "{property:?} is broken: {how}")?;
        let mut world = self.model.start();
        for (at, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {}", at + 1, self.model.tell_step(&world, *step))?;
            match self.model.apply(&world, *step) {
                Ok(after) => world = after,
                Err(_) => break,
            }
            let record = &world.ledger.record;
            let (mark, grant) = (record.mark.token, record.grant);
            write!(
                f,
                "     durable: mark {mark} grant {grant}; through {}; ",
                world.through.token
            )?;
            match &world.fence {
                None => writeln!(f, "no process")?,
                Some(fence) => {
                    let (streaming, sent, unknown) = fence.in_flight();
                    let mark = fence.mark().map(|mark| mark.token.to_string());
                    let mark = mark.as_deref().unwrap_or("?");
                    let busy = if fence.is_busy() { ", busy" } else { "" };
                    writeln!(
                        f,
                        "fence: mark {mark}, {streaming} streaming, {sent} sent, \
                         {unknown} unknown, {} waiting{busy}",
                        world.waiting.len()
                    )?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load => f.write_str("load"),
            Self::Raise { to, quiesced: false } => write!(f, "raise to {}", to.token),
            Self::Raise { to, quiesced: true } => write!(f, "raise to {} with grant", to.token),
            Self::Grant { at } => write!(f, "grant at {at}"),
        }
    }
}

impl Model {
    fn tell_step(&self, world: &World, step: Step) -> String {
        let name = |which: usize| {
            let request = &self.requests[which];
            let word = if request.intent == Intent::Seal { "seal" } else { "write" };
            format!("{word} {which} ({}, token {})", request.holder, request.token)
        };
        let pending = world.ledger.pending.as_ref().map(Pending::to_string).unwrap_or_default();
        match step {
            Step::Answer(which) => format!("the store answers {}", name(which)),
            Step::Ask(which) => format!("{} arrives", name(which)),
            Step::Break(which) => format!("the connection of {} breaks", name(which)),
            Step::Close => "the process ends cleanly".into(),
            Step::Commit(which) => format!("{} reaches its commit point", name(which)),
            Step::Crash { done: false } => "the process is killed".into(),
            Step::Crash { done: true } => {
                format!("the process is killed, but the ledger did this: {pending}")
            }
            Step::Evict => "the idle fence is forgotten".into(),
            Step::Expire(Linger::Leftovers) => "leftovers cannot land any more".into(),
            Step::Expire(Linger::Unknown) => "unknown writes cannot land any more".into(),
            Step::HangUp(which) => format!("the client of {} hangs up", name(which)),
            Step::Land(which) => format!("{} lands in the store", name(which)),
            Step::Lapse(which) => format!("the time of {} is over", name(which)),
            Step::Notice(which) => format!("{} is told that it is lost", name(which)),
            Step::Reply(Reply::Done) => format!("the ledger answers: {pending}, done"),
            Step::Reply(Reply::Failed) => format!("the ledger answers: {pending}, failed"),
            Step::Reply(Reply::LostDone) => {
                format!("the ledger does this, its answer is lost: {pending}")
            }
            Step::Reply(Reply::LostNotDone) => {
                format!("the ledger is not reached, nobody knows: {pending}")
            }
            Step::Restart => "a new process starts".into(),
            Step::Stray => "the dead process's raise is done after all".into(),
        }
    }
}
