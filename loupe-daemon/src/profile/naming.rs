//! Whose a cgroup is, by its path: a unit, a container, or nobody's that has a name. Pure; looks at
//! no file.
//!
//! The level at which units lie is not assumed: a hierarchy may begin anywhere (in a container, on a
//! test host, below a delegated cgroup). A component is a unit by its ending.

use loupe_common::profile::SubjectKind;

/// Endings of the units that hold processes.
const UNIT_ENDINGS: [&str; 5] = [".service", ".scope", ".mount", ".swap", ".socket"];
const SLICE_ENDING: &str = ".slice";
/// A user's own service manager: what runs below it are units again.
const USER_MANAGER: &str = "user@";

/// What the prefixes of containers' scopes are, by who makes them: podman, Docker, CRI-O,
/// containerd; their ids are 64 hexadecimal digits.
const CONTAINER_SCOPES: [&str; 4] = ["libpod-", "docker-", "crio-", "cri-containerd-"];
/// Directories in which Docker and Kubernetes without systemd keep containers by id.
const CONTAINER_ID_DIGITS: usize = 64;
/// Machines that systemd-machined knows (`systemd-nspawn`), as a scope and as a service.
const MACHINE_SCOPE: &str = "machine-";
const MACHINE_SERVICE: &str = "systemd-nspawn@";
/// Where machines are, also those that systemd-machined was not told of: their scopes have the bare
/// name there.
const MACHINE_SLICE: &str = "machine.slice";
/// podman's own process beside each container; it is in the machines' slice and is none.
const PODMAN_MONITOR: &str = "libpod-conmon-";

/// Who owns a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub kind: SubjectKind,
    pub name: String,
    /// How many components of the path lead to the owner; what is below belongs to it.
    pub depth: usize,
}

/// Whether units lie below a cgroup of this name.
pub fn holds_units(component: &str) -> bool {
    component.ends_with(SLICE_ENDING)
}

/// The owner of the cgroup at this path below the root of the hierarchy; `None`: it is above every
/// owner (the root, a slice), or below nothing that has a name.
pub fn owner_of(path: &str) -> Option<Named> {
    let components: Vec<&str> = components(path).collect();
    let mut found: Option<Named> = None;
    for (place, component) in components.iter().enumerate() {
        let above = place.checked_sub(1).map(|above| components[above]);
        let Some((kind, name)) = owner(component, above) else {
            continue;
        };
        let depth = place + 1;
        let is_manager = kind == SubjectKind::Unit && component.starts_with(USER_MANAGER);
        found = Some(Named { kind, name, depth });
        if !is_manager {
            break;
        }
    }
    found
}

/// The slices that a path leads through.
pub fn slices(path: &str) -> impl Iterator<Item = &str> {
    components(path).filter(|component| holds_units(component))
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty())
}

fn owner(component: &str, above: Option<&str>) -> Option<(SubjectKind, String)> {
    if let Some(name) = container(component).or_else(|| machine(component, above)) {
        return Some((SubjectKind::Container, name));
    }
    let is_unit = UNIT_ENDINGS.iter().any(|ending| {
        component
            .strip_suffix(ending)
            .is_some_and(|name| !name.is_empty())
    });
    is_unit.then(|| (SubjectKind::Unit, subject_of(component)))
}

/// Units whose names are made by a machine for one life each, by what is before and after the part
/// that differs: systemd-run's (a bus's number, a random one, a process's), sessions of
/// systemd-logind, podman's monitors.
const PASSING: [&str; 5] = ["run-u", "run-r", "run-p", "session-", PODMAN_MONITOR];

/// The name under which the lives of a unit are one.
fn subject_of(unit: &str) -> String {
    let passing = PASSING
        .iter()
        .find(|prefix| is_passing(unit.strip_prefix(*prefix)));
    match (passing, unit.rsplit_once('.')) {
        (Some(prefix), Some((_, ending))) => format!("{prefix}*.{ending}"),
        _ => template_of(unit),
    }
}

/// Whether what follows the prefix is what a machine writes: numbers, with the letters between that
/// systemd puts there (`session-c1`, `run-p12-i13`).
fn is_passing(rest: Option<&str>) -> bool {
    let Some((made, _)) = rest.and_then(|rest| rest.rsplit_once('.')) else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_hexadecimal = made.len() >= 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hexadecimal
        || made
            .split('-')
            .all(|part| is_number(part.trim_start_matches(['c', 'i'])))
}

/// The instances of a template are one subject.
fn template_of(unit: &str) -> String {
    let Some((name, rest)) = unit.split_once('@') else {
        return unit.to_owned();
    };
    let Some((_, ending)) = rest.rsplit_once('.') else {
        return unit.to_owned();
    };
    // Other users' managers are other people's.
    if name == USER_MANAGER.trim_end_matches('@') {
        return unit.to_owned();
    }
    format!("{name}@.{ending}")
}

fn container(component: &str) -> Option<String> {
    if is_container_id(component) {
        return Some(component.to_owned());
    }
    if let Some(scope) = component.strip_suffix(".scope") {
        if let Some(machine) = scope.strip_prefix(MACHINE_SCOPE) {
            return Some(unescape(machine));
        }
        return CONTAINER_SCOPES
            .iter()
            .find_map(|prefix| scope.strip_prefix(prefix))
            .filter(|id| is_container_id(id))
            .map(str::to_owned);
    }
    let machine = component
        .strip_suffix(".service")?
        .strip_prefix(MACHINE_SERVICE)?;
    Some(unescape(machine))
}

/// A machine that nobody registered, by where its scope is.
fn machine(component: &str, above: Option<&str>) -> Option<String> {
    let name = component.strip_suffix(".scope")?;
    let is_one = above == Some(MACHINE_SLICE) && !name.starts_with(PODMAN_MONITOR);
    (is_one && !name.is_empty()).then(|| unescape(name))
}

fn is_container_id(text: &str) -> bool {
    text.len() == CONTAINER_ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// systemd writes what may not stand in a unit's name as `\x2d`.
fn unescape(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        text.push_str(before);
        let code = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii_graphic) {
            Some(code) => {
                text.push(char::from(code));
                rest = &after[2..];
            }
            None => {
                text.push_str("\\x");
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str) -> Option<(SubjectKind, String, usize)> {
        owner_of(path).map(|named| (named.kind, named.name, named.depth))
    }

    #[test]
    fn a_unit_is_found_at_whatever_level_it_lies() {
        let unit = |name: &str, depth| Some((SubjectKind::Unit, name.to_owned(), depth));
        for (path, expected) in [
            ("/system.slice/nginx.service", unit("nginx.service", 2)),
            (
                "/system.slice/nginx.service/worker/1",
                unit("nginx.service", 2),
            ),
            ("/host/system.slice/cron.service", unit("cron.service", 3)),
            ("/a/b/c/cron.service", unit("cron.service", 4)),
            ("/init.scope", unit("init.scope", 1)),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                unit("getty@.service", 3),
            ),
            ("/system.slice/foo@a.b.service", unit("foo@.service", 2)),
            (
                "/user.slice/user-1000.slice/user@1000.service",
                unit("user@1000.service", 3),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service",
                unit("editor.service", 5),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/init.scope",
                unit("init.scope", 4),
            ),
            ("/", None),
            ("", None),
            ("/system.slice", None),
            ("/loupe/17/target", None),
            ("/.service", None),
        ] {
            assert_eq!(named(path), expected, "{path}");
        }
    }

    #[test]
    fn a_container_owns_what_is_in_it_units_too() {
        let id = "0123456789abcdef".repeat(4);
        let container = |name: &str, depth| Some((SubjectKind::Container, name.to_owned(), depth));
        for (path, expected) in [
            (
                format!("/machine.slice/libpod-{id}.scope/container"),
                container(&id, 2),
            ),
            (
                format!("/system.slice/docker-{id}.scope/system.slice/a.service"),
                container(&id, 2),
            ),
            (format!("/docker/{id}"), container(&id, 2)),
            (
                format!("/kubepods.slice/kubepods-burstable.slice/cri-containerd-{id}.scope"),
                container(&id, 3),
            ),
            (
                "/machine.slice/systemd-nspawn@web\\x2d1.service/payload/x.service".to_owned(),
                container("web-1", 2),
            ),
            (
                "/machine.slice/machine-db.scope".to_owned(),
                container("db", 2),
            ),
        ] {
            assert_eq!(named(&path), expected, "{path}");
        }
        // Nobody registered it.
        assert_eq!(
            named("/machine.slice/box.scope/payload"),
            container("box", 2)
        );
        // podman's own process beside it: a unit like others.
        assert_eq!(
            named(&format!("/machine.slice/libpod-conmon-{id}.scope")).map(|found| found.0),
            Some(SubjectKind::Unit)
        );
    }

    #[test]
    fn the_lives_of_what_is_named_by_a_machine_are_one() {
        let monitor = format!("libpod-conmon-{}.scope", "0123456789abcdef".repeat(4));
        let random = format!("run-r{}.scope", "0123456789abcdef".repeat(2));
        for (unit, expected) in [
            ("run-u12.service", "run-u*.service"),
            (random.as_str(), "run-r*.scope"),
            ("run-p12-i345.service", "run-p*.service"),
            ("session-3.scope", "session-*.scope"),
            ("session-c1.scope", "session-*.scope"),
            (monitor.as_str(), "libpod-conmon-*.scope"),
            // People's names stay.
            ("run-update.service", "run-update.service"),
            ("session-store.service", "session-store.service"),
            ("run-u.service", "run-u.service"),
        ] {
            let found = named(&format!("/system.slice/{unit}"));
            assert_eq!(found.map(|found| found.1).as_deref(), Some(expected));
        }
    }

    #[test]
    fn slices_are_told_in_their_order() {
        let path = "/user.slice/user-1.slice/user@1.service/app.slice/x.service";
        let found: Vec<&str> = slices(path).collect();
        assert_eq!(found, ["user.slice", "user-1.slice", "app.slice"]);
    }

    #[test]
    fn names_are_unescaped_and_never_to_what_steers() {
        assert_eq!(unescape("a\\x2db\\x2f"), "a-b/");
        assert_eq!(unescape("a\\x1b"), "a\\x1b");
        assert_eq!(unescape("a\\x"), "a\\x");
        assert_eq!(unescape("a\\xé"), "a\\xé");
    }
}
