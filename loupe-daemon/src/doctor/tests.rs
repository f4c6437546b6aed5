use std::fs;
use std::path::Path;

use super::facts::{Cgroup2, Host, Overlay};
use super::*;
use crate::report::Style;

/// A host on which everything works.
fn good() -> Facts {
    Facts {
        kernel_release: Some("6.1.0-13-amd64".to_owned()),
        machine: "x86_64",
        btf_bytes: Some(5 << 20),
        object_bytes: 20_000,
        uid: 0,
        capabilities: Some(u64::MAX),
        cgroup2: Some(Cgroup2 {
            path: "/sys/fs/cgroup".into(),
            read_only: false,
            kill: Some(true),
        }),
        seccomp_actions: Some(vec!["errno".to_owned(), "user_notif".to_owned()]),
        overlay: Overlay::Loaded,
        namespaces: ["mnt", "pid", "net", "ipc", "uts"]
            .map(str::to_owned)
            .into(),
        ptrace_scope: Some(1),
        io_uring_disabled: Some(2),
        io_uring_exists: true,
        io_uring_counted: Some(true),
        lockdown: Some("none".to_owned()),
        bpf_jit: Some(1),
        cpus: 4,
        memory_available_kib: Some(8 << 20),
        database: Some(("/var/lib".into(), 100 << 30)),
        group: true,
        daemon: DaemonFact::Answers {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        trial: Trial::Traced { calls: 30, ends: 1 },
    }
}

#[test]
fn a_good_host_is_all_ok() {
    let report = judge(&good());
    assert!(report.usable);
    for check in &report.checks {
        assert_eq!(
            (check.status, &check.cure),
            (Status::Ok, &None),
            "{check:?}"
        );
    }
}

#[test]
fn every_lack_is_found_by_its_own_check_and_has_a_cure() {
    type Spoil = fn(&mut Facts);
    let lacks: &[(&str, Status, Spoil)] = &[
        ("kernel", Status::Fail, |f| {
            f.kernel_release = Some("5.10.0-8-amd64".into());
        }),
        ("kernel", Status::Fail, |f| {
            f.kernel_release = Some("4.19.0".into());
        }),
        ("kernel", Status::Warn, |f| f.kernel_release = None),
        ("machine", Status::Fail, |f| f.machine = "riscv64"),
        ("machine", Status::Fail, |f| f.machine = "aarch64"),
        ("BTF", Status::Fail, |f| f.btf_bytes = None),
        ("eBPF programs", Status::Fail, |f| f.object_bytes = 0),
        ("privileges", Status::Fail, |f| {
            f.capabilities = Some(!(1 << 21));
        }),
        ("privileges", Status::Warn, |f| f.capabilities = None),
        ("cgroup v2", Status::Fail, |f| f.cgroup2 = None),
        ("cgroup v2", Status::Fail, |f| {
            f.cgroup2.as_mut().expect("there").read_only = true;
        }),
        ("cgroup v2", Status::Fail, |f| {
            f.cgroup2.as_mut().expect("there").kill = Some(false);
        }),
        ("seccomp filters", Status::Fail, |f| {
            f.seccomp_actions = Some(vec!["user_notif".into()]);
        }),
        ("seccomp notification", Status::Warn, |f| {
            f.seccomp_actions = Some(vec!["errno".into()]);
        }),
        ("ptrace", Status::Fail, |f| f.ptrace_scope = Some(3)),
        ("overlay", Status::Fail, |f| f.overlay = Overlay::Absent),
        ("namespaces", Status::Fail, |f| {
            f.namespaces.retain(|name| name != "net");
        }),
        ("lockdown", Status::Fail, |f| {
            f.lockdown = Some("confidentiality".into());
        }),
        ("BPF compiler", Status::Warn, |f| f.bpf_jit = Some(0)),
        ("io_uring", Status::Warn, |f| f.io_uring_disabled = Some(0)),
        ("io_uring", Status::Warn, |f| f.io_uring_disabled = None),
        ("CPUs", Status::Warn, |f| f.cpus = 1),
        ("memory", Status::Warn, |f| {
            f.memory_available_kib = Some(1024);
        }),
        ("disk", Status::Warn, |f| f.database = Some(("/".into(), 1))),
        ("disk", Status::Fail, |f| f.database = None),
        ("louped", Status::Warn, |f| f.daemon = DaemonFact::Dead),
        ("louped", Status::Warn, |f| f.group = false),
        ("trace of `true`", Status::Fail, |f| {
            f.trial = Trial::Traced { calls: 0, ends: 0 };
        }),
        ("trace of `true`", Status::Fail, |f| {
            f.trial = Trial::Failed("no room".into());
        }),
        ("louped", Status::Warn, |f| {
            f.daemon = DaemonFact::Answers {
                version: "0.0.1".into(),
            };
        }),
    ];
    for (name, status, spoil) in lacks {
        let mut facts = good();
        spoil(&mut facts);
        let report = judge(&facts);
        let bad: Vec<_> = report
            .checks
            .iter()
            .filter(|check| check.status != Status::Ok)
            .collect();
        assert_eq!(bad.len(), 1, "{name}: {bad:?}");
        assert_eq!((bad[0].name, bad[0].status), (*name, *status));
        assert!(bad[0].cure.as_ref().is_some_and(|cure| !cure.is_empty()));
        assert_eq!(report.usable, *status != Status::Fail, "{name}");
    }
}

#[test]
fn what_makes_work_impossible_is_refused_in_one_sentence_with_its_cure() {
    type Spoil = fn(&mut Facts);
    let lacks: &[(&str, &str, Spoil)] = &[
        ("kernel: 5.10.0-8-amd64", "Linux 5.15", |f| {
            f.kernel_release = Some("5.10.0-8-amd64".into());
            // One thing at a time, the one that explains the rest first.
            f.cgroup2.as_mut().expect("there").kill = Some(false);
        }),
        ("lockdown: confidentiality", "lockdown=integrity", |f| {
            f.lockdown = Some("confidentiality".into());
        }),
        ("ptrace: forbidden", "ptrace_scope", |f| {
            f.ptrace_scope = Some(3);
        }),
        ("BTF: no /sys", "CONFIG_DEBUG_INFO_BTF", |f| {
            f.btf_bytes = None;
        }),
        ("privileges: root without CAP_BPF", "container", |f| {
            f.capabilities = Some(!(1 << 39));
        }),
        ("privileges: uid 1000", "as root", |f| {
            f.uid = 1000;
            f.daemon = DaemonFact::Absent;
        }),
        ("cgroup v2: not mounted", "mount", |f| f.cgroup2 = None),
        ("eBPF programs: not in", "bpf-linker", |f| {
            f.object_bytes = 0;
        }),
        ("seccomp filters: not in", "SECCOMP", |f| {
            f.seccomp_actions = None;
        }),
        ("namespaces: without net", "user.max", |f| {
            f.namespaces.retain(|name| name != "net");
        }),
    ];
    for work in [Work::Command, Work::Replays] {
        assert_eq!(refusal(&good(), work), None);
        for (message, cure, spoil) in lacks {
            let mut facts = good();
            spoil(&mut facts);
            let refused = refusal(&facts, work);
            if work == Work::Command && message.starts_with("namespaces") {
                assert_eq!(refused, None, "a command has no sandbox");
                continue;
            }
            let refused = refused.expect(message);
            assert_eq!(refused.exit_code, 125);
            assert!(refused.message.contains(message), "{refused:?}");
            assert!(!refused.message.contains('\n'), "{refused:?}");
            let hint = refused.hint.as_deref().unwrap_or_default();
            assert!(hint.contains(cure), "{refused:?}");
        }
    }
}

#[test]
fn what_only_limits_is_no_reason_to_refuse() {
    let limited = Facts {
        io_uring_disabled: None,
        bpf_jit: Some(0),
        cpus: 1,
        memory_available_kib: Some(1),
        database: None,
        overlay: Overlay::Absent,
        daemon: DaemonFact::Dead,
        ..good()
    };
    assert_eq!(refusal(&limited, Work::Replays), None);
}

#[test]
fn without_seccomp_filters_both_seccomp_checks_say_so() {
    let facts = Facts {
        seccomp_actions: None,
        ..good()
    };
    let bad = judge(&facts).checks.into_iter();
    assert_eq!(bad.filter(|check| check.status != Status::Ok).count(), 2);
}

#[test]
fn a_user_needs_the_daemon_and_root_does_not() {
    let user = Facts {
        uid: 1000,
        capabilities: Some(0),
        ..good()
    };
    assert!(judge(&user).usable);
    for daemon in [
        DaemonFact::Absent,
        DaemonFact::Dead,
        DaemonFact::Denied,
        DaemonFact::Strange("?".to_owned()),
    ] {
        let alone = Facts {
            daemon: daemon.clone(),
            ..user.clone()
        };
        assert!(!judge(&alone).usable, "{daemon:?}");
        let root = Facts { daemon, ..good() };
        if root.daemon != DaemonFact::Denied {
            assert!(judge(&root).usable, "{:?}", root.daemon);
        }
    }
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, content).expect("written");
}

#[test]
fn the_files_of_a_hybrid_host_are_understood() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    for (path, content) in [
        ("/proc/sys/kernel/osrelease", "6.18.44\n"),
        ("/proc/self/status", "Name:\tx\nCapEff:\t000001fffeffffff\n"),
        (
            "/proc/self/mountinfo",
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             40 31 0:38 /sub /other rw shared:7 - cgroup2 cgroup2 rw\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n",
        ),
        ("/sys/fs/cgroup/unified/init/cgroup.kill", ""),
        (
            "/proc/sys/kernel/seccomp/actions_avail",
            "trap errno user_notif allow\n",
        ),
        (
            "/proc/filesystems",
            "nodev\tsysfs\nnodev\toverlay\n\text4\n",
        ),
        ("/proc/self/ns/mnt", ""),
        ("/proc/self/ns/net", ""),
        ("/proc/sys/user/max_net_namespaces", "0\n"),
        ("/proc/sys/kernel/yama/ptrace_scope", "2\n"),
        ("/proc/sys/kernel/io_uring_disabled", "1\n"),
        (
            "/sys/kernel/security/lockdown",
            "none [integrity] confidentiality\n",
        ),
        (
            "/proc/meminfo",
            "MemTotal: 9 kB\nMemAvailable:    4096 kB\n",
        ),
        ("/sys/kernel/btf/vmlinux", "12345"),
    ] {
        write(root, path, content);
    }
    let facts = Host { root: root.into() }.files();
    assert_eq!(facts.kernel_release.as_deref(), Some("6.18.44"));
    assert_eq!(facts.capabilities, Some(0x1ff_feff_ffff));
    assert_eq!(
        facts.cgroup2,
        Some(Cgroup2 {
            path: "/sys/fs/cgroup/unified".into(),
            read_only: false,
            kill: Some(true)
        })
    );
    assert_eq!(facts.seccomp_actions.map(|actions| actions.len()), Some(4));
    assert_eq!(facts.overlay, Overlay::Loaded);
    assert_eq!(
        facts.namespaces,
        ["mnt"],
        "net is limited to 0, others absent"
    );
    assert_eq!(facts.ptrace_scope, Some(2));
    assert_eq!(facts.io_uring_disabled, Some(1));
    assert_eq!(facts.lockdown.as_deref(), Some("integrity"));
    assert_eq!(facts.memory_available_kib, Some(4096));
    assert_eq!(facts.btf_bytes, Some(5));
}

#[test]
fn an_overlay_module_that_is_not_loaded_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    write(root, "/proc/sys/kernel/osrelease", "6.1.0\n");
    write(root, "/proc/filesystems", "\text4\n");
    let dep = "/lib/modules/6.1.0/modules.dep";
    write(root, dep, "kernel/fs/overlayfs/overlay.ko.xz:\n");
    let facts = Host { root: root.into() }.files();
    assert_eq!(facts.overlay, Overlay::Module);
}

#[test]
fn a_host_without_proc_is_unusable_not_a_crash() {
    let directory = tempfile::tempdir().expect("a directory");
    let facts = Host {
        root: directory.path().into(),
    }
    .files();
    assert!(!judge(&facts).usable);
}

#[test]
fn this_host_can_be_looked_at() {
    let facts = Facts::of_this_host(b"x", Some(Path::new("/no/such/place")), DaemonFact::Absent);
    assert!(facts.kernel_release.is_some());
    assert_eq!(
        facts.database.as_ref().map(|found| found.0.as_path()),
        Some(Path::new("/"))
    );
}

#[test]
fn the_table_fits_its_width_and_names_every_cure() {
    let report = judge(&Facts::default());
    for style in [
        Style::PLAIN,
        Style {
            color: true,
            width: 40,
            ..Style::PLAIN
        },
    ] {
        let text = table(&report, style);
        for line in text.lines() {
            let mut plain = String::new();
            for (index, piece) in line.split('\x1b').enumerate() {
                plain.push_str(match index {
                    0 => piece,
                    _ => piece.split_once('m').expect("a whole colour code").1,
                });
            }
            assert!(plain.chars().count() <= style.width.max(80), "{line:?}");
        }
        assert_eq!(text.contains('\x1b'), style.color);
    }
    let text = table(&report, Style::PLAIN);
    for check in &report.checks {
        let first = check
            .cure
            .iter()
            .flat_map(|cure| cure.split_whitespace())
            .next();
        assert!(first.is_none_or(|word| text.contains(word)), "{check:?}");
    }
    assert!(text.contains("cannot work here"));
}

#[test]
fn json_has_a_schema_and_one_entry_per_check() {
    let report = judge(&good());
    let json = serde_json::to_value(&report).expect("serializable");
    assert_eq!(json["schema"], "loupe.doctor/1");
    assert_eq!(json["usable"], true);
    assert_eq!(json["checks"][0]["name"], "kernel");
    assert_eq!(json["checks"][0]["status"], "ok");
    assert_eq!(
        json["checks"].as_array().map(Vec::len),
        Some(report.checks.len())
    );
}
