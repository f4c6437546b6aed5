//! An OS as an application meets it: what it does not do, as a policy.

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::syscalls::{Arch, Syscall};

use crate::plan::need::{Answer, is_restart};
use crate::plan::{OsProfile, Step};

/// The OS once somebody has done literally what these steps say.
pub fn after(profile: &OsProfile, steps: &[Step]) -> OsProfile {
    let mut after = profile.clone();
    for step in steps {
        for (features, answer) in [
            (&step.implement, Answer::Implement),
            (&step.stub, Answer::Stub),
            (&step.fake, Answer::Fake),
        ] {
            for feature in features {
                // Nothing that was implemented is taken away again.
                if !after.implement.contains(feature) {
                    after.set(feature, answer);
                }
            }
        }
    }
    after
}

/// What it leaves out of this machine's syscalls, each as it answers it. What this kernel has
/// processes call is left out only if the profile says so: the OS restarts calls in its own way.
pub fn left_out(profile: &OsProfile) -> Policy {
    let table = Arch::NATIVE.table().iter();
    table
        .filter_map(|(_, name)| Syscall::from_name(name))
        .map(Feature::from)
        .filter(|feature| !is_restart(feature) || profile.mentions(feature))
        .filter_map(|feature| match profile.answer(&feature) {
            Answer::Implement => None,
            Answer::Fake => Some((feature, Action::Fake)),
            Answer::Stub => Some((feature, Action::STUB)),
            Answer::Error(errno) => Some((feature, Action::Stub(errno))),
            Answer::Kill => Some((feature, Action::Kill)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(names: &[&str]) -> Vec<Feature> {
        let names = names.iter();
        names.map(|name| name.parse().expect("a syscall")).collect()
    }

    #[test]
    fn an_os_does_what_its_profile_and_the_steps_say_and_nothing_else() {
        let profile = OsProfile {
            implement: features(&["read"]).into_iter().collect(),
            fake: features(&["brk", "futex"]).into_iter().collect(),
            ..OsProfile::default()
        };
        let steps = [
            Step {
                stub: features(&["brk"]),
                fake: features(&["uname"]),
                ..Step::default()
            },
            Step {
                implement: features(&["futex", "write"]),
                ..Step::default()
            },
        ];
        let answer = |steps: &[Step], name: &str| {
            let policy = left_out(&after(&profile, steps));
            policy.get(&features(&[name])[0])
        };
        assert_eq!(answer(&[], "read"), None);
        assert_eq!(answer(&[], "brk"), Some(Action::Fake));
        assert_eq!(answer(&[], "mount"), Some(Action::STUB));
        assert_eq!(answer(&steps[..1], "brk"), Some(Action::STUB));
        assert_eq!(answer(&steps[..1], "uname"), Some(Action::Fake));
        assert_eq!(answer(&steps, "futex"), None);
        assert_eq!(answer(&steps, "write"), None);
        assert!(left_out(&profile).len() > 300);
        assert_eq!(answer(&[], "restart_syscall"), None);
        let says_so = OsProfile {
            stub: features(&["restart_syscall"]).into_iter().collect(),
            ..OsProfile::default()
        };
        let restart = &features(&["restart_syscall"])[0];
        assert_eq!(left_out(&says_so).get(restart), Some(Action::STUB));
    }
}
