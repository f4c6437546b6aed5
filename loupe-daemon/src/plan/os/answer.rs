//! How an OS answers a feature, by its profile and by what was done since. A part of a syscall is
//! answered as the syscall is, unless it is named itself.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::operations::Operation;

use super::OsProfile;
use crate::plan::need::{Answer, Need};
use crate::plan::steps::Step;

impl OsProfile {
    /// What is named gets what its list says; an operation without a name, what that of those says; else a
    /// part is answered as its syscall is, and the rest as [`OsProfile::unknown`] says. An OS that says nothing of any pseudo-file is not known to lack
    /// one.
    pub fn answer(&self, feature: &Feature) -> Answer {
        if let Some(own) = self.own_answer(feature) {
            return own;
        }
        match feature {
            Feature::Operation(part) => {
                let unnamed = Operation::unnamed(part.syscall()).filter(|_| part.has_no_name());
                let own = unnamed.and_then(|unnamed| self.own_answer(&Feature::from(unnamed)));
                own.unwrap_or_else(|| self.answer(&Feature::from(part.syscall())))
            }
            Feature::PseudoFile(_) if !self.speaks_of_pseudo_files() => Answer::Implement,
            Feature::PseudoFile(_) | Feature::IoUring(_) => Answer::Stub,
            Feature::Syscall(_) => self.unknown.answer(),
        }
    }

    fn own_answer(&self, feature: &Feature) -> Option<Answer> {
        let lists = [
            (&self.implement, Answer::Implement),
            (&self.fake, Answer::Fake),
            (&self.stub, Answer::Stub),
            (&self.kill, Answer::Kill),
        ];
        let errors = self.error.iter();
        let errors = errors.map(|(errno, features)| (features, Answer::failing(*errno)));
        let mut lists = lists.into_iter().chain(errors);
        let found = lists.find(|(features, _)| features.contains(feature));
        found.map(|(_, answer)| answer)
    }

    /// All of it: a syscall with every operation.
    pub fn implements(&self, feature: &Feature) -> bool {
        self.answer(feature) == Answer::Implement && !self.names_operations(feature)
    }

    /// Whether some of its operations are missing by themselves.
    pub fn names_operations(&self, whole: &Feature) -> bool {
        self.named_operations(whole).next().is_some()
    }

    /// The answer that a need does not accept; `None`: the OS does what is needed of this feature. A
    /// need of a whole syscall is one of all its operations. Flags are asked for where they were
    /// measured, and nowhere else: most analyses do not look at them.
    pub fn unaccepted(&self, need: &Need, feature: &Feature) -> Option<Answer> {
        let named = self.named_operations(feature).map(|part| self.answer(part));
        let mut answers = std::iter::once(self.answer(feature)).chain(named);
        answers.find(|answer| !need.accepts(feature, *answer))
    }

    /// Whether any operation of this syscall is in a list. Most profiles have syscalls only.
    pub fn speaks_of_operations(&self, whole: &Feature) -> bool {
        let mut parts = self.lists().flat_map(parts);
        parts.any(|part| is_operation(part) && part.parent().as_ref() == Some(whole))
    }

    /// Whether any pseudo-file is in a list. A list of syscalls says nothing of `/proc`.
    pub fn speaks_of_pseudo_files(&self) -> bool {
        let mut files = self.lists().flat_map(others);
        files.any(|feature| matches!(feature, Feature::PseudoFile(_)))
    }

    /// Operations of a syscall that are stubbed, faked or otherwise missing by themselves.
    fn named_operations<'a>(&'a self, whole: &'a Feature) -> impl Iterator<Item = &'a Feature> {
        self.lists()
            .skip(1)
            .filter(|_| whole.is_syscall())
            .flat_map(parts)
            .filter(move |part| is_operation(part) && part.parent().as_ref() == Some(whole))
    }

    /// What is implemented, and then all other lists.
    fn lists(&self) -> impl Iterator<Item = &BTreeSet<Feature>> {
        let lists = [&self.implement, &self.stub, &self.fake, &self.kill];
        lists.into_iter().chain(self.error.values())
    }

    /// What is in the lists.
    pub fn mentioned(&self) -> impl Iterator<Item = &Feature> {
        self.lists().flatten()
    }

    /// It is in one of the lists.
    pub fn mentions(&self, feature: &Feature) -> bool {
        self.own_answer(feature).is_some()
    }

    /// Puts a feature where it belongs that is answered so, and takes it out of where it was.
    pub fn set(&mut self, feature: &Feature, answer: Answer) {
        self.implement.remove(feature);
        self.partial.remove(feature);
        for list in self.missing_lists() {
            list.remove(feature);
        }
        self.error.retain(|_, features| !features.is_empty());
        let list = match answer {
            Answer::Implement => &mut self.implement,
            Answer::Fake => &mut self.fake,
            Answer::Stub => &mut self.stub,
            Answer::Error(errno) => self.error.entry(errno).or_default(),
            Answer::Kill => &mut self.kill,
        };
        list.insert(feature.clone());
    }

    /// The lists of what is not implemented.
    fn missing_lists(&mut self) -> impl Iterator<Item = &mut BTreeSet<Feature>> {
        let lists = [&mut self.stub, &mut self.fake, &mut self.kill];
        lists.into_iter().chain(self.error.values_mut())
    }

    /// The OS once somebody has done literally what these steps say.
    pub fn after(&self, steps: &[Step]) -> OsProfile {
        let mut after = self.clone();
        for step in steps {
            after.follow(step);
        }
        after
    }

    /// The last word counts, and one on a syscall is one on its parts; but nothing that is implemented
    /// is taken away again.
    pub fn follow(&mut self, step: &Step) {
        for feature in &step.implement {
            self.implement(feature);
        }
        for (features, answer) in [(&step.stub, Answer::Stub), (&step.fake, Answer::Fake)] {
            for feature in features {
                if self.answer(feature) != Answer::Implement {
                    self.forget_parts(feature);
                    self.set(feature, answer);
                }
            }
        }
    }

    /// Forgets in which way parts of a syscall are missing.
    fn forget_parts(&mut self, whole: &Feature) {
        for list in self.missing_lists() {
            if whole.is_syscall() && parts(list).next().is_some() {
                list.retain(|part| part.parent().as_ref() != Some(whole));
            }
        }
        self.error.retain(|_, features| !features.is_empty());
    }

    /// Implements it: a syscall with all its parts.
    pub fn implement(&mut self, feature: &Feature) {
        self.forget_parts(feature);
        // One more pseudo-file is no news of an OS that has never been asked for any.
        if self.answer(feature) != Answer::Implement || self.partial.contains(feature) {
            self.set(feature, Answer::Implement);
        }
    }
}

fn is_operation(part: &Feature) -> bool {
    matches!(part, Feature::Operation(part) if !part.is_flag())
}

/// The parts of syscalls in a list. Features are sorted by kind, syscalls first.
pub(in crate::plan) fn parts(list: &BTreeSet<Feature>) -> impl Iterator<Item = &Feature> {
    let from_the_end = list.iter().rev();
    from_the_end
        .skip_while(|feature| feature.syscall().is_none())
        .take_while(|feature| !feature.is_syscall())
}

/// What is no syscall's.
fn others(list: &BTreeSet<Feature>) -> impl Iterator<Item = &Feature> {
    let from_the_end = list.iter().rev();
    from_the_end.take_while(|feature| feature.syscall().is_none())
}
