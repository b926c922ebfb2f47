//! Breadth-first search over all worlds, so that a counterexample is a shortest one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use super::safety::{Broken, Property};

/// What is explored: worlds, and the steps from one to the next.
pub(super) trait System: Clone + fmt::Debug {
    /// Everything at one moment.
    type World: Clone + Hash;
    /// One thing that happens.
    type Step: Copy + fmt::Debug;
    /// Some steps.
    type Steps: IntoIterator<Item = Self::Step>;

    /// Report only violations of this property.
    fn only(&self) -> Option<Property>;
    /// Where it begins.
    fn start(&self) -> Self::World;
    /// The steps possible at a moment.
    fn steps(&self, world: &Self::World) -> Self::Steps;
    /// Whether it happens sooner or later although no client does anything.
    fn is_certain(&self, world: &Self::World, step: Self::Step) -> bool;
    /// The world after a step, or the property that the step breaks.
    fn apply(&self, before: &Self::World, step: Self::Step) -> Result<Self::World, Broken>;
    /// What holds where nothing happens any more but by clients and faults.
    fn check_rest(&self, world: &Self::World) -> Result<(), Broken>;
    /// A step in words.
    fn tell_step(&self, world: &Self::World, step: Self::Step) -> String;
    /// A world in words.
    fn tell_world(&self, world: &Self::World) -> String;

    /// `Err` if that is a property that is looked at, and it does not hold.
    fn check(
        &self,
        property: Property,
        holds: bool,
        how: impl FnOnce() -> String,
    ) -> Result<(), Broken> {
        if holds || self.only().is_some_and(|only| only != property) {
            return Ok(());
        }
        Err(Broken { property, how: how() })
    }
}

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
pub(super) struct Counterexample<S: System> {
    pub broken: Broken,
    pub steps: Vec<S::Step>,
    model: S,
}

/// The states found so far. Known by a hash of 64 bits: with a million states the odds
/// that two are taken for one are below 1 in 10 million.
struct Graph<Step> {
    by_hash: HashMap<u64, u32, FixedState>,
    /// How each was first reached.
    reached: Vec<Option<(u32, Step)>>,
    /// Steps that happen by themselves, for the search for endless runs.
    certain: Vec<(u32, u32)>,
}

impl<Step: Copy> Graph<Step> {
    fn new() -> Self {
        Self { by_hash: HashMap::default(), reached: Vec::new(), certain: Vec::new() }
    }

    /// The number of a state, and whether it is new.
    fn number(&mut self, world: &impl Hash, from: Option<(u32, Step)>) -> (u32, bool) {
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
pub(super) fn explore<S: System>(model: &S) -> Result<Explored, Box<Counterexample<S>>> {
    let found = |broken, steps| Box::new(Counterexample { broken, steps, model: model.clone() });
    let mut graph = Graph::new();
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

impl<S: System> fmt::Display for Counterexample<S> {
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
            writeln!(f, "     {}", self.model.tell_world(&world))?;
        }
        Ok(())
    }
}
