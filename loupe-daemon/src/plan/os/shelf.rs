//! Where named OS profiles are kept: a directory of TOML files beside the database.

use std::path::{Path, PathBuf};

use super::{OsError, OsProfile, ReadProfile, read, to_toml};

/// The directory of profiles unless `LOUPE_OS_DIR` names another: `os` beside the database.
pub fn default_shelf(database: &Path) -> Shelf {
    let directory = match std::env::var_os("LOUPE_OS_DIR") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => database.parent().unwrap_or(Path::new("")).join("os"),
    };
    Shelf::at(directory)
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

    pub fn all(&self) -> Result<Vec<ReadProfile>, OsError> {
        let files = self.files()?;
        files.iter().map(|(_, path)| read(path)).collect()
    }

    /// Finds what `--os` names: the file of that path where there is one, else the profile of that
    /// name. Upper and lower case are the same where that is not ambiguous.
    pub fn find(&self, wanted: &str) -> Result<ReadProfile, OsError> {
        let path = Path::new(wanted);
        if wanted.contains('/') || path.is_file() {
            return read(path);
        }
        let files = self.files()?;
        let exact = files.iter().find(|(name, _)| name == wanted);
        let found = exact.or_else(|| {
            let mut near = files
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            near.next().filter(|_| near.next().is_none())
        });
        match found {
            Some((_, path)) => read(path),
            None => Err(OsError::Unknown {
                name: wanted.to_owned(),
                known: files.into_iter().map(|(name, _)| name).collect(),
            }),
        }
    }

    /// Keeps a profile under its name; `false`: it was there already. One that differs is only
    /// replaced by `force`.
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
            if !force {
                return Err(OsError::Taken { name: name.clone() });
            }
        }
        let text = to_toml(profile)?;
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
