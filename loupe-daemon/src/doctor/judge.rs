//! From facts to checks: what is well, what is limited, what is missing, and the cure.

use super::facts::{DaemonFact, Facts, NAMESPACES, Overlay, Trial};
use super::{Check, Report, Status};

/// What an engine needs to be able to do; bit numbers of `include/uapi/linux/capability.h`.
/// `docs/capabilities.md` says why.
const CAPABILITIES: &[(u32, &str)] = &[
    (0, "CAP_CHOWN"),
    (1, "CAP_DAC_OVERRIDE"),
    (5, "CAP_KILL"),
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
    (12, "CAP_NET_ADMIN"),
    (18, "CAP_SYS_CHROOT"),
    (19, "CAP_SYS_PTRACE"),
    (21, "CAP_SYS_ADMIN"),
    (27, "CAP_MKNOD"),
    (38, "CAP_PERFMON"),
    (39, "CAP_BPF"),
];

/// The in-kernel programs use helpers of 5.15; `docs/kernels.md` has the list.
const OLDEST_KERNEL: (u32, u32) = (5, 15);

/// Free memory, in KiB, for a handful of replays at a time: their throw-away layers are in it.
/// Chosen, not measured.
const MIN_FREE_MEMORY_KIB: u64 = 512 * 1024;

/// Free bytes for the database of some hundred analyses. Chosen, not measured.
const MIN_FREE_DISK_BYTES: u64 = 1 << 30;

/// Decides on every check.
pub fn judge(facts: &Facts) -> Report {
    Report::new(vec![
        kernel(facts),
        machine(facts),
        btf(facts),
        object(facts),
        privileges(facts),
        cgroup(facts),
        seccomp(facts),
        notification(facts),
        ptrace(facts),
        overlay(facts),
        namespaces(facts),
        lockdown(facts),
        jit(facts),
        io_uring(facts),
        cpus(facts),
        memory(facts),
        disk(facts),
        daemon(facts),
        trial(facts),
    ])
}

/// What a process wants to do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Trace a command, and inject into it, without a sandbox.
    Command,
    /// Replays, which have sandboxes.
    Replays,
}

/// The first thing that makes this work impossible, where there is any. Overlay is not among them:
/// from inside a container, nobody can tell whether the kernel will load its module.
pub fn obstacle(facts: &Facts, work: Work) -> Option<Check> {
    type Judge = fn(&Facts) -> Check;
    let always: [Judge; 9] = [
        kernel, machine, object, privileges, lockdown, btf, cgroup, seccomp, ptrace,
    ];
    let replays: &[Judge] = match work {
        Work::Command => &[],
        Work::Replays => &[namespaces],
    };
    let mut checks = always.iter().chain(replays).map(|judge| judge(facts));
    checks.find(|check| check.status == Status::Fail)
}

fn check(name: &'static str, needed_for: &'static str, found: impl Into<String>) -> Check {
    Check {
        name,
        status: Status::Ok,
        found: found.into(),
        needed_for,
        cure: None,
    }
}

impl Check {
    fn warn(self, cure: impl Into<String>) -> Check {
        self.but(Status::Warn, cure)
    }

    fn fail(self, cure: impl Into<String>) -> Check {
        self.but(Status::Fail, cure)
    }

    fn but(mut self, status: Status, cure: impl Into<String>) -> Check {
        self.status = status;
        self.cure = Some(cure.into());
        self
    }
}

fn kernel(facts: &Facts) -> Check {
    let release = facts.kernel_release.as_deref().unwrap_or("unknown");
    let found = check("kernel", "everything", release);
    let (major, minor) = OLDEST_KERNEL;
    match version(release) {
        Some(version) if version >= OLDEST_KERNEL => found,
        Some(_) => found.fail(format!("use Linux {major}.{minor} or newer")),
        None => found.warn(format!("make sure that it is {major}.{minor} or newer")),
    }
}

/// Major and minor number of a kernel's release.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-', '+']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn machine(facts: &Facts) -> Check {
    let found = check("machine", "syscall tables, injection", facts.machine);
    match facts.machine {
        "x86_64" => found,
        "aarch64" => found.fail(
            "use an x86-64 machine: Loupe compiles for aarch64 and has never run there, and its \
             in-kernel programs read x86-64's registers",
        ),
        _ => found.fail("use an x86-64 machine"),
    }
}

fn btf(facts: &Facts) -> Check {
    match facts.btf_bytes {
        Some(bytes) => check("BTF", "tracing", format!("{} KiB", bytes / 1024)),
        None => check("BTF", "tracing", "no /sys/kernel/btf/vmlinux").fail(
            "use a kernel with CONFIG_DEBUG_INFO_BTF=y (those of Debian 11+, Ubuntu 20.10+, \
             Fedora 31+ and RHEL 8.2+ have it)",
        ),
    }
}

fn object(facts: &Facts) -> Check {
    match facts.object_bytes {
        0 => check("eBPF programs", "tracing", "not in this binary").fail(
            "build Loupe where bpf-linker is there: `cargo xtask setup`, then `cargo xtask \
             build --release`",
        ),
        bytes => check(
            "eBPF programs",
            "tracing",
            format!("{} KiB in this binary", bytes.div_ceil(1024)),
        ),
    }
}

fn privileges(facts: &Facts) -> Check {
    const FOR: &str = "tracing, sandbox, injection";
    if facts.uid != 0 {
        let found = check("privileges", FOR, format!("uid {}", facts.uid));
        return match &facts.daemon {
            DaemonFact::Answers { .. } => check(
                "privileges",
                FOR,
                format!("uid {}, louped does the rest", facts.uid),
            ),
            DaemonFact::Denied => found.fail(
                "join the group that may use louped: `sudo usermod -aG loupe $USER`, then log \
                 in again",
            ),
            _ => found.fail("run as root, or have root start louped: `systemctl start louped`"),
        };
    }
    let Some(capabilities) = facts.capabilities else {
        return check("privileges", FOR, "root, capabilities unknown")
            .warn("mount /proc, so that the capabilities can be read");
    };
    let missing: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(bit, _)| capabilities & (1 << bit) == 0)
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return check("privileges", FOR, "root, all needed capabilities");
    }
    check(
        "privileges",
        FOR,
        format!("root without {}", missing.join(", ")),
    )
    .fail("run outside of the container, or give it these capabilities (docs/capabilities.md)")
}

fn cgroup(facts: &Facts) -> Check {
    const FOR: &str = "telling replays apart";
    const MOUNT: &str = "mount one: `mount -t cgroup2 none /sys/fs/cgroup/unified`";
    let Some(cgroup) = &facts.cgroup2 else {
        return check("cgroup v2", FOR, "not mounted").fail(MOUNT);
    };
    let path = cgroup.path.display();
    if cgroup.read_only {
        let found = check("cgroup v2", FOR, format!("{path}, read-only"));
        return found.fail(format!("remount it: `mount -o remount,rw {path}`"));
    }
    match cgroup.kill {
        Some(false) => check("cgroup v2", FOR, format!("{path}, without cgroup.kill"))
            .fail("use Linux 5.14 or newer"),
        _ => check("cgroup v2", FOR, path.to_string()),
    }
}

fn seccomp(facts: &Facts) -> Check {
    const FOR: &str = "injection";
    let Some(actions) = &facts.seccomp_actions else {
        return check("seccomp filters", FOR, "not in this kernel")
            .fail("use a kernel with CONFIG_SECCOMP_FILTER=y");
    };
    match actions.iter().any(|action| action == "errno") {
        true => check("seccomp filters", FOR, "available"),
        false => check(
            "seccomp filters",
            FOR,
            format!("only {}", actions.join(" ")),
        )
        .fail("use Linux 4.14 or newer, outside of sandboxes that restrict seccomp"),
    }
}

fn notification(facts: &Facts) -> Check {
    const FOR: &str = "plausible fakes";
    let actions = facts.seccomp_actions.as_deref().unwrap_or_default();
    match actions.iter().any(|action| action == "user_notif") {
        true => check("seccomp notification", FOR, "available"),
        false => check("seccomp notification", FOR, "not in this kernel")
            .warn("use Linux 5.0 or newer; plain stubs and fakes work without it"),
    }
}

fn ptrace(facts: &Facts) -> Check {
    const FOR: &str = "injection from the start";
    match facts.ptrace_scope {
        Some(3) => check("ptrace", FOR, "forbidden (ptrace_scope 3)").fail(
            "set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d and reboot (3 cannot be \
             taken back)",
        ),
        Some(scope) => check("ptrace", FOR, format!("allowed (ptrace_scope {scope})")),
        None => check("ptrace", FOR, "allowed"),
    }
}

fn overlay(facts: &Facts) -> Check {
    const FOR: &str = "undoing what replays write";
    match facts.overlay {
        Overlay::Loaded => check("overlay", FOR, "available"),
        Overlay::Module => check("overlay", FOR, "a module, loaded when first used"),
        Overlay::Absent => check("overlay", FOR, "not in this kernel")
            .fail("load it: `modprobe overlay`, or use a kernel with CONFIG_OVERLAY_FS"),
    }
}

fn namespaces(facts: &Facts) -> Check {
    const FOR: &str = "keeping replays apart";
    let missing: Vec<&str> = NAMESPACES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !facts.namespaces.iter().any(|found| found == name))
        .collect();
    if missing.is_empty() {
        return check("namespaces", FOR, facts.namespaces.join(" "));
    }
    check("namespaces", FOR, format!("without {}", missing.join(" "))).fail(
        "raise the limits user.max_*_namespaces (sysctl), or use a kernel that has these \
         namespaces",
    )
}

fn lockdown(facts: &Facts) -> Check {
    const FOR: &str = "tracing";
    match facts.lockdown.as_deref() {
        Some("confidentiality") => check("lockdown", FOR, "confidentiality")
            .fail("boot with lockdown=integrity or less: tracing reads kernel memory"),
        Some(word) => check("lockdown", FOR, word),
        None => check("lockdown", FOR, "none"),
    }
}

fn jit(facts: &Facts) -> Check {
    match facts.bpf_jit {
        Some(0) => {
            check("BPF compiler", "speed", "off").warn("`sysctl -w net.core.bpf_jit_enable=1`")
        }
        _ => check("BPF compiler", "speed", "on"),
    }
}

fn io_uring(facts: &Facts) -> Check {
    const FOR: &str = "seeing every call";
    match (facts.io_uring_exists, facts.io_uring_disabled) {
        (false, _) => check("io_uring", FOR, "not in this kernel"),
        (true, Some(2)) => check("io_uring", FOR, "disabled"),
        (true, _) => {
            let (found, what) = match facts.io_uring_counted {
                Some(true) => ("enabled, counted", "counted, and not injected one by one"),
                Some(false) => ("enabled, unseen", "neither counted nor injected"),
                None => ("enabled", "not injected one by one"),
            };
            check("io_uring", FOR, found).warn(format!(
                "what an application does by io_uring is {what} (analyses say so): `sysctl -w \
                 kernel.io_uring_disabled=2` has it use plain syscalls"
            ))
        }
    }
}

/// All of it together, on the smallest program that there is.
fn trial(facts: &Facts) -> Check {
    const FOR: &str = "everything";
    const NAME: &str = "trace of `true`";
    match &facts.trial {
        Trial::Untried => check(NAME, FOR, "not tried"),
        Trial::Traced { calls, ends: 1 } => check(NAME, FOR, format!("{calls} calls")),
        Trial::Traced { calls, ends } => check(
            NAME,
            FOR,
            format!("{calls} calls, {ends} of them exit_group"),
        )
        .fail(
            "Loupe does not see what runs here: measure nothing on this host, and report it \
                 with the output of `loupe doctor --json`",
        ),
        Trial::Failed(why) => check(NAME, FOR, why.as_str())
            .fail("`loupe -vv trace -- true` says more; report it if its cause is not plain"),
    }
}

fn cpus(facts: &Facts) -> Check {
    let found = check("CPUs", "replays at a time", facts.cpus.to_string());
    match facts.cpus {
        0 | 1 => found.warn("analyses run one replay at a time; with more CPUs they are quicker"),
        _ => found,
    }
}

fn memory(facts: &Facts) -> Check {
    const FOR: &str = "what replays write";
    match facts.memory_available_kib {
        None => check("memory", FOR, "unknown").warn("mount /proc"),
        Some(kib) => {
            let found = check("memory", FOR, format!("{} MiB available", kib / 1024));
            match kib < MIN_FREE_MEMORY_KIB {
                true => found.warn("free some, or run fewer replays at a time (--jobs 1)"),
                false => found,
            }
        }
    }
}

fn disk(facts: &Facts) -> Check {
    const FOR: &str = "the database";
    let Some((path, free)) = &facts.database else {
        return check("disk", FOR, "no place for the database")
            .fail("choose one with --db PATH, or set HOME");
    };
    let found = check(
        "disk",
        FOR,
        format!("{} MiB free in {}", free >> 20, path.display()),
    );
    match *free < MIN_FREE_DISK_BYTES {
        true => found.warn("make room, or choose another place with --db PATH"),
        false => found,
    }
}

fn daemon(facts: &Facts) -> Check {
    const FOR: &str = "use without root, jobs";
    let start = "`systemctl start louped`, or run `louped` as root";
    let group = || {
        "there is no group `loupe`, so only root can use louped: `groupadd --system loupe`, then \
         restart it"
    };
    match &facts.daemon {
        DaemonFact::Answers { version } => {
            let found = check("louped", FOR, format!("answers, release {version}"));
            match (version == env!("CARGO_PKG_VERSION"), facts.group) {
                (false, _) => found.warn(format!(
                    "this is release {}: restart louped after an upgrade",
                    env!("CARGO_PKG_VERSION")
                )),
                (true, false) => found.warn(group()),
                (true, true) => found,
            }
        }
        DaemonFact::Absent if facts.uid == 0 => check("louped", FOR, "not running (not needed)"),
        DaemonFact::Absent => check("louped", FOR, "not running").fail(start),
        DaemonFact::Dead => {
            let found = check("louped", FOR, "a socket at which nobody answers");
            match facts.uid {
                0 => found.warn(start),
                _ => found.fail(start),
            }
        }
        DaemonFact::Denied => check("louped", FOR, "running, not for this user").fail(
            "join the group that may use it: `sudo usermod -aG loupe $USER`, then log in again",
        ),
        DaemonFact::Strange(what) => {
            let found = check("louped", FOR, format!("answers strangely: {what}"));
            match facts.uid {
                0 => found.warn("restart it, or use --local"),
                _ => found.fail("restart it"),
            }
        }
    }
}
