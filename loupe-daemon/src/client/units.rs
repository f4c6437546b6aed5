//! The names of units that this host knows: by their files, and by the cgroups of those that run.
//! Only for suggestions: louped decides what fits.

use std::collections::BTreeSet;
use std::path::Path;

/// Where systemd looks for files of units, most of which may be absent.
const DIRECTORIES: [&str; 8] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/transient",
    "/run/systemd/generator",
    "/run/systemd/generator.early",
    "/run/systemd/generator.late",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];
/// In both kinds of hierarchies the controller-less one of systemd is below it.
const CGROUPS: &str = "/sys/fs/cgroup";
/// systemd's own slices are a few levels deep, containers below them some more.
const MAX_DEPTH: usize = 8;

/// Files and cgroups that are units by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units(BTreeSet<String>);

impl Units {
    /// A directory that is not there, or may not be read, adds none: these are suggestions.
    pub fn here() -> Units {
        let mut units = Units::default();
        for directory in DIRECTORIES {
            units.collect(Path::new(directory), 1);
        }
        // Without files there is no systemd, whatever cgroups are called.
        if !units.is_empty() {
            units.collect(Path::new(CGROUPS), MAX_DEPTH);
        }
        units
    }

    #[cfg(test)]
    pub fn of(names: &[&str]) -> Units {
        Units(names.iter().copied().map(str::to_owned).collect())
    }

    fn collect(&mut self, directory: &Path, depth: usize) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_unit = [".service", ".scope", ".slice", ".socket", ".mount"]
                .iter()
                .any(|suffix| name.ends_with(suffix));
            if is_unit {
                self.0.insert(name);
            }
            if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.collect(&entry.path(), depth - 1);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Itself, or the template that it is an instance of.
    pub fn knows(&self, name: &str) -> bool {
        let template = || {
            let (head, _) = name.split_once('@')?;
            let (_, suffix) = name.rsplit_once('.')?;
            Some(format!("{head}@.{suffix}"))
        };
        self.0.contains(name) || template().is_some_and(|template| self.0.contains(&template))
    }

    pub fn names(&self) -> BTreeSet<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_by_their_names_at_every_level() {
        let top = tempfile::tempdir().expect("a directory");
        for path in [
            "system.slice/nginx.service/worker",
            "system.slice/system-foo.slice/foo@1.service",
        ] {
            std::fs::create_dir_all(top.path().join(path)).expect("made");
        }
        std::fs::write(top.path().join("cgroup.procs"), "").expect("written");
        let mut units = Units::default();
        units.collect(top.path(), MAX_DEPTH);
        assert_eq!(
            units,
            Units::of(&[
                "foo@1.service",
                "nginx.service",
                "system-foo.slice",
                "system.slice"
            ])
        );
        let mut flat = Units::default();
        flat.collect(top.path(), 1);
        assert_eq!(flat, Units::of(&["system.slice"]));
        flat.collect(&top.path().join("absent"), 1);
    }

    #[test]
    fn an_instance_is_known_by_its_template() {
        let units = Units::of(&["foo@.service", "nginx.service"]);
        assert!(units.knows("foo@7.service") && units.knows("nginx.service"));
        assert!(!units.knows("bar@7.service") && !units.knows("nginx"));
    }
}
