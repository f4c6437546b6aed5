//! Cgroups of a test's own, and a profiler with what it has told.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use loupe_common::feature::Feature;
use loupe_common::trace::CallCounts;
use loupe_daemon::benchmarks::profiler::{
    Profiler, ProfilerBounds, ProfilerEvent, SlotCounts, SlotOpened, Watch,
};
use loupe_tests::{binaries, leftovers};
use tokio::sync::mpsc::Receiver;

/// A cgroup of a test's own, removed at the end.
pub struct Group(pub PathBuf);

impl Group {
    pub fn new() -> Group {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("loupe-profiler-test-{}-{number}", std::process::id());
        Group::at(leftovers::cgroup2_mount().expect("mounted").join(name))
    }

    pub fn at(path: PathBuf) -> Group {
        std::fs::create_dir(&path).expect("cgroups can be made");
        Group(path)
    }

    pub fn below(&self, name: &str) -> Group {
        Group::at(self.0.join(name))
    }

    pub fn id(&self) -> u64 {
        std::fs::metadata(&self.0).expect("it is there").ino()
    }

    /// A shell that enters the cgroup and becomes the command.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.0)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) {
        let mut command = self.command(words);
        let output = command
            .stdout(Stdio::piped())
            .output()
            .expect("the shell starts");
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    /// The victim, which makes known calls.
    pub fn run_victim(&self, words: &[&str]) {
        let victim = binaries::victim().display().to_string();
        self.run(&[&[victim.as_str()], words].concat());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel lets go of the last process a little later than its parent hears of its end.
        for _ in 0..1000 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        panic!("{} cannot be removed", self.0.display());
    }
}

/// A profiler and what it has told so far.
pub struct Scene {
    pub profiler: Profiler,
    events: Receiver<ProfilerEvent>,
    told: Vec<ProfilerEvent>,
}

impl Scene {
    pub fn new() -> Scene {
        Scene::with(&ProfilerBounds::default())
    }

    pub fn with(bounds: &ProfilerBounds) -> Scene {
        let profiler = Profiler::load(bounds).expect("the programs load");
        let events = profiler.events().expect("nobody has taken them");
        Scene {
            profiler,
            events,
            told: Vec::new(),
        }
    }

    /// Watches a cgroup as a unit's.
    pub fn watch(&self, group: &Group) {
        let watched = self.profiler.watch(group.id(), group.id(), Watch::Count);
        watched.expect("the map has room");
    }

    pub fn told(&mut self) -> &[ProfilerEvent] {
        self.profiler.flush();
        while let Ok(event) = self.events.try_recv() {
            self.told.push(event);
        }
        &self.told
    }

    pub fn slots(&mut self) -> Vec<SlotOpened> {
        let opened = self.told().iter().filter_map(|event| match event {
            ProfilerEvent::SlotOpened(opened) => Some(opened.clone()),
            _ => None,
        });
        opened.collect()
    }

    /// What an owner's slots of executables with this name have counted.
    pub fn counts(&mut self, owner: &Group, executable: &str) -> SlotCounts {
        let all = self.profiler.counts().expect("the counts can be read");
        let found: Vec<SlotCounts> = self
            .slots()
            .into_iter()
            .filter(|opened| opened.owner == owner.id() && opened.path.ends_with(executable))
            .map(|opened| all[&opened.slot].clone())
            .collect();
        match <[SlotCounts; 1]>::try_from(found) {
            Ok([counts]) => counts,
            Err(found) => panic!("{} slots of {executable}", found.len()),
        }
    }
}

pub fn of(counts: &BTreeMap<Feature, CallCounts>, name: &str) -> (u64, u64) {
    let feature: Feature = name.parse().expect("a feature");
    let counts = counts.get(&feature).cloned().unwrap_or_default();
    (counts.calls, counts.error_total())
}

pub fn calls(counts: &SlotCounts, name: &str) -> (u64, u64) {
    of(&counts.calls, name)
}
