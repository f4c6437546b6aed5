//! The bundle: everything that a host tells a fleet, as one compressed file (`loupe.bundle/2`), and
//! what a file must be to be taken for one. Knows no database.
//!
//! Inside is JSON, so that `show-payload` prints exactly what leaves. Sets of features and calendars
//! are named by the hash of what is in them: equal ones of all subjects, hosts and times are one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use loupe_common::profile::SubjectKind;
use loupe_common::text::steers;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::FleetError;

/// The newest version that is written and read: sets have operations of syscalls. Bundles of version 1
/// are read as well: their sets have syscalls as a whole.
pub const VERSION: u64 = 2;
const SCHEMA: &str = "loupe.bundle";
/// Bytes of an unpacked bundle: some hundred times what a large host has.
const MAX_BYTES: u64 = 256 << 20;
/// Bytes of any word in it: names of files have up to 255, paths of pseudo-files less.
const MAX_WORD_BYTES: usize = 255;

/// A set of features by their names: those of another architecture are no [`Feature`] here.
///
/// [`Feature`]: loupe_common::feature::Feature
pub type FeatureSet = BTreeSet<String>;
/// Observed milliseconds, in whole minutes, by UTC day (`2026-11-29`) or month (`2026-08`).
pub type Calendar = BTreeMap<String, u64>;
/// Hours since the epoch.
pub type Hour = u32;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    pub schema: String,
    pub host: Host,
    pub sets: BTreeMap<String, FeatureSet>,
    pub calendars: BTreeMap<String, Calendar>,
    pub subjects: Vec<Told>,
}

/// The host as it was when it made the bundle. Ordered so that the newest is the greatest, and two of
/// one moment have an order, too.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema, Deserialize,
)]
pub struct Host {
    pub made_ms: u64,
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub kernel: String,
    pub arch: String,
    pub loupe: String,
    /// Subjects that it did not tell of: cgroups, mounts and others whose names are paths.
    pub kept_home: u64,
}

/// What a subject is, without what could tell of a person or a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetSubject {
    pub name: String,
    pub kind: SubjectKind,
    /// The name of the file, without its directory.
    pub executable: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What a host tells of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    #[serde(flatten)]
    pub subject: FleetSubject,
    /// The name of its set.
    pub set: String,
    pub first_hour: Hour,
    pub last_hour: Hour,
    /// When features were first seen that were not seen in the first hour.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub later: BTreeMap<String, Hour>,
    /// All calls are fewer than 10 to this power.
    pub magnitude: u8,
    /// The name of its calendar.
    pub calendar: String,
    #[serde(default)]
    pub lost: u64,
}

/// `loupe.bundle/2`.
pub fn schema() -> String {
    format!("{SCHEMA}/{VERSION}")
}

/// The name of a set.
pub fn set_name(features: &FeatureSet) -> String {
    name_of(features.iter().map(String::as_str))
}

/// The name of a calendar.
pub fn calendar_name(calendar: &Calendar) -> String {
    let lines: Vec<String> = calendar
        .iter()
        .map(|(day, ms)| format!("{day} {ms}"))
        .collect();
    name_of(lines.iter().map(String::as_str))
}

fn name_of<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hexadecimal(&hash.finalize()[..16])
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is wrong with what came as a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is no bundle of a host")]
    Foreign,
    #[error("it is cut off or damaged ({0})")]
    Damaged(String),
    #[error("it has version {0}; this program knows versions up to {VERSION}")]
    Newer(u64),
}

/// As it travels: JSON, compressed.
pub fn pack(bundle: &Bundle, compression: Compression) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), compression);
    serde_json::to_writer(&mut packed, bundle)?;
    packed.finish()
}

/// Unpacks what came from wherever: nothing in it is trusted, nor does it grow beyond so many bytes.
/// The error outside is that of reading.
pub fn unpack(packed: impl BufRead, max_bytes: u64) -> io::Result<Result<Bundle, Unfit>> {
    let damaged = |what: String| Ok(Err(Unfit::Damaged(what)));
    let early = "it ends early";
    let mut packed = GzDecoder::new(packed);
    if packed.header().is_none() {
        // The header is read at once: nothing else begins like this.
        let mut first = [0];
        if let Err(error) = packed.read(&mut first) {
            return match error.kind() {
                io::ErrorKind::InvalidInput => Ok(Err(Unfit::Foreign)),
                io::ErrorKind::UnexpectedEof => damaged(early.to_owned()),
                _ => Err(error),
            };
        }
    }
    let mut text = Vec::new();
    if let Err(error) = packed.take(max_bytes).read_to_end(&mut text) {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(early.to_owned()),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => damaged(error.to_string()),
            _ => Err(error),
        };
    }
    if text.len() as u64 == max_bytes {
        return damaged(format!("it has more than {} MB", max_bytes >> 20));
    }
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let Ok(head) = serde_json::from_slice::<Head>(&text) else {
        return Ok(Err(Unfit::Foreign));
    };
    match head.schema.split_once('/') {
        Some((SCHEMA, version)) => match version.parse() {
            Ok(1..=VERSION) => {}
            Ok(found) => return Ok(Err(Unfit::Newer(found))),
            Err(_) => return Ok(Err(Unfit::Foreign)),
        },
        _ => return Ok(Err(Unfit::Foreign)),
    }
    Ok(match serde_json::from_slice::<Bundle>(&text) {
        Ok(bundle) => match check(&bundle) {
            Ok(()) => Ok(bundle),
            Err(what) => Err(Unfit::Damaged(what)),
        },
        Err(error) => Err(Unfit::Damaged(error.to_string())),
    })
}

/// Writes it whole or not at all: a reader never meets half of it.
pub fn write_bundle(path: &Path, bundle: &Bundle) -> Result<(), FleetError> {
    let write = || replace(path, 0o666, &pack(bundle, Compression::best())?);
    write().map_err(|source| FleetError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Puts a file there with this mode (less the umask), in the place of one that is there.
pub fn replace(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = Path::new(&draft);
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(draft, path)
    };
    write().inspect_err(|_| {
        // What was begun is of no use; that it cannot be removed either is no news.
        drop(fs::remove_file(draft));
    })
}

/// Reads a bundle from a file.
pub fn read_bundle(path: &Path) -> Result<Bundle, FleetError> {
    let failed = |source| FleetError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let read = unpack(BufReader::new(file), MAX_BYTES).map_err(failed)?;
    read.map_err(|unfit| match unfit {
        Unfit::Foreign => FleetError::Foreign {
            path: path.to_owned(),
        },
        Unfit::Damaged(what) => FleetError::Damaged {
            path: path.to_owned(),
            what,
        },
        Unfit::Newer(found) => FleetError::Newer {
            path: path.to_owned(),
            found,
        },
    })
}

/// What is wrong with its content, if anything is.
fn check(bundle: &Bundle) -> Result<(), String> {
    let host = &bundle.host;
    let id_is_good = host.id.len() == 32 && host.id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !id_is_good {
        return Err("its host has no id".to_owned());
    }
    for text in host
        .name
        .iter()
        .chain([&host.kernel, &host.arch, &host.loupe])
    {
        word(text)?;
    }
    for (name, set) in &bundle.sets {
        set.iter().try_for_each(|feature| word(feature))?;
        if set_name(set) != *name {
            return Err(format!("its set {name} holds something else"));
        }
    }
    for (name, calendar) in &bundle.calendars {
        calendar.keys().try_for_each(|day| word(day))?;
        if calendar_name(calendar) != *name {
            return Err(format!("its calendar {name} holds something else"));
        }
    }
    for told in &bundle.subjects {
        let subject = &told.subject;
        let parts = [&subject.build_id, &subject.package, &subject.version];
        for text in [&subject.name, &subject.executable]
            .into_iter()
            .chain(parts.into_iter().flatten())
        {
            word(text)?;
        }
        let set = bundle.sets.get(&told.set);
        let set = set.ok_or_else(|| format!("its set {} is not there", told.set))?;
        if !bundle.calendars.contains_key(&told.calendar) {
            return Err(format!("its calendar {} is not there", told.calendar));
        }
        let fits = |(feature, hour): (&String, &Hour)| {
            set.contains(feature) && (told.first_hour..=told.last_hour).contains(hour)
        };
        if told.first_hour > told.last_hour || !told.later.iter().all(fits) {
            return Err(format!(
                "the times of {} contradict each other",
                subject.name
            ));
        }
    }
    Ok(())
}

fn word(text: &str) -> Result<(), String> {
    match is_word(text) {
        true => Ok(()),
        false => Err("a word in it is none".to_owned()),
    }
}

/// What a bundle may hold: nothing in it is longer, or steers a terminal.
pub fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD_BYTES && !text.chars().any(steers)
}
