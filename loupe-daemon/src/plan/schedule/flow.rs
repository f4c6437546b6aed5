//! A maximum flow from applications to the features that they want (Dinic). Knows nothing of
//! densities.

/// A network: every application has a supply, every feature takes up to its capacity, and an
/// application may send any amount to any feature that it wants.
pub(super) struct Network {
    supply: Vec<u64>,
    room: Vec<u64>,
    /// For each application: feature, and what flows there.
    sends: Vec<Vec<(usize, u64)>>,
    /// For each feature: application, and the place of this feature in its `sends`.
    takes: Vec<Vec<(usize, usize)>>,
    /// Distances from the source, applications first; `None`: not reachable.
    levels: Vec<Option<u32>>,
}

impl Network {
    pub(super) fn new(supply: Vec<u64>, room: Vec<u64>, wants: &[Vec<usize>]) -> Network {
        let mut takes = vec![Vec::new(); room.len()];
        for (application, features) in wants.iter().enumerate() {
            for (place, feature) in features.iter().enumerate() {
                takes[*feature].push((application, place));
            }
        }
        let sends = wants
            .iter()
            .map(|features| features.iter().map(|feature| (*feature, 0)).collect())
            .collect();
        Network {
            levels: vec![None; supply.len() + room.len()],
            supply,
            room,
            sends,
            takes,
        }
    }

    /// Lets as much flow as can.
    pub(super) fn fill(&mut self) {
        while self.measure() {
            let mut next = vec![0; self.levels.len()];
            for application in 0..self.supply.len() {
                while self.supply[application] > 0 {
                    let sent = self.send(application, self.supply[application], &mut next);
                    if sent == 0 {
                        break;
                    }
                    self.supply[application] -= sent;
                }
            }
        }
    }

    /// The applications that can still send when the network is full: with the features that
    /// they want they are a closed set whose supply exceeds its capacity by the most.
    pub(super) fn left_over(&self) -> Vec<usize> {
        (0..self.supply.len())
            .filter(|application| self.levels[*application].is_some())
            .collect()
    }

    /// For each feature: the applications that send to it.
    pub(super) fn senders(&self, feature: usize) -> impl Iterator<Item = usize> + '_ {
        self.takes[feature]
            .iter()
            .filter(|(application, place)| self.sends[*application][*place].1 > 0)
            .map(|(application, _)| *application)
    }

    /// Levels by breadth-first search; `false`: no room can be reached.
    fn measure(&mut self) -> bool {
        self.levels.fill(None);
        let applications = self.supply.len();
        let mut queue: Vec<usize> = (0..applications)
            .filter(|application| self.supply[*application] > 0)
            .collect();
        for application in &queue {
            self.levels[*application] = Some(0);
        }
        let mut reached = false;
        let mut head = 0;
        while head < queue.len() {
            let node = queue[head];
            head += 1;
            let level = self.levels[node].map(|level| level + 1);
            let mut visit = |other: usize, levels: &mut Vec<Option<u32>>| {
                if levels[other].is_none() {
                    levels[other] = level;
                    queue.push(other);
                }
            };
            if node < applications {
                for (feature, _) in &self.sends[node] {
                    visit(applications + feature, &mut self.levels);
                }
            } else {
                let feature = node - applications;
                reached |= self.room[feature] > 0;
                for (application, place) in &self.takes[feature] {
                    if self.sends[*application][*place].1 > 0 {
                        visit(*application, &mut self.levels);
                    }
                }
            }
        }
        reached
    }

    fn is_below(&self, upper: usize, lower: usize) -> bool {
        match (self.levels[upper], self.levels[lower]) {
            (Some(upper), Some(lower)) => lower == upper + 1,
            _ => false,
        }
    }

    /// Sends up to `amount` from this application along the levels.
    fn send(&mut self, application: usize, amount: u64, next: &mut [usize]) -> u64 {
        let applications = self.supply.len();
        while let Some(&(feature, _)) = self.sends[application].get(next[application]) {
            if self.is_below(application, applications + feature) {
                let sent = self.pass(feature, amount, next);
                if sent > 0 {
                    self.sends[application][next[application]].1 += sent;
                    return sent;
                }
            }
            next[application] += 1;
        }
        0
    }

    /// Takes it, or lets another application send elsewhere what it sends here.
    fn pass(&mut self, feature: usize, amount: u64, next: &mut [usize]) -> u64 {
        let taken = amount.min(self.room[feature]);
        if taken > 0 {
            self.room[feature] -= taken;
            return taken;
        }
        let node = self.supply.len() + feature;
        while let Some(&(application, place)) = self.takes[feature].get(next[node]) {
            let flows = self.sends[application][place].1;
            if flows > 0 && self.is_below(node, application) {
                let sent = self.send(application, amount.min(flows), next);
                if sent > 0 {
                    self.sends[application][place].1 -= sent;
                    return sent;
                }
            }
            next[node] += 1;
        }
        0
    }
}
