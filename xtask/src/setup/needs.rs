//! Which packages and test suites serve which purpose. A table; installs nothing.

use crate::apt::Package;
use crate::setup::linker;
use crate::setup::suites::{self, Suite};
use crate::toolchain::{self, Core};
use crate::workspace;

/// What is set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Build,
    Lint,
    Demo,
    Fleet,
    Test,
    Kernels,
    Package,
}

impl Purpose {
    pub fn describe(self) -> &'static str {
        match self {
            Purpose::Build => "the build",
            Purpose::Lint => "the lints",
            Purpose::Demo => "the demo",
            Purpose::Fleet => "the demo of a fleet",
            Purpose::Test => "the tests",
            Purpose::Kernels => "the tests on other kernels",
            Purpose::Package => "the package",
        }
    }
}

/// Everything that a purpose needs, whether it is there or not.
pub fn packages(purpose: Purpose) -> Vec<Package> {
    match purpose {
        Purpose::Build => {
            // SQLite, which is bundled, is C; the BPF linker's bridge to LLVM is C++.
            let mut all = vec![
                Package::program("gcc", "cc"),
                Package::program("g++", "c++"),
                Package::library("libc6-dev"),
            ];
            if needs_distribution_rust() {
                all.extend(
                    ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"].map(Package::library),
                );
            }
            if linker::is_missing() {
                all.extend(linker::packages(linker::expected_llvm()));
            }
            all
        }
        // Debian's clippy only fits Debian's rustc.
        Purpose::Lint => match toolchain::toolchains(workspace::bpf_target()).first() {
            Some(found) if found.core == Core::FromSource => Vec::new(),
            _ => vec![Package::library("rust-web-clippy")],
        },
        Purpose::Demo => vec![
            Package::server("nginx-light", "nginx", "nginx"),
            Package::program("wrk", "wrk"),
            Package::program("curl", "curl"),
        ],
        Purpose::Fleet => vec![
            Package::server("nats-server", "nats-server", "nats-server"),
            // What the two hosts run, and who uses it.
            Package::server("nginx-light", "nginx", "nginx"),
            Package::program("curl", "curl"),
            Package::program("iproute2", "ip"),
            Package::program("util-linux", "nsenter"),
        ],
        Purpose::Test => vec![
            Package::server("redis-server", "redis-server", "redis-server"),
            Package::program("redis-tools", "redis-cli"),
            Package::server("memcached", "memcached", "memcached"),
            Package::server("lighttpd", "lighttpd", "lighttpd"),
            Package::program("sqlite3", "sqlite3"),
            Package::program("python3-minimal", "python3"),
            Package::program("strace", "strace"),
            // Another OS, on which predictions are tried.
            Package::program("runsc", "runsc"),
            Package::program("procps", "ps"),
            // And a third one, which the probe measures.
            Package::program("qemu-user-static", "qemu-x86_64-static"),
            // Shells that complete.
            Package::program("zsh", "zsh"),
            Package::program("fish", "fish"),
            Package::program("iproute2", "ip"),
            // Boot hosts of the tests' own.
            Package::library("systemd"),
            Package::program("util-linux", "unshare"),
            // Containers of either make, on those hosts.
            Package::program("systemd-container", "systemd-nspawn"),
            Package::program("podman", "podman"),
            // Unpacks the suites' sources.
            Package::program("xz-utils", "xz"),
            // Reads metrics, and (promtool) judges them.
            Package::server("prometheus", "prometheus", "prometheus"),
            // Between hosts and the hub of a fleet.
            Package::server("nats-server", "nats-server", "nats-server"),
            // A host whose clock is wrong.
            Package::program("faketime", "faketime"),
            // Judges the package.
            Package::program("lintian", "lintian"),
            // Looks at the report; the largest of them, 80 MB to download.
            Package::program("chromium", "chromium"),
        ],
        Purpose::Kernels => vec![
            Package::program("qemu-system-x86", "qemu-system-x86_64"),
            // The machine's first process; has to be static.
            Package::library("busybox-static"),
            Package::program("cpio", "cpio"),
            // Unpack kernel modules.
            Package::program("xz-utils", "xz"),
            Package::program("zstd", "zstd"),
            // For strip; the programs of the suite.
            Package::program("binutils", "strip"),
            Package::program("strace", "strace"),
            // Another OS, on which predictions are tried.
            Package::program("runsc", "runsc"),
            Package::program("procps", "pgrep"),
        ],
        Purpose::Package => vec![
            Package::program("dpkg-dev", "dpkg-shlibdeps"),
            Package::program("binutils", "strip"),
        ],
    }
}

/// The test suites that a purpose needs, whether they are there or not.
pub fn suites(purpose: Purpose) -> &'static [Suite] {
    match purpose {
        Purpose::Test => suites::ALL,
        Purpose::Build
        | Purpose::Lint
        | Purpose::Demo
        | Purpose::Fleet
        | Purpose::Kernels
        | Purpose::Package => &[],
    }
}

/// Whether no toolchain here can build the in-kernel programs with a linker that set-up can make.
/// rustup's stable toolchains cannot: they have neither the target nor the sources of `core`.
fn needs_distribution_rust() -> bool {
    let target = workspace::bpf_target();
    if toolchain::find(target).is_ok() {
        return false;
    }
    !toolchain::toolchains(target)
        .iter()
        .any(|found| found.core == Core::Prebuilt || found.llvm <= linker::DEBIAN_LLVM)
}
