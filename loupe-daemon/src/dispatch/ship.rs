//! A workload made ready to leave: what it brings is found, read, and published in parts that are known by
//! their digests. What a worker has itself, because it is named by an absolute path, stays here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use loupe_common::word::Word;

use super::{Coordinator, DispatchError, envelope};
use crate::engine::{Content, How, Package, Shipped};
use crate::executable::Digest;
use crate::replay::Workload;

/// Bytes of a part: some go into a server's message.
const PART_BYTES: usize = 256 << 10;
/// Bytes and files of one workload.
const MOST_BYTES: u64 = 256 << 20;
const MOST_FILES: usize = 4096;
/// Where the entries of `files` are put, by their number, whatever they are called here.
const BROUGHT: &str = ".loupe-files";
/// Bits of a mode that go along: a set-user-ID program must not lie about on a worker.
const MODE: u32 = 0o777;

/// A package, and where its files are here.
pub struct Shipment {
    pub package: Package,
    /// The package as a message.
    packed: Vec<u8>,
    sources: BTreeMap<PathBuf, PathBuf>,
}

impl Shipment {
    /// Reads all that the workload brings. Blocks.
    pub fn pack(workload: &Workload, how: How) -> Result<Shipment, DispatchError> {
        let mut packing = Packing::default();
        let mut shipped = workload.clone();
        shipped.base = PathBuf::new();
        let directory = workload.directory.as_deref().unwrap_or(Path::new(""));
        if is_below(directory) {
            packing.add_directories(&plain(directory));
            for word in words(workload) {
                let path = directory.join(&word);
                if is_below(&path) && workload.base.join(&path).is_file() {
                    packing.add(&workload.base.join(&path), plain(&path))?;
                }
            }
        }
        for (number, file) in shipped.files.iter_mut().enumerate() {
            let source = workload.base.join(&file.from);
            // `from` may be a link itself; those below it stay links.
            let source = fs::canonicalize(&source).map_err(|error| DispatchError::Read {
                path: source,
                source: error,
            })?;
            file.from = Path::new(BROUGHT).join(number.to_string());
            packing.add_directories(Path::new(BROUGHT));
            packing.add(&source, file.from.clone())?;
        }
        let files = packing.files.into_iter();
        let files = files.map(|(path, content)| Shipped { path, content });
        let package = Package {
            workload: shipped,
            base: PathBuf::new(),
            how,
            files: files.collect(),
        };
        let packed = envelope::pack(&package);
        let packed = packed.map_err(|error| DispatchError::Refused(error.to_string()))?;
        if packed.len() > super::coordinator::MOST_PAYLOAD {
            let what = format!("the list of its files has {} bytes", packed.len());
            return Err(DispatchError::TooLarge(what));
        }
        Ok(Shipment {
            package,
            packed,
            sources: packing.sources,
        })
    }

    /// Has the server keep all of it.
    pub(super) async fn send(&self, coordinator: &Coordinator) -> Result<(), DispatchError> {
        let mut sent = BTreeSet::new();
        for Shipped { path, content } in &self.package.files {
            let (Content::File { parts, .. }, Some(source)) = (content, self.sources.get(path))
            else {
                continue;
            };
            let failed = |error| DispatchError::Read {
                path: source.clone(),
                source: error,
            };
            let mut file = File::open(source).map_err(failed)?;
            for digest in parts {
                let part = next_part(&mut file).map_err(failed)?;
                if digest_of(&part) != *digest {
                    return Err(DispatchError::Unfit {
                        path: source.clone(),
                        what: "it changes meanwhile".to_owned(),
                    });
                }
                if sent.insert(digest) {
                    coordinator.put(digest, part).await?;
                }
            }
        }
        // Comes last: who has it finds the others.
        let packed = self.packed.clone();
        coordinator.put(&self.package.subject(), packed).await
    }
}

/// All words that may name a file.
fn words(workload: &Workload) -> BTreeSet<PathBuf> {
    let own = [workload.command.words(), workload.test.words()].concat();
    let probe = workload.probe().unwrap_or_default();
    let target = workload.target.iter().cloned();
    own.into_iter()
        .map(PathBuf::from)
        .chain(probe.iter().map(Word::as_os_str).map(PathBuf::from))
        .chain(target)
        .collect()
}

/// Whether it is what it says in whichever directory.
pub(super) fn is_below(path: &Path) -> bool {
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    path.components().all(plain)
}

/// One spelling of such a path.
fn plain(path: &Path) -> PathBuf {
    let parts = path.components();
    parts
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
}

#[derive(Default)]
struct Packing {
    files: BTreeMap<PathBuf, Content>,
    sources: BTreeMap<PathBuf, PathBuf>,
    bytes: u64,
}

impl Packing {
    /// Those on the way to a path, itself as well.
    fn add_directories(&mut self, path: &Path) {
        for directory in path.ancestors().filter(|it| !it.as_os_str().is_empty()) {
            let plain = Content::Directory { mode: 0o755 };
            self.files.entry(directory.to_owned()).or_insert(plain);
        }
    }

    /// A file, a link or a whole directory.
    fn add(&mut self, source: &Path, path: PathBuf) -> Result<(), DispatchError> {
        let failed = |error| DispatchError::Read {
            path: source.to_owned(),
            source: error,
        };
        let unfit = |what: &str| DispatchError::Unfit {
            path: source.to_owned(),
            what: what.to_owned(),
        };
        if path.to_str().is_none() {
            return Err(unfit("its name is no UTF-8"));
        }
        if let Some(parent) = path.parent() {
            self.add_directories(parent);
        }
        let is_top = path.starts_with(BROUGHT) && path.components().count() == 2;
        let attributes = match is_top || !path.starts_with(BROUGHT) {
            true => fs::metadata(source),
            false => fs::symlink_metadata(source),
        };
        let attributes = attributes.map_err(failed)?;
        let mode = attributes.permissions().mode() & MODE;
        let content = if attributes.is_dir() {
            for entry in fs::read_dir(source).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                self.add(&entry.path(), path.join(entry.file_name()))?;
            }
            Content::Directory { mode }
        } else if attributes.is_symlink() {
            let target = fs::read_link(source).map_err(failed)?;
            if target.to_str().is_none() {
                return Err(unfit("it leads to a name that is no UTF-8"));
            }
            Content::Link { target }
        } else if attributes.is_file() {
            self.bytes += attributes.len();
            self.check()?;
            let parts = parts_of(source).map_err(failed)?;
            self.sources.insert(path.clone(), source.to_owned());
            Content::File { mode, parts }
        } else {
            return Err(unfit("it is neither a file nor a directory nor a link"));
        };
        self.files.insert(path, content);
        self.check()
    }

    fn check(&self) -> Result<(), DispatchError> {
        if self.bytes > MOST_BYTES {
            let what = format!("it brings more than {} MiB", MOST_BYTES >> 20);
            return Err(DispatchError::TooLarge(what));
        }
        if self.files.len() > MOST_FILES {
            let what = format!("it brings more than {MOST_FILES} files");
            return Err(DispatchError::TooLarge(what));
        }
        Ok(())
    }
}

pub(super) fn digest_of(part: &[u8]) -> String {
    let mut digest = Digest::default();
    digest.text(part);
    digest.finish()
}

fn next_part(file: &mut File) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok(part)
}

fn parts_of(path: &Path) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let mut parts = Vec::new();
    loop {
        let part = next_part(&mut file)?;
        if part.is_empty() {
            return Ok(parts);
        }
        parts.push(digest_of(&part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(directory: &Path, more: &str) -> Result<Shipment, DispatchError> {
        let text = format!(
            "application = \"a\"\nworkload = \"w\"\nmode = \"batch\"\n\
             command = [\"./run.sh\", \"-v\", \"/bin/sh\"]\ntest = [\"sh\", \"sub/test.sh\"]\n{more}"
        );
        let path = directory.join("w.toml");
        let workload = Workload::parse(&text, &path, directory.to_owned()).expect("a workload");
        Shipment::pack(&workload, How::default())
    }

    fn paths(shipment: &Shipment) -> Vec<&str> {
        let files = shipment.package.files.iter();
        files.map(|it| it.path.to_str().expect("plain")).collect()
    }

    #[test]
    fn what_words_and_files_name_goes_along_and_nothing_else_of_the_directory() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = place.path();
        fs::create_dir_all(directory.join("sub/data")).expect("made");
        for (name, content) in [
            ("run.sh", "run"),
            ("sub/test.sh", "test"),
            ("sub/data/one", "1"),
            ("secret", "not named"),
        ] {
            fs::write(directory.join(name), content).expect("written");
        }
        std::os::unix::fs::symlink("one", directory.join("sub/data/two")).expect("a link");
        let files = "[[files]]\nfrom = \"sub/data\"\nto = \"/tmp/data\"\n";
        let shipment = pack(directory, files).expect("packed");
        assert_eq!(
            paths(&shipment),
            [
                ".loupe-files",
                ".loupe-files/0",
                ".loupe-files/0/one",
                ".loupe-files/0/two",
                "run.sh",
                "sub",
                "sub/test.sh"
            ]
        );
        let from = &shipment.package.workload.files[0].from;
        assert_eq!(from, Path::new(".loupe-files/0"));
        // Another content makes it another package.
        let before = shipment.package.subject();
        assert_eq!(
            pack(directory, files).expect("packed").package.subject(),
            before
        );
        fs::write(directory.join("sub/data/one"), "2").expect("written");
        assert_ne!(
            pack(directory, files).expect("packed").package.subject(),
            before
        );
    }

    #[test]
    fn what_is_too_much_is_refused_with_a_cure() {
        let place = tempfile::tempdir().expect("a directory");
        let large = File::create(place.path().join("run.sh")).expect("made");
        large.set_len(MOST_BYTES + 1).expect("a hole");
        let refused = pack(place.path(), "").err().expect("refused");
        assert!(matches!(refused, DispatchError::TooLarge(_)), "{refused}");
        assert!(refused.hint().is_some());
    }
}
