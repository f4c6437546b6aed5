//! Parts of a plan: its first steps, and the plan until some applications run. A part is as sound
//! as the whole: it is a plan for what it unlocks.

use std::str::FromStr;

use super::check::runs_from;
use super::os::OsProfile;
use super::select::{Named, fingerprint};
use super::steps::{Left, Plan};

/// How many applications are to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    Percent(f64),
    Applications(usize),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Until, String> {
        let wrong =
            || "must be a percentage from 1% to 100%, or a number of applications".to_owned();
        match text.strip_suffix('%') {
            Some(percent) => match percent.trim().parse() {
                Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Until::Percent(percent)),
                _ => Err(wrong()),
            },
            None => match text.parse() {
                Ok(count) if count > 0 => Ok(Until::Applications(count)),
                _ => Err(wrong()),
            },
        }
    }
}

impl Until {
    /// Of so many in all.
    fn count(self, all: usize) -> usize {
        match self {
            Until::Percent(percent) => (all as f64 * percent / 100.0).ceil() as usize,
            Until::Applications(count) => count,
        }
    }
}

impl Plan {
    /// Applications that it was made for, whatever was cut off since.
    pub fn wanted(&self) -> usize {
        let left = self.left.as_ref().map_or(0, |left| left.applications);
        self.applications.len() + left
    }

    /// Steps that implement something until so many run. All of them if so many never do.
    pub fn steps_until(&self, until: Until) -> usize {
        let wanted = until.count(self.wanted());
        let reached = self.steps.iter().position(|step| step.supported >= wanted);
        reached.unwrap_or(self.steps.len().saturating_sub(1))
    }

    /// Keeps step 0 and so many more. `needs` are those that it was made from.
    pub fn cut(&mut self, steps: usize, needs: &[Named]) {
        let kept = steps.saturating_add(1).min(self.steps.len());
        if kept == self.steps.len() {
            return;
        }
        let wanted = self.wanted();
        let cut_off = self.steps.split_off(kept);
        let unlocked = |name: &String| self.steps.iter().any(|step| step.unlocks.contains(name));
        self.applications.retain(|name, _| unlocked(name));
        self.weights.retain(|name, _| unlocked(name));
        self.conflicts
            .retain(|clash| clash.step.is_some_and(|step| step < kept));
        let promised: Vec<Named> = needs
            .iter()
            .filter(|named| unlocked(&named.name))
            .cloned()
            .collect();
        self.data = Some(fingerprint(&promised));
        let before = self.left.as_ref().map_or(0, |left| left.steps);
        self.left = Some(Left {
            steps: before + cut_off.len(),
            applications: wanted - self.applications.len(),
        });
    }

    /// Notes who else begins to run for good, of applications that the plan was not made for.
    pub fn note_others(&mut self, profile: &OsProfile, others: &[Named]) {
        let from = runs_from(profile, &self.steps, others);
        for (named, from) in others.iter().zip(from) {
            if let Some(step) = from {
                self.steps[step].along.push(named.name.clone());
            }
        }
    }
}
