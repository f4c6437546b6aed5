//! The OS profiles that come with Loupe: facts about today's compatibility layers, each with its
//! source, and Linux's own releases. Files of the same format as everybody's own; about 100 kB of
//! the program.

use std::path::Path;

use super::document::read_toml;
use super::{OsError, OsProfile, ReadProfile, Source};
use loupe_common::feature::Feature;
use loupe_common::syscalls::{Arch, Syscall};

macro_rules! files {
    ($($name:literal)*) => {
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("built_in/", $name, ".toml")))),*];
    };
}

files! {
    "asterinas" "blink" "docker-default" "dragonos" "elfuse" "freebsd" "gramine" "gvisor"
    "illumos-lx" "kerla" "litebox" "maestro" "moss" "nanos" "netbsd" "occlum" "osv" "qemu-user" "quark"
    "starnix" "starryos" "unikraft"
}

/// A line for each syscall: the first release that has it, and the last one if it is gone again.
const LINUX: &str = include_str!("built_in/linux.txt");

/// The releases that are told apart, in their order.
const RELEASES: &[&str] = &[
    "3.10", "4.18", "5.10", "5.14", "5.15", "6.1", "6.6", "6.8", "6.12", "6.17",
];

/// Before a release, in the name of a profile.
const LINUX_PREFIX: &str = "linux-";

/// The names of all, sorted; releases of Linux last, in their order.
pub(super) fn names() -> impl Iterator<Item = String> {
    let files = FILES.iter().map(|(name, _)| (*name).to_owned());
    files.chain(
        RELEASES
            .iter()
            .map(|release| format!("{LINUX_PREFIX}{release}")),
    )
}

/// All of them, as programs of this architecture meet them.
pub fn all() -> Result<Vec<OsProfile>, OsError> {
    let read = names().filter_map(|name| read(&name));
    read.map(|read| {
        let profile = read?.profile;
        Ok(profile.as_met_by(Arch::NATIVE).unwrap_or(profile))
    })
    .collect()
}

/// The profile of exactly this name.
pub(super) fn read(name: &str) -> Option<Result<ReadProfile, OsError>> {
    if let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) {
        return Some(read_toml(Path::new(&format!("{name}.toml")), text));
    }
    let release = name.strip_prefix(LINUX_PREFIX)?;
    let release = RELEASES.iter().position(|known| *known == release)?;
    Some(Ok(ReadProfile {
        profile: linux(release),
        remarks: Vec::new(),
    }))
}

/// A release of Linux, by its place in [`RELEASES`].
fn linux(release: usize) -> OsProfile {
    let name = RELEASES[release];
    let place = |word: &str| RELEASES.iter().position(|known| *known == word);
    let lines = LINUX.lines().filter(|line| !line.starts_with('#'));
    let implement = lines.filter_map(|line| {
        let mut words = line.split(' ');
        let syscall = Syscall::from_name(words.next()?)?;
        let since = place(words.next()?)?;
        let last = words.next().and_then(place).unwrap_or(usize::MAX);
        (since..=last)
            .contains(&release)
            .then(|| Feature::from(syscall))
    });
    let text = |text: &str| Some(text.to_owned());
    OsProfile {
        name: format!("{LINUX_PREFIX}{name}"),
        title: Some(format!("Linux {name} (mainline)")),
        arch: Some(Arch::X86_64),
        implement: implement.collect(),
        source: Source {
            url: text("https://www.kernel.org/doc/man-pages"),
            commit: text("man-pages 6.03"),
            date: text("2023"),
            files: text("syscalls(2); above number 450 the release that gave out the number"),
            read: text("what the release has; distributions add some to older ones"),
        },
        ..OsProfile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::need::Answer;
    use crate::plan::os::to_toml;

    fn all() -> Vec<ReadProfile> {
        let all = names().map(|name| read(&name).expect("it is there").expect("readable"));
        all.collect()
    }

    #[test]
    fn every_profile_is_read_without_a_remark_and_says_where_it_is_from() {
        for (read, name) in all().iter().zip(names()) {
            assert_eq!(read.remarks, [], "{name}");
            assert_eq!(read.profile.name, name);
            let source = &read.profile.source;
            assert!(source.url.is_some() && source.commit.is_some(), "{name}");
            assert!(source.read.is_some() && read.profile.arch.is_some());
            assert!(read.profile.title.is_some());
            assert!(read.profile.implement.len() > 60, "{name}");
        }
    }

    #[test]
    fn every_file_is_written_as_profiles_are_and_listed() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/os/built_in");
        let mut listed = 0;
        for entry in std::fs::read_dir(&directory).expect("the directory is there") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|ending| ending != "toml") {
                continue;
            }
            listed += 1;
            let text = std::fs::read_to_string(&path).expect("readable");
            let read = read_toml(&path, &text).expect("a profile");
            assert_eq!(to_toml(&read.profile), text, "{}", path.display());
        }
        assert_eq!(listed, FILES.len());
        assert!(FILES.is_sorted());
    }

    /// What is told of a profile is what `docs/verified` has, application by application.
    #[test]
    fn every_count_of_predictions_is_that_of_the_published_run() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let page = std::fs::read_to_string(docs.join("verified.md")).expect("readable");
        let mut told = 0;
        for profile in all().into_iter().map(|read| read.profile) {
            let Some(verified) = profile.verified else {
                continue;
            };
            told += 1;
            let file = docs.join(format!("verified/{}.json", profile.name));
            let text = std::fs::read_to_string(&file).expect("readable");
            let run: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let each = run["applications"].as_array().expect("a list");
            let is_right = |one: &&serde_json::Value| one["predicted"] == one["really"];
            assert_eq!(each.iter().filter(is_right).count(), verified.right);
            assert_eq!(
                (each.len(), &run["os"]),
                (verified.of, &profile.name.as_str().into())
            );
            assert!(
                page.contains(&verified.to_string()),
                "{verified} is not in the page"
            );
            for one in each {
                let name = one["application"].as_str().expect("a name");
                assert!(
                    page.contains(&format!("| {name} |")),
                    "{name} is not in the page"
                );
            }
        }
        assert!(told >= 2, "{told}");
    }

    #[test]
    fn a_release_of_linux_has_what_came_before_it_and_is_not_gone() {
        let has = |name: &str, call: &str| {
            let read = read(name).expect("a release").expect("readable");
            read.profile.answer(&call.parse().expect("a syscall")) == Answer::Implement
        };
        assert!(has("linux-3.10", "read") && has("linux-6.17", "read"));
        assert!(!has("linux-4.18", "clone3") && has("linux-5.10", "clone3"));
        assert!(has("linux-4.18", "_sysctl") && !has("linux-5.10", "_sysctl"));
        assert!(read("linux-2.6").is_none() && read("linux-").is_none());
        let lines = LINUX.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            assert!(Syscall::from_name(words[0]).is_some(), "{line}");
            assert!(words[1..].iter().all(|word| RELEASES.contains(word)));
            assert!((2..=3).contains(&words.len()), "{line}");
        }
    }

    #[test]
    fn a_profile_says_what_an_unknown_call_gets() {
        let answer = |name: &str, call: &str| {
            let read = read(name).expect("it is there").expect("readable");
            read.profile.answer(&call.parse().expect("a syscall"))
        };
        let eperm = Answer::Error("EPERM".parse().expect("an errno"));
        assert_eq!(answer("docker-default", "bpf"), eperm);
        assert_eq!(answer("docker-default", "clone3"), Answer::Stub);
        assert_eq!(answer("maestro", "futex_waitv"), Answer::Kill);
        assert_eq!(answer("quark", "userfaultfd"), Answer::Kill);
        assert_eq!(answer("gvisor", "mlock"), Answer::Fake);
        assert_eq!(answer("kerla", "futex_waitv"), Answer::Stub);
    }
}
