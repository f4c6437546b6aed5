//! Which way to the engine: the daemon where it answers, else this very process; unless somebody
//! has said which daemon it is to be.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loupe_common::wire::{Failure, Reply, Request, code};
use tokio::net::UnixStream;

use super::args::Global;
use super::output::note;
use super::talk;
use crate::backend::{Library, default_database, not_analyzed};
use crate::doctor::DaemonFact;
use crate::link;

/// Time in which a daemon must greet; systemd may have to start it first.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// What a command needs of the other side of the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Replays, tracing: root, or the daemon.
    Engine,
    /// The database: anybody has one.
    Results,
    /// Jobs: only the daemon has them.
    Daemon,
    /// Services are watched: only the daemon does.
    Service,
}

/// The process that does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Daemon,
    Here,
}

/// Decides who does the work; the error says why nobody can, and the cure.
pub async fn choose(global: &Global, need: Need) -> Result<Door, Failure> {
    let root = nix::unistd::geteuid().is_root();
    if let Some(flag) = without_daemon(global, need, root) {
        return forced(flag, need, root);
    }
    let socket = global.socket();
    let daemon = probe(socket).await;
    if global.insists_on_daemon() && !matches!(daemon, DaemonFact::Answers { .. }) {
        return Err(not_at(&daemon, socket));
    }
    let door = decide(&daemon, need, root, socket)?;
    if door == Door::Here {
        match why(&daemon, socket) {
            // What it has is not what is shown now.
            Some(why) => note(&format!("{why}: working without the daemon")),
            None if global.verbose > 0 => note("no daemon: working in this process"),
            None => {}
        }
    }
    Ok(door)
}

/// The daemon that was asked for does not answer. Another database is no answer.
fn not_at(daemon: &DaemonFact, socket: &Path) -> Failure {
    let why = why(daemon, socket)
        .unwrap_or_else(|| format!("there is no socket at {}", socket.display()));
    let cure = match daemon {
        DaemonFact::Denied => {
            "join the group that may use it (`sudo usermod -aG loupe $USER`, then log in again)"
                .to_owned()
        }
        _ => format!(
            "start it as root (`louped --socket {}`, or `systemctl start louped` for its own \
             socket)",
            socket.display()
        ),
    };
    Failure::internal(format!(
        "louped is not running where it was asked for: {why}"
    ))
    .hint(format!(
        "{cure}; or leave --socket and LOUPE_SOCKET away, or work without a daemon: --local, --db \
         PATH"
    ))
}

/// What says that it is to be done without the daemon. A database that is only usual says so of results:
/// jobs and services are louped's all the same, and so is all work without root.
fn without_daemon(global: &Global, need: Need, root: bool) -> Option<&'static str> {
    if global.local {
        return Some("--local");
    }
    let (_, said_by) = global.chosen_db()?;
    let applies = match need {
        _ if global.db.is_some() => true,
        Need::Results => true,
        Need::Engine => root,
        Need::Daemon | Need::Service => false,
    };
    applies.then_some(said_by)
}

/// Whether somebody has said that this is done without the daemon.
pub fn is_done_here(global: &Global, need: Need) -> bool {
    without_daemon(global, need, nix::unistd::geteuid().is_root()).is_some()
}

/// With `--local`, `--db` or what stands for that.
fn forced(flag: &str, need: Need, root: bool) -> Result<Door, Failure> {
    match need {
        Need::Daemon => Err(Failure::usage(format!(
            "jobs are the daemon's: {flag} makes no sense here"
        ))),
        Need::Service => Err(Failure::usage(format!(
            "it is the daemon that watches services: {flag} makes no sense here"
        ))),
        Need::Engine if !root => Err(Failure::internal(format!(
            "this needs root when it is done without the daemon ({flag})"
        ))
        .hint(format!(
            "run it as root, or leave {flag} away and let louped do it"
        ))),
        Need::Engine | Need::Results => Ok(Door::Here),
    }
}

/// For what no daemon does yet: refuses where one was asked for, whose database is another.
pub fn here_only(global: &Global, what: &str) -> Result<(), Failure> {
    if global.insists_on_daemon() && !global.local && global.chosen_db().is_none() {
        return Err(
            Failure::usage(format!("{what} is done in this process, not by the daemon"))
                .hint("leave --socket and LOUPE_SOCKET away, or say --local or --db PATH"),
        );
    }
    Ok(())
}

/// For what only root can do, and no daemon does yet.
pub fn root_here(global: &Global, what: &str) -> Result<(), Failure> {
    if !nix::unistd::geteuid().is_root() {
        return Err(
            Failure::internal(format!("{what} needs root: louped does not do it yet"))
                .hint("run it through sudo"),
        );
    }
    here_only(global, what)
}

fn decide(daemon: &DaemonFact, need: Need, root: bool, socket: &Path) -> Result<Door, Failure> {
    if matches!(daemon, DaemonFact::Answers { .. }) {
        return Ok(Door::Daemon);
    }
    match need {
        Need::Results => return Ok(Door::Here),
        Need::Engine if root => return Ok(Door::Here),
        Need::Engine | Need::Daemon | Need::Service => {}
    }
    let why = why(daemon, socket).unwrap_or_else(|| "louped is not running".to_owned());
    Err(match (need, daemon) {
        (_, DaemonFact::Denied) => Failure::internal(why).hint(
            "join the group that may use it (`sudo usermod -aG loupe $USER`, then log in again), \
             or run loupe as root",
        ),
        (Need::Daemon, _) => Failure::internal(format!("there are no jobs: {why}"))
            .hint("start it: `systemctl start louped`, or `louped` as root"),
        (Need::Service, _) => Failure::internal(format!("nobody watches services here: {why}"))
            .hint(
                "start it: `systemctl enable --now louped`, or `louped` as root; what it is to \
                 watch it remembers",
            ),
        _ => Failure::internal(format!("this needs root or the daemon, and {why}")).hint(
            "run it as root, or have root start louped (`systemctl start louped`) and put you \
             into the group `loupe`; `loupe doctor` tells more",
        ),
    })
}

/// Why the daemon cannot be used, unless it is simply not there.
fn why(daemon: &DaemonFact, socket: &Path) -> Option<String> {
    let socket = socket.display();
    match daemon {
        DaemonFact::Absent | DaemonFact::Answers { .. } => None,
        DaemonFact::Dead => Some(format!("nobody answers at {socket}")),
        DaemonFact::Denied => Some(format!("you may not connect to {socket}")),
        DaemonFact::Strange(what) => Some(format!("the daemon at {socket} is no good: {what}")),
    }
}

/// Asks whether anybody is there.
pub async fn probe(socket: &Path) -> DaemonFact {
    probe_within(socket, GREETING_LIMIT).await
}

async fn probe_within(socket: &Path, limit: Duration) -> DaemonFact {
    match tokio::time::timeout(limit, greet(socket)).await {
        Ok(found) => found,
        // The kernel lets one connect although nobody accepts.
        Err(_) => DaemonFact::Dead,
    }
}

async fn greet(socket: &Path) -> DaemonFact {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound => DaemonFact::Absent,
                io::ErrorKind::ConnectionRefused => DaemonFact::Dead,
                io::ErrorKind::PermissionDenied => DaemonFact::Denied,
                _ => DaemonFact::Strange(error.to_string()),
            };
        }
    };
    // Whoever listens there gets workloads, descriptors and trust: it must be root or ourselves.
    match link::peer_identity(&stream) {
        Ok(peer) if peer.uid == 0 || peer.uid == nix::unistd::geteuid().as_raw() => {}
        Ok(peer) => {
            return DaemonFact::Strange(format!("it runs as uid {}, not as root", peer.uid));
        }
        Err(error) => return DaemonFact::Strange(error.to_string()),
    }
    drop(stream);
    match talk::ask(socket, &Request::Hello).await {
        Ok(Reply::Hello { version, .. }) => DaemonFact::Answers { version },
        Ok(other) => DaemonFact::Strange(talk::unexpected(&other).message),
        // It is there, and says why it cannot serve: too many connections, stopping.
        Err(failure) if failure.code == code::BUSY => DaemonFact::Answers {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        Err(failure) => DaemonFact::Strange(failure.message),
    }
}

/// The database of this process.
pub fn database(global: &Global) -> Result<PathBuf, Failure> {
    let chosen = global.chosen_db().map(|(path, _)| path.to_owned());
    chosen.or_else(default_database).ok_or_else(|| {
        Failure::usage("there is no place for the database: HOME is not set")
            .hint("choose one with --db PATH")
    })
}

/// Opens the database for reading; the error is the path where none is yet. Reading makes none.
pub fn library(global: &Global) -> Result<Result<Library, PathBuf>, Failure> {
    let path = database(global)?;
    match path.exists() {
        true => Library::open(&path).map(Ok),
        false => Ok(Err(path)),
    }
}

/// The database that was named is not there.
pub fn no_database(path: &Path) -> Failure {
    Failure::usage(format!("there is no database at {}", path.display())).hint(
        "`loupe analyze WORKLOAD.toml` makes one, `loupe import loupedb DIR` too; without --db it is \
         the usual one",
    )
}

/// For what changes a database without the daemon. What a user without rights does to it would not be
/// seen behind the daemon, nor what root does behind another daemon than the system's.
pub async fn own_database(global: &Global, what: &str) -> Result<PathBuf, Failure> {
    let root = nix::unistd::geteuid().is_root();
    let behind_daemon = !root || global.insists_on_daemon();
    if behind_daemon && choose(global, Need::Results).await? == Door::Daemon {
        return Err(Failure::usage(format!(
            "{what} writes a database directly, not by the daemon"
        ))
        .hint(
            "do it as root, without --socket and LOUPE_SOCKET, or choose another database with \
             --db PATH (or --local)",
        ));
    }
    database(global)
}

/// An application is not in a database that is not there.
pub fn not_analyzed_at(path: &Path, application: &str, workload: Option<&str>) -> Failure {
    let mut failure = not_analyzed(application, workload);
    failure.causes = [format!("there is no database at {}", path.display())].into();
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> DaemonFact {
        DaemonFact::Answers {
            version: "1".to_owned(),
        }
    }

    fn decided(daemon: DaemonFact, need: Need, root: bool) -> Result<Door, Failure> {
        decide(&daemon, need, root, Path::new("/s"))
    }

    #[test]
    fn the_daemon_is_used_where_it_answers() {
        for need in [Need::Engine, Need::Results, Need::Daemon, Need::Service] {
            for root in [true, false] {
                assert_eq!(decided(answers(), need, root), Ok(Door::Daemon));
            }
        }
    }

    #[test]
    fn without_a_daemon_root_works_here_and_others_only_look_things_up() {
        let strange = DaemonFact::Strange("odd".to_owned());
        for daemon in [
            DaemonFact::Absent,
            DaemonFact::Dead,
            DaemonFact::Denied,
            strange,
        ] {
            let ask = |need, root| decided(daemon.clone(), need, root);
            assert_eq!(ask(Need::Engine, true), Ok(Door::Here), "{daemon:?}");
            assert_eq!(ask(Need::Results, false), Ok(Door::Here), "{daemon:?}");
            for (need, root) in [
                (Need::Engine, false),
                (Need::Daemon, false),
                (Need::Daemon, true),
                (Need::Service, false),
                (Need::Service, true),
            ] {
                let refused = ask(need, root).expect_err("no way");
                assert_eq!(refused.exit_code, 125);
                assert!(refused.hint.is_some(), "{daemon:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_daemon_that_was_asked_for_must_answer_whatever_is_needed() {
        let directory = tempfile::tempdir().expect("a directory");
        let dead = directory.path().join("dead");
        drop(std::os::unix::net::UnixListener::bind(&dead).expect("bound"));
        for socket in [dead, directory.path().join("absent")] {
            let global = Global {
                chosen_socket: Some(socket.clone()),
                ..Global::default()
            };
            for need in [Need::Engine, Need::Results, Need::Daemon] {
                let refused = choose(&global, need).await.expect_err("nobody answers");
                assert_eq!(refused.exit_code, 125);
                let named = socket.display().to_string();
                assert!(refused.message.contains(&named), "{refused}");
                assert!(refused.hint.is_some());
            }
            let refused = here_only(&global, "emulating").expect_err("not by this daemon");
            assert_eq!(refused.exit_code, 2);
            let local = Global {
                local: true,
                ..global
            };
            here_only(&local, "emulating").expect("as asked for");
            assert_eq!(choose(&local, Need::Results).await, Ok(Door::Here));
        }
    }

    #[tokio::test]
    async fn every_kind_of_silence_at_the_socket_is_told_apart() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        assert_eq!(probe(&path).await, DaemonFact::Absent);
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        drop(listener);
        assert_eq!(probe(&path).await, DaemonFact::Dead);
    }

    #[tokio::test]
    async fn a_daemon_that_never_greets_is_as_good_as_dead() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let _silent = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        let limit = Duration::from_millis(20);
        assert_eq!(probe_within(&path, limit).await, DaemonFact::Dead);
    }
}
