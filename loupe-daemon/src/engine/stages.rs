//! Which part of an analysis is which of how many: for those who watch it. What comes next is
//! `explore`'s to decide.

use loupe_common::feature::Depth;
use loupe_common::progress::Progress;

use super::AnalyzeOptions;
use super::test_check::TEST_CHECK;
use crate::explore::BASELINE;

/// The phases that each stage may have, in their order.
const BEGINNING: [&str; 2] = [BASELINE, TEST_CHECK];
const SINGLE: [&str; 3] = ["single features", "errnos", "plausible fakes"];
const IMPACT: [&str; 1] = ["impact"];

/// The stages that an analysis has by its options.
pub struct Stages {
    /// What can be left out at once, and what is below the syscall: by turns, so one stage.
    joint: bool,
    impact: bool,
}

impl Stages {
    pub fn of(options: &AnalyzeOptions) -> Stages {
        Stages {
            joint: !options.no_joint || options.depth != Depth::Syscall,
            impact: options.impact.is_some(),
        }
    }

    /// A phase with its number.
    pub fn number(&self, step: Progress) -> Progress {
        let Progress::Phase { name, .. } = step else {
            return step;
        };
        let of = 2 + u32::from(self.joint) + u32::from(self.impact);
        let among = |names: &[&str]| names.contains(&name.as_str());
        let number = match () {
            () if among(&BEGINNING) => 1,
            () if among(&SINGLE) => 2,
            () if among(&IMPACT) => of,
            () => 2 + u32::from(self.joint),
        };
        Progress::Phase { name, number, of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(options: &AnalyzeOptions, name: &str) -> (u32, u32) {
        match Stages::of(options).number(Progress::phase(name)) {
            Progress::Phase { number, of, .. } => (number, of),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_phase_has_its_number_by_what_was_asked_for() {
        let all = AnalyzeOptions {
            impact: Some(10),
            ..AnalyzeOptions::default()
        };
        for (name, number) in [
            (BASELINE, 1),
            (TEST_CHECK, 1),
            ("single features", 2),
            ("joint policy and operations", 3),
            ("joint policy, operations", 3),
            ("impact", 4),
        ] {
            assert_eq!(numbered(&all, name), (number, 4), "{name}");
        }
        let few = AnalyzeOptions {
            no_joint: true,
            depth: Depth::Syscall,
            ..AnalyzeOptions::default()
        };
        assert_eq!(numbered(&few, "single features"), (2, 2));
    }
}
