//! The end of a run: whatever is left of it ends or, where it ran right here, goes on elsewhere.

use nix::sys::signal::{Signal, kill};

use super::Keeper;
use crate::cgroup;
use crate::launcher::protocol::FromKeeper;
use crate::launcher::sandbox;
use crate::launcher::supervisor::Supervisor;
use crate::launcher::{init, wait};

impl Keeper {
    /// Ends whatever is left and reports that nothing is.
    pub(super) fn end(&mut self) {
        self.hurry.set(false);
        let mut left = 0;
        let full_mib = self
            .sandbox
            .as_ref()
            .and_then(|sandbox| sandbox::full_mib(&sandbox.memory));
        match &self.sandbox {
            // Takes every process of the namespace with it, before it can be waited for.
            Some(sandbox) => {
                drop(init::kill(&sandbox.init));
            }
            None => left = self.release_leftovers(),
        }
        // Everything is killed or ends by itself; an error means that no child is left.
        while let Ok(Some((status, usage))) = wait::next(true) {
            drop(self.note(status, usage));
        }
        let supervised = self.supervisor.as_mut().map(Supervisor::finish);
        drop(self.tell(&FromKeeper::Finished {
            usage: self.usage,
            left,
            supervised,
            full_mib,
        }));
    }

    /// A command that ran right here may have left processes on purpose (a daemon): they go on
    /// where the command would have been without Loupe. Where the engine is gone, they end.
    /// Returns how many there are.
    fn release_leftovers(&mut self) -> u64 {
        for child in &self.children {
            let _ = kill(child.pid, Signal::SIGKILL);
        }
        if !self.finished {
            return 0;
        }
        if self
            .supervisor
            .as_ref()
            .is_some_and(Supervisor::has_listeners)
        {
            // Nobody would answer what they call: better no process than a crippled one.
            drop(self.cgroup.kill_target());
            return 0;
        }
        let mut left = 0;
        let own = std::process::id() as i32;
        for directory in [self.cgroup.launcher(), self.cgroup.target()] {
            let members = cgroup::members(&directory, "cgroup.procs").unwrap_or_default();
            for pid in members.into_iter().filter(|pid| *pid != own) {
                left += 1;
                let places = self.home.iter().cloned();
                let mut places = places.chain(cgroup::candidates().into_iter().flatten());
                // It may have ended meanwhile, which no place cures.
                places.any(|place| cgroup::move_process(pid, &place).is_ok());
            }
        }
        left
    }
}
