//! The objects of a profile as pins, so that they outlive the process that loaded them: where they
//! are, and whether those of an earlier process are what this one would have made.
//!
//! They lie in a file system of their own (`sys/bpffs.rs`), as
//! `loupe/<schema>/<boot id>/<set>/<name>`, beside what the kernel itself puts there, and go when nobody has it open any more. Who keeps it open is not this file's concern.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use aya::maps::{MapData, MapType};
use loupe_common::profile_abi::{
    CallKey, ExecutableKey, FileKey, Settings, SlotKey, SlotNotes, SlotUse, WatchedCgroup,
    WatchedProcess,
};
use loupe_common::stats::{ErrorKey, ForeignKey, OperationKey};

use super::ProfilerBounds;
use super::load::{EMBEDDED, EXECUTABLES, FOREIGN_CALLS, RING_BYTES};
use crate::sys::bpffs;
use crate::tracer::TracerError;

/// `BPF_F_NO_PREALLOC` (`include/uapi/linux/bpf.h`).
const ON_DEMAND: u32 = 1;

/// The directory of all that is ours.
const OURS: &str = "loupe";

/// What a map is, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attributes {
    pub kind: MapType,
    pub key_bytes: u32,
    pub value_bytes: u32,
    pub entries: u32,
    pub flags: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Pins {
    top: OwnedFd,
    /// Below the topmost directory.
    place: PathBuf,
    set: String,
}

impl Pins {
    /// An empty set of this name, in a file system of its own.
    pub fn new(set: &str) -> Result<Pins, TracerError> {
        let made = bpffs::private().map_err(io::Error::from);
        let top = made.map_err(TracerError::Pin)?;
        let boot = boot_id().map_err(TracerError::Pin)?;
        let pins = Pins {
            place: Path::new(OURS).join(schema()).join(boot).join(set),
            set: set.to_owned(),
            top,
        };
        fs::create_dir_all(pins.directory()).map_err(TracerError::Pin)?;
        Ok(pins)
    }

    /// The set that an earlier process has made; refused unless it was one of the same programs, in
    /// the same life of the kernel.
    pub fn found(top: OwnedFd) -> Result<Pins, TracerError> {
        let boot = boot_id().map_err(TracerError::Pin)?;
        let root = PathBuf::from(format!("/proc/self/fd/{}", top.as_raw_fd()));
        let mut place = PathBuf::from(OURS);
        for (what, expected) in [
            ("programs of another build", Some(schema())),
            ("another boot", Some(boot)),
            ("no set", None),
        ] {
            let entries = names(&root.join(&place)).map_err(TracerError::Pin)?;
            let chosen = the_one(&entries, expected.as_deref());
            place.push(chosen.ok_or_else(|| {
                TracerError::Pins(format!("they are of {what} ({})", entries.join(", ")))
            })?);
        }
        let set = place.file_name().unwrap_or_default().to_string_lossy();
        Ok(Pins {
            set: set.into_owned(),
            place,
            top,
        })
    }

    /// The name of the set, which no other has.
    pub fn set(&self) -> &str {
        &self.set
    }

    /// What keeps them.
    pub fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    fn directory(&self) -> PathBuf {
        let top = PathBuf::from(format!("/proc/self/fd/{}", self.top.as_raw_fd()));
        top.join(&self.place)
    }

    pub fn map(&self, name: &str) -> PathBuf {
        self.directory().join(format!("map_{name}"))
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.directory().join(format!("program_{name}"))
    }

    pub fn link(&self, name: &str) -> PathBuf {
        self.directory().join(format!("link_{name}"))
    }

    /// The map of this name, if it is as it should be.
    pub fn open_map(&self, name: &str, expected: Attributes) -> Result<MapData, TracerError> {
        let refused = |why: String| TracerError::Pins(format!("the map {name} {why}"));
        let map = MapData::from_pin(self.map(name))
            .map_err(|error| refused(format!("cannot be opened: {error}")))?;
        let info = map
            .info()
            .map_err(|error| refused(format!("says nothing of itself: {error}")))?;
        let found = Attributes {
            kind: info
                .map_type()
                .map_err(|error| refused(format!("is of no known kind: {error}")))?,
            key_bytes: info.key_size(),
            value_bytes: info.value_size(),
            entries: info.max_entries(),
            flags: info.map_flags(),
        };
        match found == expected {
            true => Ok(map),
            false => Err(refused(format!("is {found:?}, not {expected:?}"))),
        }
    }
}

/// The maps that are pinned, and what each is. Others the programs keep themselves.
pub fn maps(bounds: &ProfilerBounds) -> [(&'static str, Attributes); 16] {
    let bytes = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let of = |kind, key: usize, value: usize, entries, flags| Attributes {
        kind,
        key_bytes: bytes(key),
        value_bytes: bytes(value),
        entries,
        flags,
    };
    let hash = |key, value, entries| of(MapType::Hash, key, value, entries, ON_DEMAND);
    let counts = |key, entries| of(MapType::PerCpuHash, key, 8, entries, ON_DEMAND);
    let array = |value, entries| of(MapType::Array, 4, value, entries, 0);
    let by_cpu = |value, entries| of(MapType::PerCpuArray, 4, value, entries, 0);
    let (slots, notes) = (bounds.slots(), size_of::<SlotNotes>());
    let executable = size_of::<ExecutableKey>();
    [
        ("SETTINGS", array(size_of::<Settings>(), 1)),
        (
            "CGROUPS",
            hash(8, size_of::<WatchedCgroup>(), bounds.cgroups),
        ),
        (
            "PROCESSES",
            hash(4, size_of::<WatchedProcess>(), bounds.processes),
        ),
        ("EXECUTABLES", hash(executable, 8, EXECUTABLES)),
        ("SLOTS", hash(size_of::<SlotKey>(), 4, slots)),
        ("FREE_SLOTS", of(MapType::Queue, 0, 4, slots, 0)),
        ("CALLS", counts(size_of::<CallKey>(), bounds.calls)),
        ("ERRORS", counts(size_of::<ErrorKey>(), bounds.errors)),
        (
            "OPERATIONS",
            counts(size_of::<OperationKey>(), bounds.operations),
        ),
        ("FOREIGN", counts(size_of::<ForeignKey>(), FOREIGN_CALLS)),
        ("FILES", counts(size_of::<FileKey>(), bounds.files)),
        ("NOTES", by_cpu(notes, slots)),
        ("NOWHERE", by_cpu(notes, 1)),
        ("OTHERS", by_cpu(8, 1)),
        ("USES", array(size_of::<SlotUse>(), slots)),
        ("EVENTS", of(MapType::RingBuf, 0, 0, RING_BYTES, 0)),
    ]
}

/// Of the programs and their maps: FNV-1a over the object that they are loaded from. It tells builds
/// apart, and keeps nobody out.
pub fn schema() -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = EMBEDDED.iter().fold(BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    });
    format!("{hash:016x}")
}

/// Another one after each start of the kernel.
fn boot_id() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(directory)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// The only entry, if it is the expected one.
fn the_one<'a>(entries: &'a [String], expected: Option<&str>) -> Option<&'a str> {
    match entries {
        [one] if expected.is_none_or(|expected| expected == one) => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_alone_and_as_expected_is_taken() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(the_one(&names(&["a"]), Some("a")), Some("a"));
        assert_eq!(the_one(&names(&["a"]), None), Some("a"));
        assert_eq!(the_one(&names(&["b"]), Some("a")), None);
        assert_eq!(the_one(&names(&["a", "b"]), Some("a")), None);
        assert_eq!(the_one(&[], None), None);
    }

    #[test]
    fn every_map_is_named_once_and_has_the_entries_that_were_asked_for() {
        let bounds = ProfilerBounds {
            calls: 77,
            ..ProfilerBounds::default()
        };
        let maps = maps(&bounds);
        let mut names: Vec<&str> = maps.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), maps.len());
        let calls = maps.iter().find(|(name, _)| *name == "CALLS");
        assert_eq!(calls.expect("it is pinned").1.entries, 77);
        assert_eq!(schema(), schema());
    }
}
