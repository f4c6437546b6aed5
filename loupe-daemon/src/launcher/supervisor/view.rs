//! Where a path leads, as the thread that gave it sees it: its root, its working directory, its
//! descriptors, and every link on the way. Only for what matters here: does it lead to a
//! pseudo-file, and to which? Links are read with the rights of the workload's user: what it
//! cannot reach leads nowhere.
//!
//! What `/proc` shows of processes is not walked (whoever looks sees himself there): its few
//! links are known, and where one leads out of `/proc`, the way ends at the link.

use std::io;
use std::os::fd::OwnedFd;

use loupe_common::pseudo_file::{Own, PseudoFile};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::Mode;

use crate::launcher::protocol::Identity;
use crate::launcher::rights::within_rights_of;

/// As many links as the kernel follows (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// The view of one thread.
pub struct View<'a> {
    /// The host's `/proc`.
    pub proc: &'a OwnedFd,
    pub tid: i32,
    pub identity: &'a Identity,
}

impl View<'_> {
    /// The pseudo-files that a path names on its way, each link by its own name first; the last
    /// is where it ends. None: it leads elsewhere. An error: nobody can tell.
    pub fn pseudo_files(
        &self,
        directory: Option<i32>,
        path: &str,
        follow: bool,
    ) -> io::Result<Vec<PseudoFile>> {
        let Some(path) = self.absolute(directory, path) else {
            return Ok(Vec::new());
        };
        let walked = match PseudoFile::new(&clean(&path), None) {
            Some(_) => self.walk(&path, follow)?,
            // Mostly there is no link at all on the way, which one call tells.
            None => match self.has_links(&path, follow) {
                true => self.walk(&path, follow)?,
                false => Vec::new(),
            },
        };
        let numbered = |path: &String| {
            let rest = path.strip_prefix("/proc/").unwrap_or_default();
            rest.starts_with(|first: char| first.is_ascii_digit())
        };
        let own = match walked.iter().any(numbered) {
            true => self.own(),
            false => None,
        };
        let mut files: Vec<PseudoFile> = Vec::new();
        let elsewhere = |path: &&String| PseudoFile::new(path, None).is_none();
        if walked.last().as_ref().is_none_or(elsewhere) {
            return Ok(files);
        }
        for path in &walked {
            if let Some(file) = PseudoFile::new(path, own)
                && !files.contains(&file)
            {
                files.push(file);
            }
        }
        Ok(files)
    }

    /// Its ids as it sees them itself.
    pub fn own(&self) -> Option<Own> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let status = openat(
            self.proc,
            format!("{}/status", self.tid).as_str(),
            flags,
            Mode::empty(),
        );
        let text = std::io::read_to_string(std::fs::File::from(status.ok()?)).ok()?;
        let innermost = |field: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_whitespace().last()?.parse().ok()
        };
        Some(Own {
            pid: innermost("NStgid:")?,
            tid: innermost("NSpid:")?,
        })
    }

    /// The path with what it starts from before it; `None` where that is no directory.
    fn absolute(&self, directory: Option<i32>, path: &str) -> Option<String> {
        if path.starts_with('/') {
            return Some(path.to_owned());
        }
        // An empty path means the descriptor itself, whose file was looked up before.
        if path.is_empty() {
            return None;
        }
        let start = match directory {
            Some(descriptor) if descriptor != libc::AT_FDCWD => {
                self.link(&format!("fd/{descriptor}"))?
            }
            _ => self.link("cwd")?,
        };
        // As we see it; its own root is left out.
        let root = self.link("root")?;
        let start = start.strip_prefix(root.trim_end_matches('/'))?;
        let absolute = start.is_empty() || start.starts_with('/');
        absolute.then(|| format!("{start}/{path}"))
    }

    fn link(&self, name: &str) -> Option<String> {
        let link = readlinkat(self.proc, format!("{}/{name}", self.tid).as_str()).ok()?;
        link.into_string().ok()
    }

    fn root(&self) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(
            self.proc,
            format!("{}/root", self.tid).as_str(),
            flags,
            Mode::empty(),
        )
    }

    fn has_links(&self, path: &str, follow: bool) -> bool {
        let mut flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        if !follow {
            flags |= OFlag::O_NOFOLLOW;
        }
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_IN_ROOT);
        match self.root() {
            Ok(root) => openat2(&root, path, how).err() == Some(Errno::ELOOP),
            // Gone: nobody needs the answer.
            Err(_) => false,
        }
    }

    /// The path as it is before each link, and at its end.
    fn walk(&self, path: &str, follow: bool) -> io::Result<Vec<String>> {
        // Gone: nobody needs the answer.
        let Ok(root) = self.root() else {
            return Ok(Vec::new());
        };
        // What is before the last component is no link any more, so each look stays below its root.
        let link = |path: &str| readlinkat(&root, path.trim_start_matches('/')).ok();
        within_rights_of(self.identity, || {
            walk(path, follow, |path| link(path)?.into_string().ok())
        })
    }
}

/// As [`View::walk`]; `link` tells the content of a link.
fn walk(path: &str, follow: bool, link: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut way = Vec::new();
    let mut at = String::new();
    let mut rest: Vec<String> = parts(path).rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            at.truncate(at.rfind('/').unwrap_or(0));
            continue;
        }
        at = format!("{at}/{part}");
        if of_process(&at) {
            if is_exit(&at) {
                // What follows lies where the link leads.
                rest.clear();
            }
            continue;
        }
        if rest.is_empty() && !follow {
            continue;
        }
        // These are no links anywhere, and the first on most ways that matter.
        if matches!(at.as_str(), "/proc" | "/sys" | "/dev") {
            continue;
        }
        let Some(content) = link(&at) else {
            continue;
        };
        links += 1;
        if links > MOST_LINKS {
            return Vec::new();
        }
        let tail = rest.iter().rev().map(String::as_str);
        way.push(clean(
            &[at.as_str()]
                .into_iter()
                .chain(tail)
                .collect::<Vec<_>>()
                .join("/"),
        ));
        at = match content.starts_with('/') {
            true => String::new(),
            false => at[..at.rfind('/').unwrap_or(0)].to_owned(),
        };
        rest.extend(parts(&content).rev().map(str::to_owned));
    }
    way.push(if at.is_empty() { "/".to_owned() } else { at });
    way
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// Without `.`, `..` and doubled slashes, as if there were no links.
fn clean(path: &str) -> String {
    let mut clean: Vec<&str> = Vec::new();
    for part in parts(path) {
        match part {
            ".." => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    format!("/{}", clean.join("/"))
}

/// Whether it is the directory of a process in `/proc`, or below.
fn of_process(path: &str) -> bool {
    let first = path
        .strip_prefix("/proc/")
        .and_then(|rest| rest.split('/').next());
    first.is_some_and(|first| {
        matches!(first, "self" | "thread-self") || first.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether it is a link that leads out of `/proc`.
fn is_exit(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').skip(3).collect();
    if let ["task", _, below @ ..] = &parts[..] {
        parts = below.to_vec();
    }
    matches!(
        parts[..],
        ["cwd" | "root" | "exe"] | ["fd" | "map_files" | "ns", _]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(path: &str, follow: bool) -> Vec<String> {
        walk(path, follow, |at| {
            let content = match at {
                "/proc/mounts" => "self/mounts",
                "/etc/mtab" => "../proc/self/mounts",
                "/dev/stdin" => "/proc/self/fd/0",
                "/sys/class/net/lo" => "../../devices/virtual/net/lo",
                "/loop" => "/loop",
                "/lib" => "usr/lib",
                _ => return None,
            };
            Some(content.to_owned())
        })
    }

    #[test]
    fn links_are_followed_and_named() {
        for (path, expected) in [
            ("/etc/passwd", &["/etc/passwd"][..]),
            ("/etc/mtab", &["/etc/mtab", "/proc/self/mounts"]),
            ("/proc/mounts", &["/proc/mounts", "/proc/self/mounts"]),
            ("/dev/stdin", &["/dev/stdin", "/proc/self/fd/0"]),
            (
                "/sys/class/net/lo/mtu",
                &["/sys/class/net/lo/mtu", "/sys/devices/virtual/net/lo/mtu"],
            ),
            ("/lib/../x", &["/x", "/usr/x"]),
            ("/proc/self/../cpuinfo", &["/proc/cpuinfo"]),
            ("/..//./proc", &["/proc"]),
            ("/", &["/"]),
            ("/loop", &[]),
        ] {
            assert_eq!(way(path, true), expected, "{path}");
        }
    }

    #[test]
    fn a_link_that_is_looked_at_itself_is_not_followed() {
        assert_eq!(way("/etc/mtab", false), ["/etc/mtab"]);
        assert_eq!(way("/proc/mounts", false), ["/proc/mounts"]);
        let below = way("/sys/class/net/lo/mtu", false);
        assert_eq!(
            below.last().expect("an end"),
            "/sys/devices/virtual/net/lo/mtu"
        );
    }

    #[test]
    fn what_leads_out_of_proc_ends_at_its_link() {
        for (path, end) in [
            ("/proc/self/root/etc/passwd", "/proc/self/root"),
            ("/proc/12/task/13/fd/4", "/proc/12/task/13/fd/4"),
            ("/proc/self/cwd/../x", "/proc/self/cwd"),
            ("/proc/self/fd", "/proc/self/fd"),
            ("/proc/self/maps", "/proc/self/maps"),
        ] {
            assert_eq!(way(path, true), [end], "{path}");
        }
    }

    #[test]
    fn a_real_thread_is_seen_from_outside() {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let proc = nix::fcntl::open("/proc", flags, Mode::empty()).expect("/proc");
        let view = View {
            proc: &proc,
            tid: nix::unistd::gettid().as_raw(),
            identity: &Identity {
                uid: nix::unistd::geteuid().as_raw(),
                gid: nix::unistd::getegid().as_raw(),
                groups: Vec::new(),
            },
        };
        let names = |path: &str| -> Vec<String> {
            let files = view.pseudo_files(None, path, true).expect("told");
            files.iter().map(PseudoFile::to_string).collect()
        };
        let own = format!("/proc/{}/maps", view.own().expect("own ids").pid);
        assert_eq!(names(&own), ["/proc/self/maps"]);
        assert_eq!(names("/proc/1/maps"), ["/proc/<pid>/maps"]);
        assert_eq!(names("/proc/mounts"), ["/proc/mounts", "/proc/self/mounts"]);
        assert_eq!(names("/etc/passwd"), [] as [&str; 0]);
        assert_eq!(names("relative"), [] as [&str; 0]);
        let directory = nix::fcntl::open("/proc/sys", flags, Mode::empty()).expect("opened");
        let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
        let files = view.pseudo_files(Some(number), "kernel/../vm/swappiness", true);
        let files = files.expect("told");
        assert_eq!(files[0].as_str(), "/proc/sys/vm/swappiness");
    }
}
