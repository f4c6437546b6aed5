//! The files as they will be installed, below a directory. Knows where each belongs, and nothing
//! of packages.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Release, changelog, licenses};
use crate::workspace;

/// Where the binaries are installed; the units say so too.
pub const BINARIES: &str = "usr/bin";
const DOCUMENTS: &str = "usr/share/doc/loupe";
/// Which of the shells' completions goes where: as it is generated, as it is installed.
const COMPLETIONS: [(&str, &str); 6] = [
    ("loupe.bash", "usr/share/bash-completion/completions/loupe"),
    (
        "louped.bash",
        "usr/share/bash-completion/completions/louped",
    ),
    ("_loupe", "usr/share/zsh/vendor-completions/_loupe"),
    ("_louped", "usr/share/zsh/vendor-completions/_louped"),
    (
        "loupe.fish",
        "usr/share/fish/vendor_completions.d/loupe.fish",
    ),
    (
        "louped.fish",
        "usr/share/fish/vendor_completions.d/louped.fish",
    ),
];

/// Files of the repository that are installed as they are.
const AS_THEY_ARE: [(&str, &str); 6] = [
    ("packaging/louped.toml", "etc/loupe/louped.toml"),
    (
        "packaging/louped.service",
        "usr/lib/systemd/system/louped.service",
    ),
    (
        "packaging/louped.socket",
        "usr/lib/systemd/system/louped.socket",
    ),
    (
        "packaging/sysusers.d/loupe.conf",
        "usr/lib/sysusers.d/loupe.conf",
    ),
    (
        "packaging/debian/lintian-overrides",
        "usr/share/lintian/overrides/loupe",
    ),
    (
        "packaging/debian/copyright",
        "usr/share/doc/loupe/copyright",
    ),
];

/// Puts everything in its place.
pub fn fill(stage: &Path, binaries: &Path, release: &Release) -> Result<()> {
    for name in ["loupe", "louped"] {
        let from = binaries.join(name);
        if !from.is_file() {
            bail!("{} is not built", from.display());
        }
        let to = stage.join(BINARIES).join(name);
        copy(&from, &to)?;
        workspace::output(Command::new("strip").arg(&to))?;
    }
    for (from, to) in AS_THEY_ARE {
        copy(&workspace::root().join(from), &stage.join(to))?;
    }
    generated(stage)?;
    documents(stage, release)
}

/// Manual pages, completions and schemas, which the binary itself writes.
fn generated(stage: &Path) -> Result<()> {
    let generated = stage.join("generated");
    let loupe = stage.join(BINARIES).join("loupe");
    // What is set here must not show in them.
    let mut write = Command::new(loupe);
    write.env_clear().arg("write-documents").arg(&generated);
    workspace::output(&mut write)?;
    for (from, to) in COMPLETIONS {
        copy(&generated.join("completions").join(from), &stage.join(to))?;
    }
    for section in ["man1", "man8"] {
        for page in files(&generated.join(section))? {
            let name = page.file_name().context("a page has a name")?;
            let to = stage.join("usr/share/man").join(section).join(name);
            copy(&page, &to)?;
            compress(&to)?;
        }
    }
    for schema in files(&generated.join("schemas"))? {
        let name = schema.file_name().context("a schema has a name")?;
        copy(&schema, &stage.join(DOCUMENTS).join("schemas").join(name))?;
    }
    fs::remove_dir_all(&generated).context("cannot remove the generated files")
}

fn documents(stage: &Path, release: &Release) -> Result<()> {
    let root = workspace::root();
    let directory = stage.join(DOCUMENTS);
    write(&directory.join("README.md"), &readme(root)?)?;
    for page in files(&root.join("docs"))? {
        let name = page.file_name().context("a page has a name")?;
        // How to change Loupe is for those who have its sources.
        if !name.as_encoded_bytes().starts_with(b"add-a-") {
            copy(&page, &directory.join(name))?;
        }
    }
    copy_tree(&root.join("docs/probed"), &directory.join("probed"))?;
    let workloads = directory.join("examples/workloads");
    copy_tree(&root.join("tests/workloads"), &workloads)?;
    let changes = directory.join("changelog");
    let text = changelog::debian(root, release)?;
    write(&changes, &text)?;
    compress(&changes)?;
    let terms = directory.join("licenses-of-crates");
    write(&terms, &licenses::document()?)?;
    compress(&terms)
}

/// The README, with links to where the package has what it names.
fn readme(root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join("README.md")).context("cannot read README.md")?;
    let text = text.replace("](docs/", "](");
    Ok(text.replace("](tests/workloads)", "](examples/workloads)"))
}

/// Compresses a file in its place, without a time in it.
fn compress(path: &Path) -> Result<()> {
    workspace::output(Command::new("gzip").args(["--no-name", "-9"]).arg(path)).map(drop)
}

/// Copies a file, for everybody to read, and to execute where its owner can.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let directory = to.parent().context("a file is in a directory")?;
    make_directory(directory)?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    let metadata = from
        .metadata()
        .with_context(|| format!("cannot look at {}", from.display()))?;
    let executable = metadata.permissions().mode() & 0o100 != 0;
    set_mode(to, if executable { 0o755 } else { 0o644 })
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in entries(from)? {
        let name = entry.file_name().context("an entry has a name")?;
        match entry.is_dir() {
            true => copy_tree(&entry, &to.join(name))?,
            false => copy(&entry, &to.join(name))?,
        }
    }
    Ok(())
}

/// Writes a file, for everybody to read.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().context("a file is in a directory")?;
    make_directory(directory)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    set_mode(path, 0o644)
}

/// Makes a directory with those above it, whatever the umask.
fn make_directory(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directory(parent)?;
    }
    fs::create_dir(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    set_mode(directory, 0o755)
}

pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// Paths of a directory's entries, by name.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("cannot read {}", directory.display());
    let mut all = fs::read_dir(directory)
        .with_context(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(failed)?;
    all.sort();
    Ok(all)
}

/// The same, of its files only.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut all = entries(directory)?;
    all.retain(|path| path.is_file());
    Ok(all)
}
