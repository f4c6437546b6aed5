//! Where named OS profiles are: a directory of TOML files beside the database, and those that come
//! with Loupe. What a name means where both have it is decided here.

use std::path::{Path, PathBuf};

use super::{OsError, OsProfile, ReadProfile, built_in, read, to_toml};

/// The directory of profiles unless `LOUPE_OS_DIR` names another: `os` beside the database.
pub fn default_shelf(database: &Path) -> Shelf {
    let directory = match std::env::var_os("LOUPE_OS_DIR") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => database.parent().unwrap_or(Path::new("")).join("os"),
    };
    Shelf::at(directory)
}

/// Where a profile is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A file that was named.
    File,
    Kept,
    BuiltIn,
}

/// A profile that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub read: ReadProfile,
    pub origin: Origin,
    /// What else the name could have meant, where it could.
    pub note: Option<String>,
}

/// A directory of profiles. It need not exist: then it is empty.
#[derive(Clone, Debug)]
pub struct Shelf {
    directory: PathBuf,
}

impl Shelf {
    pub fn at(directory: PathBuf) -> Shelf {
        Shelf { directory }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The files that are profiles, sorted by name.
    fn files(&self) -> Result<Vec<(String, PathBuf)>, OsError> {
        let failed = |source| OsError::Read {
            path: self.directory.clone(),
            source,
        };
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let Some(ending) = path.extension().and_then(|ending| ending.to_str()) else {
                continue;
            };
            if let (true, Some(stem)) = (
                matches!(ending, "toml" | "json" | "scml" | "syscalls"),
                path.file_stem().and_then(|stem| stem.to_str()),
            ) {
                files.push((stem.to_owned(), path.clone()));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Those that are kept, and then those that come with Loupe.
    pub fn all(&self) -> Result<Vec<(ReadProfile, Origin)>, OsError> {
        let mut all = Vec::new();
        for (_, path) in self.files()? {
            all.push((read(&path)?, Origin::Kept));
        }
        for name in built_in::names() {
            if let Some(read) = built_in::read(&name) {
                all.push((read?, Origin::BuiltIn));
            }
        }
        Ok(all)
    }

    /// Finds what `--os` names: the file of that path where there is one; else the profile that is
    /// kept under exactly this name; else the built-in one of exactly this name; else the only one
    /// whose name differs in upper and lower case. `NAME@2026`, `NAME@3c5eee`: of these only one
    /// whose source has a date or a commit that begins so.
    pub fn find(&self, wanted: &str) -> Result<Found, OsError> {
        let path = Path::new(wanted);
        if wanted.contains('/') || path.is_file() {
            return Ok(Found {
                read: read(path)?,
                origin: Origin::File,
                note: None,
            });
        }
        let (name, moment) = match wanted.split_once('@') {
            Some((name, moment)) => (name, Some(moment)),
            None => (wanted, None),
        };
        let mut fitting = Vec::new();
        for (known, path) in self.files()? {
            if known.eq_ignore_ascii_case(name) {
                fitting.push((known, read(&path)?, Origin::Kept));
            }
        }
        for known in built_in::names() {
            if let (true, Some(read)) = (known.eq_ignore_ascii_case(name), built_in::read(&known)) {
                fitting.push((known, read?, Origin::BuiltIn));
            }
        }
        // Stable: what is kept stays before what is built in.
        fitting.sort_by_key(|(known, ..)| known != name);
        if let Some(moment) = moment {
            fitting.retain(|(_, read, _)| read.profile.source.is_of(moment));
        }
        let called = |(known, read, origin): &(String, ReadProfile, Origin)| {
            let date = read.profile.source.date.as_deref();
            let what = match origin {
                Origin::BuiltIn => "built in",
                _ => "kept",
            };
            match date {
                Some(date) => format!("{known}@{date} ({what})"),
                None => format!("{known} ({what})"),
            }
        };
        let others: Vec<String> = fitting.iter().skip(1).map(called).collect();
        // Who spells a kept profile exactly means it, though a built-in one is spelt alike.
        let doubt = |(known, _, origin): &(String, ReadProfile, Origin)| {
            *origin == Origin::BuiltIn
                || fitting.iter().filter(|(other, ..)| other == known).count() > 1
        };
        let told = !others.is_empty() && fitting.first().is_some_and(doubt);
        let all: Vec<String> = fitting.iter().map(called).collect();
        let mut fitting = fitting.into_iter();
        match fitting.next() {
            None => Err(OsError::Unknown {
                name: wanted.to_owned(),
                known: self.names()?,
            }),
            Some((known, ..)) if known != name && !others.is_empty() => Err(OsError::Several {
                name: wanted.to_owned(),
                fitting: all,
            }),
            Some((_, read, origin)) => Ok(Found {
                note: told.then(|| {
                    format!(
                        "{wanted}: {} is meant, and not {}",
                        all[0],
                        others.join(", ")
                    )
                }),
                read,
                origin,
            }),
        }
    }

    /// All that can be named: those that are kept, and then those that come with Loupe.
    pub fn names(&self) -> Result<Vec<String>, OsError> {
        let kept = self.files()?.into_iter().map(|(name, _)| name);
        Ok(kept.chain(built_in::names()).collect())
    }

    /// Keeps a profile under its name; `false`: it was there already. One that differs is only
    /// replaced by `force`, or where it only did not say where its facts are from.
    pub fn keep(&self, profile: &OsProfile, force: bool) -> Result<bool, OsError> {
        let name = &profile.name;
        let allowed = |character: char| character.is_alphanumeric() || "-_+.".contains(character);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
            return Err(OsError::BadName { name: name.clone() });
        }
        let path = self.directory.join(format!("{name}.toml"));
        if path.exists() {
            let there = read(&path)?;
            if there.profile == *profile {
                return Ok(false);
            }
            // More is said about the same facts.
            let told = there.profile.facts() == profile.facts() && there.profile.source.is_empty();
            if !force && !told {
                return Err(OsError::Taken { name: name.clone() });
            }
        }
        let text = to_toml(profile);
        let failed = |source| OsError::Write {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(&self.directory).map_err(failed)?;
        // Whole or not at all.
        let new = path.with_extension("new");
        std::fs::write(&new, text).map_err(failed)?;
        std::fs::rename(&new, &path).map_err(failed)?;
        Ok(true)
    }
}
