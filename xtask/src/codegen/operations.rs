//! The names of operations and flags: one file an architecture, of sets of named values. What
//! the sets mean, and which argument of which syscall takes one, is written by hand in
//! `loupe-common/src/operations/meaning.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::Table;
use super::extra::EXTRA;
use super::headers::{Constants, Headers};

const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// A set of constants, by where they are and how their names start.
struct Source {
    set: &'static str,
    module: &'static str,
    /// Earlier ones win where two names have one value.
    prefixes: &'static [&'static str],
    /// Names that start so mean something else.
    not: &'static [&'static str],
}

const fn source(
    set: &'static str,
    module: &'static str,
    prefixes: &'static [&'static str],
    not: &'static [&'static str],
) -> Source {
    Source {
        set,
        module,
        prefixes,
        not,
    }
}

const SOURCES: &[Source] = &[
    source("clock", "general", &["CLOCK_"], &["CLOCK_AUX_LAST"]),
    source("clone flags", "general", &["CLONE_"], &["CLONE_ARGS_"]),
    source("epoll_create flags", "general", &["EPOLL_CLOEXEC"], &[]),
    source("epoll_ctl", "general", &["EPOLL_CTL_"], &[]),
    source("eventfd flags", "general", &["EFD_"], &[]),
    source("fadvise", "general", &["POSIX_FADV_"], &[]),
    source("family", "net", &["AF_"], &["AF_MAX"]),
    source(
        "fcntl",
        "general",
        &["F_"],
        &[
            "F_OWNER_", "F_RDLCK", "F_WRLCK", "F_UNLCK", "F_EXLCK", "F_SHLCK", "F_LINUX_",
            "F_SEAL_", "F_OK",
        ],
    ),
    source(
        "futex",
        "general",
        &["FUTEX_"],
        &[
            "FUTEX_PRIVATE_FLAG",
            "FUTEX_CLOCK_REALTIME",
            "FUTEX_32",
            "FUTEX_WAITV_MAX",
            "FUTEX_WAITERS",
            "FUTEX_OWNER_DIED",
            "FUTEX_TID_MASK",
            "FUTEX_BITSET_",
            "FUTEX_OP_",
        ],
    ),
    source(
        "futex flags",
        "general",
        &["FUTEX_PRIVATE_FLAG", "FUTEX_CLOCK_REALTIME"],
        &[],
    ),
    source(
        "inotify flags",
        "general",
        &["IN_CLOEXEC", "IN_NONBLOCK"],
        &[],
    ),
    source("io_uring_enter flags", "io_uring", &["IORING_ENTER_"], &[]),
    source(
        "io_uring_register",
        "io_uring",
        &["IORING_REGISTER_", "IORING_UNREGISTER_"],
        &[
            "IORING_REGISTER_LAST",
            "IORING_REGISTER_FILES_SKIP",
            "IORING_REGISTER_SRC_",
            "IORING_REGISTER_DST_",
        ],
    ),
    source("io_uring_setup flags", "io_uring", &["IORING_SETUP_"], &[]),
    source(
        "ioctl",
        "ioctl",
        &[
            // Where a value has two names, that of the more common device.
            "TC",
            "FIO",
            "TIOC",
            "SIOC",
            "RND",
            "BLK",
            "FS_IOC_",
            "FICLONE",
            "FIDEDUPERANGE",
            "FITRIM",
            "FIFREEZE",
            "FITHAW",
            "FIBMAP",
            "FIGETBSZ",
            "TUN",
            "LOOP_",
            "PERF_EVENT_IOC_",
            "UFFDIO_",
            "NS_GET_",
            "VT_",
            "KD",
            "GIO_",
            "PIO_",
            "RTC_",
            "HDIO_",
            "VHOST_",
            "VFIO_",
            "BTRFS_IOC_",
            "EXT4_IOC_",
            "DM_",
            "NBD_",
            "PTP_",
            "UI_",
            "USBDEVFS_",
            "NVME_",
            "WDIOC_",
            "SECCOMP_IOCTL_",
        ],
        &["TIOCSER_", "TIOCM_", "TIOCPKT_"],
    ),
    source("madvise", "general", &["MADV_"], &[]),
    source(
        "map flags",
        "general",
        &["MAP_"],
        &[
            "MAP_TYPE",
            "MAP_FILE",
            "MAP_SHARED",
            "MAP_PRIVATE",
            "MAP_HUGE_",
            "MAP_DROPPABLE",
        ],
    ),
    source(
        "map type",
        "general",
        &["MAP_SHARED", "MAP_PRIVATE", "MAP_DROPPABLE"],
        &[],
    ),
    source("mremap flags", "general", &["MREMAP_"], &[]),
    source(
        "open access",
        "general",
        &["O_RDONLY", "O_WRONLY", "O_RDWR"],
        &[],
    ),
    source(
        "open flags",
        "general",
        &["O_"],
        &["O_ACCMODE", "O_RDONLY", "O_WRONLY", "O_RDWR"],
    ),
    source(
        "prctl",
        "prctl",
        &[
            "PR_SET_",
            "PR_GET_",
            "PR_CAPBSET_",
            "PR_CAP_AMBIENT",
            "PR_TASK_PERF_",
            "PR_MCE_KILL",
            "PR_MPX_",
            "PR_SVE_SET_VL",
            "PR_SVE_GET_VL",
            "PR_SME_SET_VL",
            "PR_SME_GET_VL",
            "PR_PAC_RESET_KEYS",
            "PR_PAC_SET_",
            "PR_PAC_GET_",
            "PR_SCHED_CORE",
            "PR_LOCK_SHADOW_",
            "PR_TIMER_CREATE_RESTORE_IDS",
            "PR_FUTEX_HASH",
            "PR_RISCV_V_SET_CONTROL",
            "PR_RISCV_V_GET_CONTROL",
            "PR_RISCV_SET_ICACHE_FLUSH_CTX",
            "PR_PPC_GET_DEXCR",
            "PR_PPC_SET_DEXCR",
        ],
        &[
            "PR_SET_MM_",
            "PR_CAP_AMBIENT_",
            "PR_MCE_KILL_CLEAR",
            "PR_MCE_KILL_SET",
            "PR_MCE_KILL_LATE",
            "PR_MCE_KILL_EARLY",
            "PR_MCE_KILL_DEFAULT",
            "PR_SET_VMA_",
            "PR_SVE_SET_VL_",
            "PR_SME_SET_VL_",
            "PR_SCHED_CORE_",
            "PR_TIMER_CREATE_RESTORE_IDS_",
            "PR_FUTEX_HASH_",
        ],
    ),
    source("protection", "general", &["PROT_"], &["PROT_NONE"]),
    source(
        "ptrace",
        "ptrace",
        &["PTRACE_"],
        &[
            "PTRACE_EVENT",
            "PTRACE_O_",
            "PTRACE_SYSCALL_INFO_",
            "PTRACE_PEEKSIGINFO_",
        ],
    ),
    source("resource", "general", &["RLIMIT_"], &[]),
    source(
        "seccomp",
        "ptrace",
        &[
            "SECCOMP_SET_MODE_",
            "SECCOMP_GET_ACTION_AVAIL",
            "SECCOMP_GET_NOTIF_SIZES",
        ],
        &[],
    ),
    source("seek", "general", &["SEEK_"], &["SEEK_MAX"]),
    source(
        "signal",
        "general",
        &["SIG"],
        &["SIG_", "SIGEV_", "SIGSTKSZ", "SIGRTM"],
    ),
    source("sigprocmask", "general", &["SIG_"], &[]),
    source(
        "socket type",
        "net",
        &[
            "SOCK_STREAM",
            "SOCK_DGRAM",
            "SOCK_RAW",
            "SOCK_RDM",
            "SOCK_SEQPACKET",
        ],
        &[],
    ),
    source("sockopt level", "net", &["SOL_"], &[]),
    source("sockopt SOL_SOCKET", "net", &["SO_"], &["SO_ORIGINAL_DST"]),
    source(
        "sockopt SOL_IP",
        "net",
        &["IP_"],
        &["IP_PMTUDISC_", "IP_DEFAULT_"],
    ),
    source(
        "sockopt SOL_IPV6",
        "net",
        &["IPV6_"],
        &[
            "IPV6_FL_",
            "IPV6_FLOWINFO_FLOWLABEL",
            "IPV6_FLOWINFO_PRIORITY",
            "IPV6_PRIORITY_",
            "IPV6_TLV_",
            "IPV6_PMTUDISC_",
            "IPV6_PREFER_",
            "IPV6_MIN_MTU",
            "IPV6_SRCRT_",
            "IPV6_OPT_",
        ],
    ),
    source(
        "sockopt SOL_TCP",
        "net",
        &["TCP_"],
        &[
            "TCP_MSS_",
            "TCP_REPAIR_O",
            "TCP_MD5SIG_MAX",
            "TCP_MD5SIG_FLAG",
            "TCP_AO_MAXKEYLEN",
            "TCP_AO_KEYF",
            "TCP_RECEIVE_",
            "TCP_CM_INQ",
            "TCP_FLAG_",
            "TCP_RESERVED_",
            "TCP_DATA_",
            "TCP_NO_",
            "TCP_RECV_",
            "TCP_SEND_",
            "TCP_QUEUES_",
            "TCP_NLA_",
            "TCP_FASTOPEN_CLIENT",
            "TCP_CA_",
            "TCP_ESTABLISHED",
            "TCP_SYN_",
            "TCP_FIN_",
            "TCP_TIME_WAIT",
            "TCP_CLOSE",
            "TCP_LAST_ACK",
            "TCP_LISTEN",
            "TCP_CLOSING",
            "TCP_NEW_SYN_RECV",
            "TCP_MAX_STATES",
            "TCP_BOUND_INACTIVE",
            "TCP_AO_KEYF_",
            "TCP_DATA_OFFSET",
        ],
    ),
    source(
        "timerfd flags",
        "general",
        &["TFD_CLOEXEC", "TFD_NONBLOCK"],
        &[],
    ),
];

pub fn tables(headers: &Headers) -> Result<Vec<Table>> {
    ARCHITECTURES
        .into_iter()
        .map(|arch| {
            let text = render(arch, headers)
                .with_context(|| format!("cannot make the operations of {arch}"))?;
            Ok(Table {
                path: format!("loupe-common/src/operations/{arch}.rs"),
                text,
            })
        })
        .collect()
}

/// Values and names, sorted by value; where a value has several names, the preferred is first.
type Set = Vec<(u64, String)>;

impl Source {
    fn set(&self, constants: &Constants) -> Set {
        let mut set = Set::new();
        for prefix in self.prefixes {
            for (rest, value) in constants.with_prefix(prefix) {
                let name = format!("{prefix}{rest}");
                let other = self.not.iter().any(|not| name.starts_with(not));
                if !other && !set.iter().any(|(_, known)| *known == name) {
                    set.push((value, name));
                }
            }
        }
        set.sort_by_key(|(value, _)| *value);
        set
    }
}

fn render(arch: &str, headers: &Headers) -> Result<String> {
    let general = headers.constants(arch, "general")?;
    let mut sets: BTreeMap<&str, Set> = BTreeMap::new();
    for source in SOURCES {
        let set = source.set(&headers.constants(arch, source.module)?);
        if set.is_empty() {
            bail!("no constant is in the set `{}`", source.set);
        }
        sets.insert(source.set, set);
    }
    for (set, _, constants) in EXTRA {
        let set = sets.entry(set).or_default();
        set.extend(
            constants
                .iter()
                .map(|(name, value)| (*value, (*name).to_owned())),
        );
        set.sort_by_key(|(value, _)| *value);
    }
    let mut text = format!(
        "//! Names of operations and flags of Linux on {arch}. Generated by `cargo xtask codegen`;\n\
         //! do not edit.\n\
         //!\n\
         //! Source: {}.\n\
         \n\
         use super::Set;\n\
         \n\
         /// Sets of named values, sorted by name; of each the values, sorted. Of several names of\n\
         /// one value, the preferred is first.\n\
         #[rustfmt::skip]\n\
         pub const TABLE: &[(&str, Set)] = &[\n",
        headers.source(&general)?
    );
    for (name, set) in &sets {
        writeln!(text, "    (\n        \"{name}\",\n        &[")?;
        for (value, constant) in set {
            writeln!(text, "            ({value:#x}, \"{constant}\"),")?;
        }
        writeln!(text, "        ],\n    ),")?;
    }
    text.push_str("];\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_its_names_by_value_the_preferred_first() {
        let constants = Constants::parse(
            "pub const SND_A: u32 = 1;\npub const TCB: u32 = 1;\npub const TC_NOT: u32 = 2;\n\
             pub const TCA: u32 = 0;\npub const OTHER: u32 = 3;\n",
        );
        let set = source("s", "m", &["TC", "SND_"], &["TC_"]).set(&constants);
        let names: Vec<&str> = set.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["TCA", "TCB", "SND_A"]);
    }
}
