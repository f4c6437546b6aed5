//! Arguments of `loupe profile`, and how units, containers, cgroups and processes are named.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueHint};
use loupe_common::profile::Target;

use super::moment::{Moment, moment};

/// Watch what services really use, for months, at a bounded price
///
/// louped looks on and injects nothing. docs/profiles.md is the manual: what is recorded, what
/// never is, and what "not seen", "not observed" and "lost" mean.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe profile add nginx.service redis-server.service
  loupe profile show nginx.service --since 7d
  loupe profile diff nginx.service --since 2026-11-01    a gate: exits with 1 if something is new
  loupe profile diff nginx.service --workload nginx.toml what the workload never did
  loupe plan --os Kerla --apps 'profile:*'               a profile as a source")]
pub struct Profile {
    #[command(subcommand)]
    pub command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    Add(ProfileAdd),
    Remove(ProfileRemove),
    Status(ProfileStatus),
    Show(ProfileShow),
    Watch(ProfileWatch),
    Diff(ProfileDiff),
    Top(ProfileTop),
    Export(super::ProfileExport),
}

/// Watch services from now on, also after restarts
///
/// Exits with 1 when a unit is named that is not known here; it is watched all the same, as soon as
/// it appears.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe profile add nginx 'php*.service'
  loupe profile add --all-services
  loupe profile add --container web --executable /usr/bin/foo")]
pub struct ProfileAdd {
    #[command(flatten)]
    pub targets: Targets,

    /// Print JSON (schema loupe.profile-targets/1)
    #[arg(long)]
    pub json: bool,
}

/// Watch services no longer; what was observed of them is kept
#[derive(Debug, Args)]
pub struct ProfileRemove {
    #[command(flatten)]
    pub targets: Targets,

    /// Print JSON (schema loupe.profile-targets/1)
    #[arg(long)]
    pub json: bool,
}

/// What is to be watched.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("watched").required(true).multiple(true)
    .args(["units", "all_services", "slice", "container", "executable", "cgroup", "pid"])))]
pub struct Targets {
    /// Units by name or pattern (`php*.service`, quoted); a name without a suffix is a service's
    #[arg(value_name = "UNIT", value_parser = unit)]
    pub units: Vec<Target>,

    /// Every service
    #[arg(long)]
    pub all_services: bool,

    /// Every unit below this slice; may be repeated, as the ones below
    #[arg(long, value_name = "SLICE", value_parser = slice)]
    pub slice: Vec<Target>,

    /// A container, by its name or (the beginning of) its id
    #[arg(long, value_name = "NAME|ID", value_parser = container)]
    pub container: Vec<Target>,

    /// A program, wherever it runs
    #[arg(long, value_name = "PATH", value_parser = executable,
          value_hint = ValueHint::ExecutablePath)]
    pub executable: Vec<Target>,

    /// A cgroup and what lies below it
    #[arg(long, value_name = "PATH", value_parser = cgroup, value_hint = ValueHint::DirPath)]
    pub cgroup: Vec<Target>,

    /// The cgroup that this process is in now
    #[arg(long, value_name = "N", value_parser = process)]
    pub pid: Vec<Target>,
}

impl Targets {
    /// Each of them once, in the order of the options.
    pub fn all(&self) -> Vec<Target> {
        let services = self
            .all_services
            .then(|| Target::Unit(ALL_SERVICES.to_owned()));
        let mut all: Vec<Target> = Vec::new();
        for target in self
            .units
            .iter()
            .chain(&services)
            .chain(&self.slice)
            .chain(&self.container)
            .chain(&self.executable)
            .chain(&self.cgroup)
            .chain(&self.pid)
        {
            if !all.contains(target) {
                all.push(target.clone());
            }
        }
        all
    }
}

/// Print what is watched, how much of the time was observed, losses, cost
#[derive(Debug, Args)]
pub struct ProfileStatus {
    /// Print JSON (schema loupe.profile-status/1)
    #[arg(long)]
    pub json: bool,
}

/// Print what a service used: calls, errors, first and last seen, and how complete that is
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe profile show nginx.service
  loupe profile show nginx.service --since 7d --operations
  loupe profile show 'php*' --json")]
pub struct ProfileShow {
    /// The unit, container or cgroup, or a pattern
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Only what was observed since: a time ago (7d, 12h, 30m) or a date (2026-11-01; UTC)
    #[arg(long, value_name = "AGO|DATE", value_parser = moment)]
    pub since: Option<Moment>,

    /// Below each vectored syscall, its operations (fcntl: F_SETFD) and flags (mmap: + MAP_FIXED)
    #[arg(long)]
    pub operations: bool,

    /// Print JSON (schema loupe.profile/1)
    #[arg(long)]
    pub json: bool,
}

/// Print a line for each feature that is seen for the first time, as it happens
#[derive(Debug, Args)]
pub struct ProfileWatch {
    /// Only of this unit, container or cgroup, or pattern [default: all]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Print JSON, an object a line (schema loupe.profile-event/1)
    #[arg(long)]
    pub json: bool,
}

/// Tell what a service does that it did not do before, or that a workload never did
///
/// Exits with 1 when something is new, or missing in the workload; with 3 when nothing was observed
/// since.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("against").required(true).args(["since", "workload"])),
    after_help = "\
Examples:
  loupe profile diff nginx.service --since 7d
  loupe profile diff nginx.service --since 2026-11-01 --json
  loupe profile diff nginx.service --workload nginx.toml
  loupe profile diff nginx.service --workload nginx/wrk"
)]
pub struct ProfileDiff {
    /// The unit, container or cgroup
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Before and after: a time ago (7d, 12h, 30m) or a date (2026-11-01; UTC)
    #[arg(long, value_name = "AGO|DATE", value_parser = moment)]
    pub since: Option<Moment>,

    /// With what the newest analysis of this workload used: its file (FILE.toml), APP or APP/WORKLOAD
    #[arg(long, value_name = "FILE|APP/WORKLOAD", value_hint = ValueHint::FilePath)]
    pub workload: Option<String>,

    /// Operations and flags, too
    #[arg(long, conflicts_with = "workload")]
    pub operations: bool,

    /// Print JSON (schema loupe.profile-drift/1, with --workload loupe.profile-coverage/1)
    #[arg(long)]
    pub json: bool,
}

/// Look on: subjects by calls a second, what is new, what was not observed
///
/// On a terminal it is drawn again every 2 seconds, until Ctrl-C.
#[derive(Debug, Args)]
pub struct ProfileTop {
    /// Print once, also on a terminal
    #[arg(long)]
    pub once: bool,

    /// Print JSON, once (schema loupe.profile-status/1)
    #[arg(long)]
    pub json: bool,
}

/// What `--all-services` stands for.
const ALL_SERVICES: &str = "*.service";

/// The kinds of units that have processes of their own, and those that people may name by mistake.
const SUFFIXES: [&str; 11] = [
    "service",
    "scope",
    "slice",
    "socket",
    "timer",
    "target",
    "mount",
    "automount",
    "swap",
    "path",
    "device",
];
/// Of these, units have processes.
const WITH_PROCESSES: [&str; 4] = ["service", "scope", "socket", "mount"];

/// A unit by its name or a pattern; as `systemctl` does, a name without a suffix is a service's.
pub(super) fn unit(text: &str) -> Result<Target, String> {
    if text.is_empty() {
        return Err("a unit has a name".to_owned());
    }
    if text.contains('/') {
        return Err(
            "that is a path, not a unit: say --executable PATH or --cgroup PATH".to_owned(),
        );
    }
    let name = with_suffix(text);
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    match suffix {
        "slice" => Err(format!("a slice is watched with --slice {text}")),
        known if SUFFIXES.contains(&known) && !WITH_PROCESSES.contains(&known) => Err(format!(
            "a {known} has no processes of its own: name its service"
        )),
        _ => Ok(Target::Unit(name)),
    }
}

/// The name of a service where a name has no suffix; patterns stay as they are.
pub fn with_suffix(name: &str) -> String {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    match suffix {
        Some(suffix) if SUFFIXES.contains(&suffix) => name.to_owned(),
        _ if name.contains(['*', '?', '[', '/']) => name.to_owned(),
        _ => format!("{name}.service"),
    }
}

fn slice(text: &str) -> Result<Target, String> {
    match text {
        "" => Err("a slice has a name".to_owned()),
        path if path.contains('/') => Err("that is a path: say --cgroup PATH".to_owned()),
        name if name.ends_with(".slice") => Ok(Target::Slice(name.to_owned())),
        name => Ok(Target::Slice(format!("{name}.slice"))),
    }
}

pub(super) fn container(text: &str) -> Result<Target, String> {
    match text {
        "" => Err("a container has a name or an id".to_owned()),
        name => Ok(Target::Container(name.to_owned())),
    }
}

fn executable(text: &str) -> Result<Target, String> {
    let path = PathBuf::from(text);
    let absolute = std::path::absolute(&path).map_err(|error| error.to_string())?;
    // louped keeps executables as the kernel names them; one that is not there it refuses.
    let absolute = absolute.canonicalize().unwrap_or(absolute);
    match absolute.into_os_string().into_string() {
        Ok(path) => Ok(Target::Executable(path)),
        Err(_) => Err("the path is not UTF-8".to_owned()),
    }
}

pub(super) fn cgroup(text: &str) -> Result<Target, String> {
    match text {
        "" => Err("a cgroup has a path, below the cgroup root or absolute".to_owned()),
        path => Ok(Target::Cgroup(path.to_owned())),
    }
}

pub(super) fn process(text: &str) -> Result<Target, String> {
    match text.parse::<u32>() {
        Ok(pid) if pid > 0 => Ok(Target::Process(pid)),
        _ => Err("the number of a process is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_named_as_for_systemctl() {
        for (text, name) in [
            ("nginx", "nginx.service"),
            ("nginx.service", "nginx.service"),
            ("foo@1", "foo@1.service"),
            ("php8.2-fpm", "php8.2-fpm.service"),
            ("session-3.scope", "session-3.scope"),
            ("php*", "php*"),
        ] {
            assert_eq!(unit(text), Ok(Target::Unit(name.to_owned())), "{text}");
        }
        for (text, cure) in [
            ("/usr/sbin/nginx", "--executable"),
            ("system.slice", "--slice system.slice"),
            ("logrotate.timer", "its service"),
            ("", "has a name"),
        ] {
            let error = unit(text).expect_err(text);
            assert!(error.contains(cure), "{text}: {error}");
        }
        assert_eq!(
            slice("system"),
            Ok(Target::Slice("system.slice".to_owned()))
        );
    }

    #[test]
    fn processes_have_numbers_and_executables_paths() {
        assert_eq!(process("17"), Ok(Target::Process(17)));
        for text in ["0", "-1", "nginx", ""] {
            assert!(process(text).is_err(), "{text}");
        }
        assert_eq!(
            executable("/a/b"),
            Ok(Target::Executable("/a/b".to_owned()))
        );
        assert!(executable("").is_err());
        assert!(cgroup("").is_err() && container("").is_err());
    }
}
