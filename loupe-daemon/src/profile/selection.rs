//! Which cgroups the targets ask for. Pure but for the names that containers have, which their
//! engines' files tell.

use loupe_common::profile::{SubjectKind, Target};

use super::naming::{self, Named};
use crate::store::fits;

/// A cgroup with its owner and what else it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Below the root of the hierarchy.
    pub path: &'a str,
    pub named: Option<&'a Named>,
    /// A container's name beside its id.
    pub container_name: Option<&'a str>,
}

/// Whether the target asks for the cgroup as an owner.
pub fn asks_for(target: &Target, candidate: &Candidate<'_>) -> bool {
    let kind = candidate.named.map(|named| named.kind);
    let name = candidate.named.map(|named| named.name.as_str());
    match target {
        Target::Unit(pattern) => {
            kind == Some(SubjectKind::Unit)
                && name.is_some_and(|name| fits_unit(pattern, candidate.path, name))
        }
        Target::Slice(slice) => {
            candidate.named.is_some()
                && naming::slices(candidate.path).any(|found| fits(slice, found))
        }
        Target::Container(wanted) => {
            let by_id = |id: &str| {
                id == wanted || (is_prefix_of_id(wanted) && id.starts_with(wanted.as_str()))
            };
            kind == Some(SubjectKind::Container)
                && (name.is_some_and(|name| by_id(name) || fits(wanted, name))
                    || candidate
                        .container_name
                        .is_some_and(|name| fits(wanted, name)))
        }
        Target::Cgroup(path) => is_same_path(path, candidate.path),
        Target::Executable(_) | Target::Process(_) => false,
    }
}

/// An instance fits by its own name too, as does one life of what a machine named.
fn fits_unit(pattern: &str, path: &str, name: &str) -> bool {
    if fits(pattern, name) {
        return true;
    }
    let stands_for_many = pattern.contains('@') || name.contains('*');
    stands_for_many && path.split('/').any(|component| fits(pattern, component))
}

/// As short as Docker's and podman's commands take them.
fn is_prefix_of_id(text: &str) -> bool {
    text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_same_path(a: &str, b: &str) -> bool {
    a.trim_matches('/') == b.trim_matches('/')
}

/// Whether any of the targets asks for units that are not there yet, so that new cgroups in slices
/// are to be counted from their first call on.
pub fn awaits_units(targets: &[Target]) -> bool {
    targets.iter().any(|target| {
        matches!(
            target,
            Target::Unit(_) | Target::Slice(_) | Target::Container(_)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: Target, path: &str) -> bool {
        let named = naming::owner_of(path);
        let candidate = Candidate {
            path,
            named: named.as_ref(),
            container_name: Some("web"),
        };
        asks_for(&target, &candidate)
    }

    #[test]
    fn targets_ask_for_owners_by_kind_and_name() {
        let unit = |name: &str| Target::Unit(name.to_owned());
        let nginx = "/system.slice/nginx.service";
        assert!(asked(unit("nginx.service"), nginx));
        assert!(asked(unit("*.service"), nginx));
        assert!(!asked(unit("redis.service"), nginx));
        assert!(asked(
            unit("a@.service"),
            "/system.slice/system-a.slice/a@1.service"
        ));
        assert!(asked(
            unit("a@1.service"),
            "/system.slice/system-a.slice/a@1.service"
        ));
        assert!(!asked(
            unit("a@2.service"),
            "/system.slice/system-a.slice/a@1.service"
        ));

        let slice = |name: &str| Target::Slice(name.to_owned());
        assert!(asked(slice("system.slice"), nginx));
        assert!(!asked(slice("user.slice"), nginx));
        assert!(!asked(slice("system.slice"), "/system.slice"));

        let cgroup = |path: &str| Target::Cgroup(path.to_owned());
        assert!(asked(cgroup("jobs/17/"), "/jobs/17"));
        assert!(!asked(cgroup("/jobs"), "/jobs/17"));
    }

    #[test]
    fn a_container_is_asked_for_by_name_id_or_the_beginning_of_it() {
        let id = "0123456789abcdef".repeat(4);
        let path = format!("/machine.slice/libpod-{id}.scope");
        let container = |name: &str| Target::Container(name.to_owned());
        assert!(asked(container(&id), &path));
        assert!(asked(container("01234567"), &path));
        assert!(asked(container("web"), &path));
        assert!(!asked(container("012"), &path));
        assert!(!asked(container("db"), &path));
        // Not everything that is below it: that belongs to it.
        assert!(!asked(Target::Unit("*".to_owned()), &path));
    }
}
