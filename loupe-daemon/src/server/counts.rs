//! How many of something each user has open, within bounds. Knows no sockets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::lock;

/// Counts of one kind of thing, by uid.
#[derive(Debug)]
pub(super) struct Counts {
    /// The bound for all users together.
    most: usize,
    /// The bound for one user other than root.
    most_of_user: usize,
    open: Mutex<HashMap<u32, usize>>,
}

/// One of them; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Counted {
    counts: Arc<Counts>,
    uid: u32,
}

impl Counts {
    pub fn new(most: usize, most_of_user: usize) -> Arc<Counts> {
        Arc::new(Counts {
            most,
            most_of_user,
            open: Mutex::default(),
        })
    }

    /// `None`: there are too many.
    pub fn take(self: &Arc<Self>, uid: u32) -> Option<Counted> {
        let mut open = lock(&self.open);
        let all: usize = open.values().sum();
        let own = open.get(&uid).copied().unwrap_or(0);
        if all >= self.most || (uid != 0 && own >= self.most_of_user) {
            return None;
        }
        open.insert(uid, own + 1);
        Some(Counted {
            counts: Arc::clone(self),
            uid,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = lock(&self.counts.open);
        if let Some(own) = open.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_root_can_take_all_and_what_is_given_back_can_be_taken_again() {
        let counts = Counts::new(4, 2);
        let own: Vec<_> = (0..2).map(|_| counts.take(1000).expect("free")).collect();
        assert!(counts.take(1000).is_none(), "no more for this user");
        let roots: Vec<_> = (0..2).map(|_| counts.take(0).expect("free")).collect();
        assert!(counts.take(0).is_none(), "no more at all");
        drop((own, roots));
        assert!(counts.take(1000).is_some());
        assert!(lock(&counts.open).is_empty(), "nothing is remembered");
    }
}
