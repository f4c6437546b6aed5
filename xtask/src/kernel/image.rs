//! What the machine boots into: an initial root with this host's own programs, so that the host's
//! verdicts and the machine's are of the same binaries.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::fetch::Kernel;
use crate::workspace;

const INIT: &str = include_str!("init.sh");
const SMOKE: &str = include_str!("smoke.sh");
const PROFILE: &str = include_str!("profile.sh");

/// What is analysed here and there.
pub const WORKLOADS: [(&str, &str); 2] = [
    ("small.toml", include_str!("small.toml")),
    ("clock.toml", include_str!("clock.toml")),
];

/// What reaches a limit there.
const GREEDY: [(&str, &str); 2] = [
    ("memory.toml", include_str!("memory.toml")),
    ("processes.toml", include_str!("processes.toml")),
];

/// Programs of the host that the suite runs or measures.
const PROGRAMS: [&str; 16] = [
    "awk", "cat", "cut", "date", "dmesg", "find", "grep", "pgrep", "sh", "sleep", "strace", "sync",
    "tail", "timeout", "true", "uname",
];

/// Programs of this workspace that go along.
const OURS: [&str; 4] = ["loupe", "louped", "victim", "probe"];

/// The directories that are links into `/usr` on a host whose `/usr` is merged.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

const EMPTY: [&str; 10] = [
    "dev",
    "etc",
    "new",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/local/bin",
    "var/lib",
];

/// Makes the image as a file: an uncompressed archive, since the machine is slow and has memory.
pub fn make(kernel: &Kernel, binaries: &Path, profile: &str, directory: &Path) -> Result<PathBuf> {
    let root = Root {
        directory: directory.join("root"),
    };
    if root.directory.exists() {
        fs::remove_dir_all(&root.directory).context("cannot remove an image's old files")?;
    }
    root.skeleton()?;
    for name in PROGRAMS {
        root.program(&program(name)?)?;
    }
    root.copy(&program("busybox")?, "usr/bin/busybox")?;
    for name in OURS {
        root.ours(&binaries.join(name))?;
    }
    root.copy(&kernel.overlay, "overlay.ko")?;
    // With it, programs start by the same calls as on the host.
    root.copy(Path::new("/etc/ld.so.cache"), "etc/ld.so.cache")?;
    root.write("init", INIT, 0o755)?;
    root.write("smoke.sh", SMOKE, 0o644)?;
    root.write("profile.sh", PROFILE, 0o644)?;
    for (name, content) in WORKLOADS.into_iter().chain(GREEDY) {
        root.write(&format!("root/{name}"), content, 0o644)?;
    }
    root.write("root/clock.json", profile, 0o644)?;
    root.write("etc/hostname", "smoke\n", 0o644)?;
    root.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)?;
    root.write("etc/group", "root:x:0:\n", 0o644)?;
    let image = directory.join("image");
    root.archive(&image)?;
    Ok(image)
}

/// Where a program of the host is.
fn program(name: &str) -> Result<PathBuf> {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("there is no `{name}` on this host"))
}

/// The directory that becomes the image.
struct Root {
    directory: PathBuf,
}

impl Root {
    fn skeleton(&self) -> Result<()> {
        for name in EMPTY {
            self.directory_for(&self.directory.join(name).join("x"))?;
        }
        for name in MERGED {
            let place = self.directory.join(name);
            if Path::new("/").join(name).is_symlink() {
                self.directory_for(&self.directory.join("usr").join(name).join("x"))?;
                symlink(Path::new("usr").join(name), place).context("cannot make a link")?;
            }
        }
        Ok(())
    }

    fn directory_for(&self, file: &Path) -> Result<()> {
        let parent = file.parent().context("a file is in a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
    }

    fn write(&self, name: &str, content: &str, mode: u32) -> Result<()> {
        let place = self.directory.join(name);
        fs::write(&place, content)
            .and_then(|()| fs::set_permissions(&place, Permissions::from_mode(mode)))
            .with_context(|| format!("cannot write {}", place.display()))
    }

    fn copy(&self, from: &Path, name: &str) -> Result<()> {
        let place = self.directory.join(name);
        self.directory_for(&place)?;
        fs::copy(from, &place)
            .with_context(|| format!("cannot copy {} to {}", from.display(), place.display()))?;
        Ok(())
    }

    /// A program of the host, at its own path, with the libraries that it is linked with.
    fn program(&self, path: &Path) -> Result<()> {
        self.at_its_place(path)?;
        for library in libraries(path)? {
            self.at_its_place(&library)?;
        }
        Ok(())
    }

    fn at_its_place(&self, path: &Path) -> Result<()> {
        let name = path.to_str().context("a path that is text")?;
        self.copy(path, name.trim_start_matches('/'))
    }

    /// A program of this workspace, without what only a debugger wants.
    fn ours(&self, path: &Path) -> Result<()> {
        let name = path.file_name().context("a program has a name")?;
        let place = self.directory.join("usr/local/bin").join(name);
        let mut strip = Command::new("strip");
        workspace::output(strip.arg("-o").arg(&place).arg(path))?;
        for library in libraries(path)? {
            self.at_its_place(&library)?;
        }
        Ok(())
    }

    fn archive(&self, image: &Path) -> Result<()> {
        let file =
            File::create(image).with_context(|| format!("cannot write {}", image.display()))?;
        let status = Command::new("/bin/sh")
            .args([
                "-c",
                "find . | cpio --create --format=newc --owner=0:0 --quiet",
            ])
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(file)
            .status()
            .context("cannot run cpio")?;
        if !status.success() {
            bail!("cpio could not make the machine's image ({status})");
        }
        Ok(())
    }
}

/// What the loader would load for a program; nothing for a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("cannot run ldd")?;
    Ok(linked(&String::from_utf8_lossy(&output.stdout)))
}

/// The paths in what `ldd` prints.
fn linked(listing: &str) -> Vec<PathBuf> {
    listing
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            let path = line.split_once(" => ").map_or(line, |(_, path)| path);
            let path = path.split_once(" (").map_or(path, |(path, _)| path);
            path.starts_with('/').then(|| PathBuf::from(path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_and_the_libraries_of_a_program_are_found_and_nothing_else() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffe)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(linked(listing), found.map(PathBuf::from));
        assert!(linked("\tnot a dynamic executable\n").is_empty());
    }
}
