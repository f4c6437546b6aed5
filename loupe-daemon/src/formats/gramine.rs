//! What Gramine is to mock, as a part of its manifest: `sys.debug__mock_syscalls` is a list of
//! syscalls that return a constant, which is what stubs and fakes are.

use loupe_common::feature::Feature;

use super::need::{Class, Needs};
use crate::plan::OsProfile;
use crate::plan::need::Answer;

/// What a mocked call returns that is stubbed.
const MINUS_ENOSYS: i32 = -libc::ENOSYS;

/// A part of a manifest, and what it cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mocks {
    pub text: String,
    /// Needed, and neither there nor to be had by a mock.
    pub lacking: Vec<Feature>,
}

/// The mocks that these needs ask for, of an OS that answers so: of what it does not implement, or
/// (`all`) of all that need not be implemented. Gramine refuses a manifest with a name that it does
/// not know, so only what the profile mentions is named.
pub fn gramine_mocks(needs: &Needs, os: &OsProfile, all: bool) -> Mocks {
    let mut lacking = Vec::new();
    let mut lines = Vec::new();
    for row in needs.rows.iter().filter(|row| row.feature.is_syscall()) {
        let there = os.answer(&row.feature) == Answer::Implement;
        let value = match row.class {
            Class::Implement if there => continue,
            Class::Implement => {
                lacking.push(row.feature.clone());
                continue;
            }
            _ if there && !all => continue,
            Class::Fake => 0,
            Class::Stub => MINUS_ENOSYS,
        };
        match (os.mentions(&row.feature), row.class) {
            (true, _) => lines.push(format!(
                "  {{ name = \"{}\", return = {value} }},\n",
                row.feature
            )),
            // What it does not know fails by itself.
            (false, Class::Stub) => {}
            (false, _) => lacking.push(row.feature.clone()),
        }
    }
    let mut text = String::new();
    let mut comment = |line: &str| {
        // A line break would end the comment.
        let line: String = line.chars().flat_map(char::escape_default).collect();
        text.push_str(&format!("# {line}\n"));
    };
    comment(&format!(
        "What {} is to mock for {}.",
        os.name,
        needs.applications.join(", ")
    ));
    comment("Written by `loupe export gramine`, for the manifest. Measured on:");
    for line in &needs.measured_on {
        comment(line);
    }
    comment(&format!(
        "return = 0: it returns 0 and does nothing; return = {MINUS_ENOSYS}: it fails with ENOSYS."
    ));
    if !lacking.is_empty() {
        let names: Vec<String> = lacking.iter().map(Feature::to_string).collect();
        comment(&format!(
            "Not enough: these are needed, and no mock can stand for them: {}",
            names.join(", ")
        ));
    }
    text.push_str("sys.debug__mock_syscalls = [\n");
    text.extend(lines);
    text.push_str("]\n");
    Mocks { text, lacking }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::need::Row;

    fn feature(name: &str) -> Feature {
        name.parse().expect("a syscall")
    }

    fn needs(rows: &[(&str, Class)]) -> Needs {
        let row = |(name, class): &(&str, Class)| Row {
            feature: feature(name),
            class: *class,
            applications: Vec::new(),
            parts: Default::default(),
            conflict: false,
        };
        Needs {
            applications: vec!["toy/bench".to_owned()],
            rows: rows.iter().map(row).collect(),
            measured_on: vec!["toy/bench: Linux 6.1\nname = \"evil\"".to_owned()],
            ..Needs::default()
        }
    }

    fn os() -> OsProfile {
        let set = |names: &[&str]| names.iter().map(|name| feature(name)).collect();
        OsProfile {
            name: "gramine".to_owned(),
            implement: set(&["read", "futex"]),
            stub: set(&["rseq", "mount", "sched_setattr"]),
            ..OsProfile::default()
        }
    }

    /// The list of a manifest, as TOML reads it.
    fn listed(text: &str) -> Vec<(String, i64)> {
        let manifest: toml::Table = toml::from_str(text).expect("TOML");
        let list = manifest["sys"]["debug__mock_syscalls"].as_array();
        let list = list.expect("a list").iter();
        list.map(|one| {
            let name = one["name"].as_str().expect("text").to_owned();
            (name, one["return"].as_integer().expect("a number"))
        })
        .collect()
    }

    #[test]
    fn only_what_is_lacking_and_known_by_name_is_mocked() {
        let needs = needs(&[
            ("read", Class::Implement),
            ("mount", Class::Implement),
            ("rseq", Class::Stub),
            ("sched_setattr", Class::Fake),
            ("futex", Class::Fake),
            ("futex_waitv", Class::Stub),
            ("landlock_restrict_self", Class::Fake),
        ]);
        let mocks = gramine_mocks(&needs, &os(), false);
        let wanted = [("rseq".to_owned(), -38), ("sched_setattr".to_owned(), 0)];
        assert_eq!(listed(&mocks.text), wanted);
        let lacking = ["mount", "landlock_restrict_self"].map(feature);
        assert_eq!(mocks.lacking, lacking);
        assert!(
            mocks
                .text
                .contains("can stand for them: mount, landlock_restrict_self")
        );
        let everything = gramine_mocks(&needs, &os(), true);
        assert!(listed(&everything.text).contains(&("futex".to_owned(), 0)));
    }

    #[test]
    fn where_nothing_is_to_be_mocked_the_list_is_empty() {
        let mocks = gramine_mocks(&needs(&[("read", Class::Implement)]), &os(), false);
        assert_eq!(listed(&mocks.text), []);
        assert_eq!(mocks.lacking, []);
    }
}
