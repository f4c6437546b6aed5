//! The blocks of a problem, densest first: closed sets of applications with the most weight by
//! feature. Orders nothing inside a block.

use super::flow::Network;
use super::{Bits, Job};

/// The applications of each block, the blocks in the order in which they are to be done. Of
/// equally dense closed sets the smallest are taken one after the other.
pub(super) fn blocks(jobs: &[Job]) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..jobs.len()).collect();
    let mut done = Bits::default();
    let mut blocks = Vec::new();
    while !left.is_empty() {
        let problem = Problem::new(jobs, &left, &done);
        let found: Vec<Vec<usize>> = match problem.free() {
            free if !free.is_empty() => vec![free],
            _ => {
                let densest = problem.densest();
                let part: Vec<usize> = densest.iter().map(|at| left[*at]).collect();
                let inner = Problem::new(jobs, &part, &done);
                let indices = |at: Vec<usize>| at.into_iter().map(|at| densest[at]).collect();
                inner.parts().into_iter().map(indices).collect()
            }
        };
        for block in found {
            let members: Vec<usize> = block.iter().map(|at| left[*at]).collect();
            for index in &members {
                done.extend(&jobs[*index].wants);
            }
            blocks.push(members);
        }
        let taken: Vec<usize> = blocks.iter().flatten().copied().collect();
        left.retain(|index| !taken.contains(index));
    }
    blocks
}

/// What is left, renumbered.
struct Problem {
    weights: Vec<u64>,
    wants: Vec<Vec<usize>>,
    features: usize,
}

impl Problem {
    fn new(jobs: &[Job], members: &[usize], done: &Bits) -> Problem {
        let mut numbers: Vec<usize> = Vec::new();
        let mut number = |feature: usize| {
            if numbers.len() <= feature {
                numbers.resize(feature + 1, usize::MAX);
            }
            feature
        };
        let mut features = 0;
        let mut wants = Vec::with_capacity(members.len());
        for index in members {
            let mut list = Vec::new();
            for feature in jobs[*index].wants.iter().filter(|bit| !done.contains(*bit)) {
                let at = number(feature);
                list.push(at);
            }
            wants.push(list);
        }
        for feature in wants.iter_mut().flatten() {
            if numbers[*feature] == usize::MAX {
                numbers[*feature] = features;
                features += 1;
            }
            *feature = numbers[*feature];
        }
        Problem {
            weights: members.iter().map(|index| jobs[*index].weight).collect(),
            wants,
            features,
        }
    }

    /// The applications that want nothing any more.
    fn free(&self) -> Vec<usize> {
        (0..self.wants.len())
            .filter(|at| self.wants[*at].is_empty())
            .collect()
    }

    /// Weight and number of features of a set of applications.
    fn measure(&self, set: &[usize]) -> (u64, u64) {
        let wanted: Bits = set
            .iter()
            .flat_map(|at| &self.wants[*at])
            .copied()
            .collect();
        let weight = set.iter().map(|at| self.weights[*at]).sum();
        (weight, wanted.iter().count() as u64)
    }

    /// At this density, flow from the weights into the features.
    fn network(&self, (weight, features): (u64, u64)) -> Network {
        let supply = self.weights.iter().map(|own| own * features).collect();
        let mut network = Network::new(supply, vec![weight; self.features], &self.wants);
        network.fill();
        network
    }

    /// A closed set of the greatest density: each cut finds a denser one, until none is
    /// (Dinkelbach).
    fn densest(&self) -> Vec<usize> {
        let mut set: Vec<usize> = (0..self.wants.len()).collect();
        loop {
            let denser = self.network(self.measure(&set)).left_over();
            if denser.is_empty() {
                return set;
            }
            set = denser;
        }
    }

    /// Takes a set apart that has no denser closed part into parts of its own density, in an
    /// order in which each is closed with those before it. At this density everything flows,
    /// and a set that is closed and from whose features no flow comes from outside is as dense
    /// as the whole: these are the strongly connected components.
    fn parts(&self) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (0..self.wants.len()).collect();
        let network = self.network(self.measure(&all));
        let next: Vec<Vec<usize>> = self
            .wants
            .iter()
            .map(|features| {
                let senders = features
                    .iter()
                    .flat_map(|feature| network.senders(*feature));
                let mut senders: Vec<usize> = senders.collect();
                senders.sort_unstable();
                senders.dedup();
                senders
            })
            .collect();
        components(&next)
    }
}

/// Strongly connected components, those that lead nowhere first (Kosaraju, without recursion).
fn components(next: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut before = vec![Vec::new(); next.len()];
    for (from, others) in next.iter().enumerate() {
        for to in others {
            before[*to].push(from);
        }
    }
    // On the reversed graph, whatever is finished last leads to nothing but its own.
    let mut seen = vec![false; next.len()];
    let mut finished = Vec::with_capacity(next.len());
    for start in 0..next.len() {
        visit(start, &before, &mut seen, &mut finished);
    }
    let mut seen = vec![false; next.len()];
    let mut components = Vec::new();
    for start in finished.into_iter().rev() {
        let mut component = Vec::new();
        visit(start, next, &mut seen, &mut component);
        if !component.is_empty() {
            component.sort_unstable();
            components.push(component);
        }
    }
    components
}

/// Depth-first; appends nodes as they are finished.
fn visit(start: usize, next: &[Vec<usize>], seen: &mut [bool], finished: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[start], true) {
        return;
    }
    let mut stack = vec![(start, 0)];
    while let Some((node, at)) = stack.last_mut() {
        match next[*node].get(*at) {
            Some(other) => {
                *at += 1;
                if !std::mem::replace(&mut seen[*other], true) {
                    stack.push((*other, 0));
                }
            }
            None => {
                finished.push(*node);
                stack.pop();
            }
        }
    }
}
