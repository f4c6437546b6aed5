//! What the keeper has told of a run so far. Pure: it takes messages, and waits for none.

use std::io;

use loupe_common::replay::{ExitStatus, Usage};

use super::RunError;
use crate::launcher::Supervised;
use crate::launcher::protocol::{FromKeeper, Role};

#[derive(Debug, Default)]
pub struct Seen {
    pub target_execs: u64,
    /// Names of what was executed before the target, or instead of it.
    pub executed: Vec<String>,
    /// Why the filter is not on the target, which was ended for that.
    pub refused: Option<String>,
    /// A target was told of its vDSO.
    pub vdso: bool,
    /// A target was a 32-bit program, and no filter is on it.
    pub i386: bool,
    /// The programs that were started, by what for.
    started: Vec<(Role, String)>,
    /// How processes of each role ended by themselves.
    exits: Vec<(Role, ExitStatus)>,
    /// Everything was told to end.
    pub(super) is_ending: bool,
    pub(super) ended: Option<Ended>,
}

/// What the keeper says last.
#[derive(Debug)]
pub(super) struct Ended {
    pub usage: Usage,
    /// Processes that go on outside the run's cgroup.
    pub left: u64,
    pub supervised: Option<Supervised>,
    pub full_mib: Option<u64>,
}

impl Seen {
    /// How the last process of this role ended; `None` while it runs, and of one that was ended with
    /// everything else.
    pub fn exit(&self, role: Role) -> Option<ExitStatus> {
        let exit = self.exits.iter().rev().find(|exit| exit.0 == role);
        exit.map(|exit| exit.1)
    }

    /// Another process of this role is started: the one before it is of no interest any more.
    pub(super) fn start(&mut self, role: Role, program: String) {
        self.exits.retain(|exit| exit.0 != role);
        self.started.push((role, program));
    }

    /// Takes note of a message.
    ///
    /// # Errors
    /// If it is that a program cannot be executed.
    pub(super) fn note(&mut self, message: FromKeeper) -> Result<(), RunError> {
        match message {
            FromKeeper::TargetStarted { vdso, i386, .. } => {
                self.target_execs += 1;
                self.vdso |= vdso;
                self.i386 |= i386;
            }
            FromKeeper::Executed { programs } => self.executed.extend(programs),
            FromKeeper::TargetRefused { why } => self.refused = Some(why),
            // What was ended from here says nothing.
            FromKeeper::Exited { .. } if self.is_ending => {}
            FromKeeper::Exited { role, status } => self.exits.push((role, status)),
            FromKeeper::ExecFailed { role, errno } => {
                let program = self.started.iter().rev().find(|started| started.0 == role);
                return Err(RunError::Exec {
                    role,
                    program: program.map(|(_, name)| name.clone()).unwrap_or_default(),
                    source: io::Error::from_raw_os_error(errno),
                });
            }
            FromKeeper::Finished {
                usage,
                left,
                supervised,
                full_mib,
            } => {
                self.ended = Some(Ended {
                    usage,
                    left,
                    supervised,
                    full_mib,
                });
            }
            FromKeeper::Forked { .. } | FromKeeper::Ready | FromKeeper::Failed { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(role: Role, code: i32) -> FromKeeper {
        FromKeeper::Exited {
            role,
            status: ExitStatus::Code(code),
        }
    }

    fn seen(messages: impl IntoIterator<Item = FromKeeper>) -> Seen {
        let mut seen = Seen::default();
        for message in messages {
            seen.note(message).expect("no error");
        }
        seen
    }

    #[test]
    fn an_end_counts_for_its_role_until_another_process_of_it_is_started() {
        let mut seen = seen([exited(Role::Test, 1), exited(Role::Probe, 7)]);
        assert_eq!(seen.exit(Role::Application), None);
        assert_eq!(seen.exit(Role::Test), Some(ExitStatus::Code(1)));
        assert_eq!(seen.exit(Role::Probe), Some(ExitStatus::Code(7)));
        seen.start(Role::Probe, "curl".to_owned());
        assert_eq!(seen.exit(Role::Probe), None);
        assert_eq!(seen.exit(Role::Test), Some(ExitStatus::Code(1)));
    }

    #[test]
    fn who_was_ended_with_everything_else_did_not_end_by_itself() {
        let mut seen = Seen {
            is_ending: true,
            ..Seen::default()
        };
        let killed = FromKeeper::Exited {
            role: Role::Application,
            status: ExitStatus::Signal(9),
        };
        seen.note(killed).expect("no error");
        assert_eq!(seen.exit(Role::Application), None);
    }

    #[test]
    fn what_is_true_of_one_target_is_true_of_the_run() {
        let target = |vdso, i386| FromKeeper::TargetStarted { pid: 7, vdso, i386 };
        let seen = seen([
            target(true, false),
            target(false, true),
            target(false, false),
        ]);
        assert_eq!((seen.target_execs, seen.vdso, seen.i386), (3, true, true));
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_named() {
        let mut seen = Seen::default();
        seen.start(Role::Application, "nginx".to_owned());
        seen.start(Role::Test, "curl".to_owned());
        let failed = FromKeeper::ExecFailed {
            role: Role::Test,
            errno: libc::ENOENT,
        };
        let error = seen.note(failed).expect_err("it cannot").to_string();
        assert!(error.contains("test `curl` cannot be executed"), "{error}");
    }
}
