//! Which cgroups are watched, and for whom: brings what the targets ask for together with the
//! hierarchy as it is, and tells the in-kernel programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use loupe_common::profile::{SubjectKind, Target};
use serde::{Deserialize, Serialize};

use super::containers;
use super::naming::{self, Named};
use super::selection::{self, Candidate};
use super::tree::{Cgroup, Tree};
use crate::tracer::TracerError;
use crate::tracer::profiler::{ExecutableId, Profiler, Watch};

/// Owners that are no cgroups have numbers that no inode has.
const EXECUTABLE_OWNERS: u64 = 1 << 63;

/// Somebody whose calls are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub kind: SubjectKind,
    pub name: String,
    pub uid: u32,
    /// Below the root of the hierarchy; empty for what is no cgroup.
    pub path: String,
    /// It is gone: what it did is read once more, and no more.
    pub gone: bool,
}

/// The owners, and the hierarchy that they are in.
#[derive(Debug)]
pub struct Owners {
    tree: Tree,
    by_id: BTreeMap<u64, Owner>,
    /// What the kernel was told, by cgroup.
    watched: BTreeMap<u64, (u64, Watch)>,
    executables: BTreeMap<String, (u64, ExecutableId)>,
    next_executable: u64,
    /// What the kernel was told by an earlier process.
    told_executables: BTreeMap<ExecutableId, u64>,
    /// Another process that took over would not know all of them.
    is_changed: bool,
}

/// What an earlier process had told the kernel.
pub struct Told {
    watched: BTreeMap<u64, (u64, Watch)>,
    executables: BTreeMap<ExecutableId, u64>,
}

impl Told {
    /// To be asked before the hierarchy is walked: a cgroup that is made later is told of.
    pub fn ask(profiler: &Profiler) -> Result<Told, TracerError> {
        Ok(Told {
            watched: profiler.watches()?,
            executables: profiler.watched_executables()?,
        })
    }
}

impl Owners {
    pub fn of(tree: Tree) -> Owners {
        Owners {
            tree,
            by_id: BTreeMap::new(),
            watched: BTreeMap::new(),
            executables: BTreeMap::new(),
            next_executable: EXECUTABLE_OWNERS,
            told_executables: BTreeMap::new(),
            is_changed: false,
        }
    }

    /// Goes on with what an earlier process has told the kernel, and with the owners that it knew:
    /// something of theirs may not be heard as yet. [`Owners::apply`] takes back what nobody wants.
    pub fn resume(&mut self, told: Told, known: BTreeMap<u64, Owner>) {
        let last = told.executables.values().max().copied();
        self.next_executable = last.unwrap_or(EXECUTABLE_OWNERS);
        self.watched = told.watched;
        self.told_executables = told.executables;
        self.by_id = known;
    }

    /// All owners, if others than when this was asked last.
    pub fn take_changed(&mut self) -> Option<&BTreeMap<u64, Owner>> {
        std::mem::take(&mut self.is_changed).then_some(&self.by_id)
    }

    pub fn get(&self, id: u64) -> Option<&Owner> {
        self.by_id.get(&id)
    }

    /// Whose the counts of an owner in the kernel are. A new cgroup in which nobody is interested for
    /// itself counts for itself until user space has told that it is part of another owner.
    pub fn whose(&self, id: u64) -> Option<(u64, &Owner)> {
        let part_of = || self.watched.get(&id).map(|(owner, _)| *owner);
        let known = |id: u64| Some((id, self.by_id.get(&id)?));
        known(id).or_else(|| known(part_of()?))
    }

    /// Those that are there.
    pub fn living(&self) -> impl Iterator<Item = (u64, &Owner)> {
        self.by_id
            .iter()
            .filter(|(_, owner)| !owner.gone)
            .map(|(id, owner)| (*id, owner))
    }

    /// Watches what these targets ask for, and nothing else.
    pub fn apply(&mut self, profiler: &Profiler, targets: &[Target]) -> Result<(), TracerError> {
        let cgroups: Vec<Cgroup> = self.tree.iter().cloned().collect();
        let wanted: BTreeMap<u64, Wanted> = cgroups
            .iter()
            .filter_map(|cgroup| Some((cgroup.id, self.wanted(targets, cgroup)?)))
            .collect();
        let unwanted: Vec<u64> = self
            .watched
            .keys()
            .filter(|id| !wanted.contains_key(id))
            .copied()
            .collect();
        for id in unwanted {
            self.unwatch(profiler, id)?;
        }
        for (id, wanted) in wanted {
            self.watch(profiler, id, wanted)?;
        }
        let owners: BTreeSet<u64> = self.watched.values().map(|(owner, _)| *owner).collect();
        for (id, owner) in &mut self.by_id {
            if *id < EXECUTABLE_OWNERS && !owners.contains(id) {
                owner.gone = true;
            }
        }
        self.apply_executables(profiler, targets)
    }

    /// A cgroup was made. Returns whether it is a new owner.
    pub fn made(
        &mut self,
        profiler: &Profiler,
        targets: &[Target],
        (id, parent, name): (u64, u64, &str),
        told: Option<(u64, Watch)>,
    ) -> Result<bool, TracerError> {
        if let Some(told) = told {
            self.watched.insert(id, told);
        }
        let Some(cgroup) = self.tree.made(id, parent, name).cloned() else {
            return Ok(false);
        };
        match self.wanted(targets, &cgroup) {
            Some(wanted) => {
                self.watch(profiler, id, wanted)?;
                Ok(self.by_id.contains_key(&id))
            }
            None => {
                self.unwatch(profiler, id)?;
                Ok(false)
            }
        }
    }

    /// A cgroup is gone. Its owner stays known until [`Owners::forget_gone`].
    pub fn gone(&mut self, id: u64) {
        self.watched.remove(&id);
        self.tree.forget(id);
        if let Some(owner) = self.by_id.get_mut(&id) {
            owner.gone = true;
        }
    }

    /// Forgets owners that are gone, once what they did was read.
    pub fn forget_gone(&mut self) -> Vec<u64> {
        let gone: Vec<u64> = self
            .by_id
            .iter()
            .filter(|(_, owner)| owner.gone)
            .map(|(id, _)| *id)
            .collect();
        for id in &gone {
            self.by_id.remove(id);
        }
        gone
    }

    /// How many owners each target asks for now.
    pub fn count(&self, target: &Target) -> u64 {
        if let Target::Executable(path) = target {
            return u64::from(self.executables.contains_key(path));
        }
        let asked = self
            .living()
            .filter_map(|(id, _)| self.tree.get(id))
            .filter(|cgroup| asked_for(std::slice::from_ref(target), cgroup).is_some());
        asked.count() as u64
    }

    /// What is to be done about a cgroup; `None`: nobody asks for it.
    fn wanted(&self, targets: &[Target], cgroup: &Cgroup) -> Option<Wanted> {
        // The nearest cgroup above, or itself, that somebody asks for.
        let mut nearest: Option<(&Cgroup, OwnerName)> = None;
        if let Some(named) = asked_for(targets, cgroup) {
            nearest = Some((cgroup, named));
        } else {
            for path in above(&cgroup.path) {
                let Some(parent) = self.tree.at(path) else {
                    continue;
                };
                if let Some(named) = asked_for(targets, parent) {
                    nearest = Some((parent, named));
                    break;
                }
            }
        }
        let may_hold_units = selection::awaits_units(targets)
            && (cgroup.path == "/" || naming::holds_units(&cgroup.path))
            && naming::owner_of(&cgroup.path).is_none_or(|named| named.kind == SubjectKind::Unit);
        match nearest {
            _ if may_hold_units => Some(Wanted {
                owner: None,
                how: Watch::ChildrenAreOwners,
            }),
            Some((owner, name)) => Some(Wanted {
                owner: Some((owner.clone(), name)),
                how: Watch::Count,
            }),
            None => None,
        }
    }

    fn watch(&mut self, profiler: &Profiler, id: u64, wanted: Wanted) -> Result<(), TracerError> {
        let owner = wanted.owner.as_ref().map_or(id, |(owner, _)| owner.id);
        let told = (owner, wanted.how);
        if self.watched.get(&id) != Some(&told) {
            profiler.watch(id, owner, wanted.how)?;
            self.watched.insert(id, told);
        }
        if let Some((cgroup, name)) = wanted.owner {
            let is_changed = &mut self.is_changed;
            let entry = self.by_id.entry(cgroup.id).or_insert_with(|| {
                *is_changed = true;
                Owner {
                    kind: name.kind,
                    name: name.name.clone(),
                    uid: cgroup.uid,
                    path: cgroup.path.clone(),
                    gone: false,
                }
            });
            entry.gone = false;
        }
        Ok(())
    }

    fn unwatch(&mut self, profiler: &Profiler, id: u64) -> Result<(), TracerError> {
        if self.watched.remove(&id).is_some() {
            profiler.unwatch(id)?;
        }
        if let Some(owner) = self.by_id.get_mut(&id) {
            owner.gone = true;
        }
        Ok(())
    }

    /// A file of the same path may be another one by now.
    fn apply_executables(
        &mut self,
        profiler: &Profiler,
        targets: &[Target],
    ) -> Result<(), TracerError> {
        let wanted: BTreeSet<&String> = targets
            .iter()
            .filter_map(|target| match target {
                Target::Executable(path) => Some(path),
                _ => None,
            })
            .collect();
        let unwanted: Vec<String> = self
            .executables
            .keys()
            .filter(|path| !wanted.contains(path))
            .cloned()
            .collect();
        for path in unwanted {
            if let Some((owner, executable)) = self.executables.remove(&path) {
                profiler.unwatch_executable(executable)?;
                if let Some(owner) = self.by_id.get_mut(&owner) {
                    owner.gone = true;
                }
            }
        }
        for path in wanted {
            let Ok(executable) = ExecutableId::of_path(Path::new(path)) else {
                // It is not there now; it may come.
                continue;
            };
            let known = self.executables.get(path).copied();
            if known.is_some_and(|(_, known)| known == executable) {
                continue;
            }
            if let Some((_, old)) = known {
                profiler.unwatch_executable(old)?;
            }
            let told = self.told_executables.remove(&executable);
            let owner = known.map(|(owner, _)| owner).or(told).unwrap_or_else(|| {
                self.next_executable += 1;
                self.next_executable
            });
            profiler.watch_executable(executable, owner)?;
            self.executables.insert(path.clone(), (owner, executable));
            self.is_changed = true;
            self.by_id.insert(
                owner,
                Owner {
                    kind: SubjectKind::Executable,
                    name: path.clone(),
                    uid: 0,
                    path: String::new(),
                    gone: false,
                },
            );
        }
        for executable in std::mem::take(&mut self.told_executables).into_keys() {
            profiler.unwatch_executable(executable)?;
        }
        Ok(())
    }
}

/// What is to be told of a cgroup.
#[derive(Debug)]
struct Wanted {
    /// Whom its calls are counted for.
    owner: Option<(Cgroup, OwnerName)>,
    how: Watch,
}

#[derive(Clone, Debug)]
struct OwnerName {
    kind: SubjectKind,
    name: String,
}

/// The paths above, the nearest first, without the root.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent_of(path), |path| parent_of(path))
}

fn parent_of(path: &str) -> Option<&str> {
    let (parent, _) = path.rsplit_once('/')?;
    (!parent.is_empty()).then_some(parent)
}

/// Whether the cgroup is itself an owner that one of the targets asks for, and its name.
fn asked_for(targets: &[Target], cgroup: &Cgroup) -> Option<OwnerName> {
    let named = naming::owner_of(&cgroup.path).filter(|named| is_at(named, &cgroup.path));
    let container_name = named
        .as_ref()
        .filter(|named| named.kind == SubjectKind::Container)
        .and_then(|named| containers::name_of(&named.name));
    let candidate = Candidate {
        path: &cgroup.path,
        named: named.as_ref(),
        container_name: container_name.as_deref(),
    };
    targets
        .iter()
        .any(|target| selection::asks_for(target, &candidate))
        .then(|| match &named {
            Some(named) => OwnerName {
                kind: named.kind,
                name: container_name.clone().unwrap_or_else(|| named.name.clone()),
            },
            None => OwnerName {
                kind: SubjectKind::Cgroup,
                name: cgroup.path.clone(),
            },
        })
}

/// Whether the owner is this cgroup and not one above.
fn is_at(named: &Named, path: &str) -> bool {
    path.split('/').filter(|part| !part.is_empty()).count() == named.depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroup(path: &str) -> Cgroup {
        Cgroup {
            id: 1,
            path: path.to_owned(),
            uid: 0,
        }
    }

    #[test]
    fn only_the_owner_itself_is_asked_for() {
        let all = [Target::Unit("*.service".to_owned())];
        let name = |path: &str| asked_for(&all, &cgroup(path)).map(|found| found.name);
        assert_eq!(
            name("/system.slice/a@1.service").as_deref(),
            Some("a@.service")
        );
        assert_eq!(name("/system.slice/a.service/inner"), None);
        assert_eq!(name("/system.slice"), None);
        let path = [Target::Cgroup("/jobs/1".to_owned())];
        let found = asked_for(&path, &cgroup("/jobs/1")).expect("it is asked for");
        assert_eq!(
            (found.kind, found.name.as_str()),
            (SubjectKind::Cgroup, "/jobs/1")
        );
    }

    #[test]
    fn paths_above_come_nearest_first() {
        let found: Vec<&str> = above("/a/b/c").collect();
        assert_eq!(found, ["/a/b", "/a"]);
        assert_eq!(above("/").count(), 0);
    }
}
