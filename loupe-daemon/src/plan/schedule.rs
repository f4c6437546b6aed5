//! In which order to implement features so that applications run soonest: the problem without
//! its meaning. There are features, each as much work as any other, and applications, each of
//! which wants a set of them. An order of the applications is wanted that minimises the sum,
//! over them, of weight times the number of features implemented when its set is complete (the
//! area).
//!
//! This is scheduling under precedence constraints with weighted completion times, and
//! NP-hard. It falls apart, though: an optimal order goes block by block, where each block is
//! the closed set of the greatest density (weight by features) of what is left (Sidney, 1975).
//! [`density`] finds the blocks by minimum cuts, exactly; they are small, and [`block`] searches
//! each of them, to the end where it can. Where it cannot it still knows how far from the
//! optimum it may be, so there is a lower bound in any case.

mod block;
mod density;
mod flow;

#[cfg(test)]
mod tests;

/// A set of features, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bits(Vec<u64>);

impl Bits {
    pub fn insert(&mut self, bit: usize) {
        let word = bit / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (bit % 64);
    }

    pub fn contains(&self, bit: usize) -> bool {
        let word = self.0.get(bit / 64).copied().unwrap_or(0);
        word >> (bit % 64) & 1 == 1
    }

    pub fn extend(&mut self, other: &Bits) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// How many bits are not in `other`.
    pub fn count_without(&self, other: &Bits) -> usize {
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        let pairs = self.0.iter().zip(others);
        pairs
            .map(|(word, less)| (word & !less).count_ones() as usize)
            .sum()
    }

    pub fn is_within(&self, other: &Bits) -> bool {
        self.count_without(other) == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    index * 64 + bit
                })
            })
        })
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<I: IntoIterator<Item = usize>>(bits: I) -> Bits {
        let mut set = Bits::default();
        for bit in bits {
            set.insert(bit);
        }
        set
    }
}

/// One application.
#[derive(Clone, Debug)]
pub struct Job {
    /// At least 1.
    pub weight: u64,
    pub wants: Bits,
}

/// An order, and how good it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Indices of jobs.
    pub order: Vec<usize>,
    /// No order has a smaller area.
    pub bound: u64,
}

/// The area of an order.
pub fn area(jobs: &[Job], order: &[usize]) -> u64 {
    let mut done = Bits::default();
    let mut features = 0;
    let mut area = 0;
    for index in order {
        let job = &jobs[*index];
        features += job.wants.count_without(&done) as u64;
        done.extend(&job.wants);
        area += job.weight * features;
    }
    area
}

/// States that the search for a block keeps for each number of features: more of them take more
/// time and memory. Chosen, not measured.
pub const STATES: usize = 256;

/// A good order, and a bound.
pub fn solve(jobs: &[Job], effort: usize) -> Schedule {
    let mut order = Vec::with_capacity(jobs.len());
    let mut bound = 0;
    let mut done = Bits::default();
    let mut features = 0;
    for members in density::blocks(jobs) {
        let found = block::search(jobs, &members, &done, effort);
        let weight: u64 = members.iter().map(|index| jobs[*index].weight).sum();
        // Inside the block the count of features begins anew.
        bound += weight * features + found.bound;
        for index in &members {
            features += jobs[*index].wants.count_without(&done) as u64;
            done.extend(&jobs[*index].wants);
        }
        order.extend(found.order);
    }
    Schedule { order, bound }
}
