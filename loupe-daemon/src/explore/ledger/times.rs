//! When replays began and ended, in steps and not by the clock, and which passed in between: two
//! failures by time are two only if something passed between them.

use std::collections::BTreeMap;

use loupe_common::policy::Policy;

use crate::explore::Request;
use crate::explore::run::Span;

#[derive(Debug, Default)]
pub(in crate::explore) struct Times {
    step: u64,
    /// Of running replays.
    begins: BTreeMap<(Policy, u32), u64>,
    /// Of those that passed.
    passes: Vec<Span>,
    /// The latest begin of one that passed.
    last: u64,
}

impl Times {
    pub fn begin(&mut self, request: &Request) {
        self.step += 1;
        self.begins.insert(key(request), self.step);
    }

    pub fn end(&mut self, request: &Request, passes: bool) -> Span {
        self.step += 1;
        let end = self.step;
        let begin = self.begins.remove(&key(request)).unwrap_or(end);
        let span = Span { begin, end };
        if passes {
            self.passes.push(span);
            self.last = self.last.max(begin);
        }
        span
    }

    /// Whether something that began after this has passed.
    pub fn passed_since(&self, span: Span) -> bool {
        self.last > span.end
    }

    /// Whether something passed from beginning to end between two.
    pub fn separates(&self, one: Span, other: Span) -> bool {
        let (first, second) = match one.end <= other.begin {
            true => (one, other),
            false => (other, one),
        };
        let between = |pass: &Span| pass.begin > first.end && pass.end < second.begin;
        self.passes.iter().any(between)
    }
}

fn key(request: &Request) -> (Policy, u32) {
    (request.policy.clone(), request.replica)
}

#[cfg(test)]
mod tests {
    use loupe_common::policy::Action;

    use super::*;

    fn request(replica: u32) -> Request {
        let feature = "brk".parse().expect("a syscall");
        Request::new(Policy::single(feature, Action::STUB), replica)
    }

    #[test]
    fn only_what_passes_wholly_between_two_failures_separates_them() {
        let mut times = Times::default();
        let mut ran = |replica: u32, passes: bool| {
            times.begin(&request(replica));
            times.end(&request(replica), passes)
        };
        let (first, _) = (ran(0, false), ran(1, false));
        let second = ran(2, false);
        let passed = ran(3, true);
        let third = ran(4, false);
        assert!(!times.separates(first, second));
        assert!(times.separates(second, third));
        assert!(times.separates(third, first));
        assert!(times.passed_since(first) && !times.passed_since(third));
        let across = Span {
            begin: passed.begin + 1,
            end: third.end,
        };
        assert!(!times.separates(second, across));
    }
}
