//! The order inside a block that has no denser part. States are sets of implemented features;
//! for each number of features the most promising states are kept. Where none had to be thrown
//! away the order is the best there is; else the states that were tell how good a better one
//! could be.

use std::collections::HashMap;

use super::{Bits, Job};

/// Features of a block, renumbered. A block with more than this many is not searched.
type Mask = u128;

/// An order of a block, and a bound of its area (counted from the block's beginning).
pub(super) struct Found {
    pub(super) order: Vec<usize>,
    pub(super) bound: u64,
}

struct Member {
    index: usize,
    weight: u64,
    mask: Mask,
}

struct State {
    mask: Mask,
    /// Area of what is supported, and of what is not yet, up to here.
    cost: u64,
    /// Weight of what is supported.
    weight: u64,
    /// Area that no continuation goes below.
    promise: u64,
    /// The state before this one, and the member that was chosen there.
    from: Option<(usize, usize)>,
}

/// Orders the members of a block.
pub(super) fn search(jobs: &[Job], members: &[usize], done: &Bits, effort: usize) -> Found {
    let mut numbers: HashMap<usize, u32> = HashMap::new();
    for index in members {
        for feature in jobs[*index].wants.iter().filter(|bit| !done.contains(*bit)) {
            let next = numbers.len() as u32;
            numbers.entry(feature).or_insert(next);
        }
    }
    let features = numbers.len();
    if features > Mask::BITS as usize {
        let weight: u64 = members.iter().map(|index| jobs[*index].weight).sum();
        return Found {
            order: shortest_first(jobs, members, done),
            bound: envelope(weight, features as u64)
                .iter()
                .map(|used| weight - used)
                .sum(),
        };
    }
    let members: Vec<Member> = members
        .iter()
        .map(|index| Member {
            index: *index,
            weight: jobs[*index].weight,
            mask: jobs[*index]
                .wants
                .iter()
                .filter_map(|feature| numbers.get(&feature))
                .fold(0, |mask, number| mask | 1 << number),
        })
        .collect();
    Search::new(members, features).run(effort)
}

/// How much weight can be supported by each number of features, at most: the block has no
/// denser part.
fn envelope(weight: u64, features: u64) -> Vec<u64> {
    (0..features)
        .map(|count| weight * count / features)
        .collect()
}

/// Always the member that wants the fewest more.
fn shortest_first(jobs: &[Job], members: &[usize], done: &Bits) -> Vec<usize> {
    let mut done = done.clone();
    let mut left = members.to_vec();
    let mut order = Vec::with_capacity(left.len());
    while let Some(at) = (0..left.len()).min_by_key(|at| jobs[left[*at]].wants.count_without(&done))
    {
        let index = left.swap_remove(at);
        done.extend(&jobs[index].wants);
        order.push(index);
    }
    order
}

struct Search {
    members: Vec<Member>,
    features: usize,
    weight: u64,
    envelope: Vec<u64>,
    states: Vec<State>,
}

impl Search {
    fn new(members: Vec<Member>, features: usize) -> Search {
        let weight = members.iter().map(|member| member.weight).sum();
        Search {
            envelope: envelope(weight, features as u64),
            members,
            features,
            weight,
            states: Vec::new(),
        }
    }

    fn run(mut self, effort: usize) -> Found {
        let mut layers: Vec<HashMap<Mask, usize>> = vec![HashMap::new(); self.features + 1];
        let weight = self.supported(0);
        let promise = self.rest(0, weight);
        self.states.push(State {
            mask: 0,
            cost: 0,
            weight,
            promise,
            from: None,
        });
        layers[0].insert(0, 0);
        // The promise of the best state that was thrown away.
        let mut lost = u64::MAX;
        for count in 0..self.features {
            let mut layer: Vec<usize> = std::mem::take(&mut layers[count]).into_values().collect();
            // By mask too, so that the same problem has the same solution.
            layer.sort_unstable_by_key(|at| (self.states[*at].promise, self.states[*at].mask));
            if let Some(dropped) = layer.get(effort) {
                lost = lost.min(self.states[*dropped].promise);
                layer.truncate(effort);
            }
            for at in layer {
                self.expand(at, &mut layers);
            }
        }
        let best = layers[self.features]
            .values()
            .copied()
            .min_by_key(|at| self.states[*at].cost);
        let Some(best) = best else {
            // Without members there is nothing to order.
            return Found {
                order: Vec::new(),
                bound: 0,
            };
        };
        let cost = self.states[best].cost;
        Found {
            order: self.order(best),
            bound: cost.min(lost),
        }
    }

    /// The states that follow one: by each member that wants the fewest more, that is, none of
    /// whose wants would complete another member before.
    fn expand(&mut self, at: usize, layers: &mut [HashMap<Mask, usize>]) {
        let (mask, cost, weight) = {
            let state = &self.states[at];
            (state.mask, state.cost, state.weight)
        };
        let lacks: Vec<Mask> = self
            .members
            .iter()
            .map(|member| member.mask & !mask)
            .collect();
        for (chosen, lack) in lacks.iter().enumerate() {
            let is_better = |(other, theirs): (usize, &Mask)| {
                let within = *theirs != 0 && theirs & !lack == 0;
                // Of equals the first.
                within && (theirs != lack || other < chosen)
            };
            if *lack == 0 || lacks.iter().enumerate().any(is_better) {
                continue;
            }
            let next = mask | lack;
            let cost = cost + u64::from(lack.count_ones()) * (self.weight - weight);
            let count = next.count_ones() as usize;
            if let Some(known) = layers[count].get(&next) {
                let known = &mut self.states[*known];
                if cost < known.cost {
                    known.promise -= known.cost - cost;
                    known.cost = cost;
                    known.from = Some((at, chosen));
                }
                continue;
            }
            let weight = self.supported(next);
            let promise = cost + self.rest(next, weight);
            layers[count].insert(next, self.states.len());
            self.states.push(State {
                mask: next,
                cost,
                weight,
                promise,
                from: Some((at, chosen)),
            });
        }
    }

    fn supported(&self, mask: Mask) -> u64 {
        let complete = self
            .members
            .iter()
            .filter(|member| member.mask & !mask == 0);
        complete.map(|member| member.weight).sum()
    }

    /// What the rest costs at least: with each further feature no more weight can be supported
    /// than the block's density allows, nor than the members that lack so few.
    fn rest(&self, mask: Mask, weight: u64) -> u64 {
        let count = mask.count_ones() as usize;
        let mut gains = [0_u64; Mask::BITS as usize + 1];
        for member in &self.members {
            let lack = (member.mask & !mask).count_ones() as usize;
            if lack > 0 {
                gains[lack] += member.weight;
            }
        }
        let mut reachable = weight;
        let mut rest = 0;
        for (further, limit) in self.envelope[count..].iter().enumerate() {
            reachable += gains[further];
            let at_most = match further {
                0 => weight,
                _ => reachable.min(*limit),
            };
            rest += self.weight - at_most;
        }
        rest
    }

    /// The members in the order that leads to a state; those that are complete on the way
    /// come as soon as they are.
    fn order(&self, last: usize) -> Vec<usize> {
        let mut path = vec![self.states[last].mask];
        let mut at = last;
        while let Some((before, _)) = self.states[at].from {
            path.push(self.states[before].mask);
            at = before;
        }
        let mut order = Vec::with_capacity(self.members.len());
        let mut mask_before = None::<Mask>;
        for mask in path.into_iter().rev() {
            for member in &self.members {
                let complete = member.mask & !mask == 0;
                let was = mask_before.is_some_and(|before| member.mask & !before == 0);
                if complete && !was {
                    order.push(member.index);
                }
            }
            mask_before = Some(mask);
        }
        order
    }
}
