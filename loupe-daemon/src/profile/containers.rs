//! The names of containers by their ids, from the files in which podman, Docker and Kubernetes keep
//! them. Reads files that only root can write.

use std::fs;
use std::path::Path;

use serde::Deserialize;

/// Where podman keeps root's containers: each storage driver has a list in `DRIVER-containers`.
const PODMAN: &str = "/var/lib/containers/storage";
const PODMAN_LISTS_ENDING: &str = "-containers";
/// The kubelet's logs, one link for each container: `POD_NAMESPACE_CONTAINER-ID.log`.
const KUBERNETES: &str = "/var/log/containers";
/// Docker's directory of one container each.
const DOCKER: &str = "/var/lib/docker/containers";

#[derive(Deserialize)]
struct PodmanContainer {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
struct DockerContainer {
    #[serde(rename = "Name")]
    name: String,
}

/// The name of the container with this id; `None`: it has none that is known here.
pub fn name_of(id: &str) -> Option<String> {
    podman(Path::new(PODMAN), id)
        .or_else(|| docker(Path::new(DOCKER), id))
        .or_else(|| kubernetes(Path::new(KUBERNETES), id))
}

fn podman(storage: &Path, id: &str) -> Option<String> {
    fs::read_dir(storage)
        .ok()?
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().ends_with(PODMAN_LISTS_ENDING)
        })
        .find_map(|entry| listed(&entry.path().join("containers.json"), id))
}

fn listed(list: &Path, id: &str) -> Option<String> {
    let text = fs::read_to_string(list).ok()?;
    let all: Vec<PodmanContainer> = serde_json::from_str(&text).ok()?;
    let found = all.into_iter().find(|container| container.id == id)?;
    found.names.into_iter().next()
}

/// A container of a pod has another id after each restart, and a pod of a deployment another name:
/// they are one by their namespace, what made the pod, and the container.
fn kubernetes(logs: &Path, id: &str) -> Option<String> {
    let ending = format!("-{id}.log");
    let link = fs::read_dir(logs).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name();
        Some(name.to_str()?.strip_suffix(&ending)?.to_owned())
    })?;
    let mut parts = link.splitn(3, '_');
    let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{namespace}/{}/{container}", maker_of(pod)))
}

/// What a pod is named after, without what makes its name unique: `web-5d4f8c7b9d-x2x7k` of a
/// deployment, `web-x2x7k` of a daemon set, `web-0` of a stateful set.
fn maker_of(pod: &str) -> &str {
    // Kubernetes leaves vowels and the digits 0, 1 and 3 out, so that no words come about.
    let is_random = |text: &str| {
        text.bytes()
            .all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((before, last)) = pod.rsplit_once('-') else {
        return pod;
    };
    if last.is_empty() || !(is_number(last) || last.len() == 5 && is_random(last)) {
        return pod;
    }
    match before.rsplit_once('-') {
        Some((name, set))
            if !is_number(last) && (8..=10).contains(&set.len()) && is_random(set) =>
        {
            name
        }
        _ => before,
    }
}

fn docker(directory: &Path, id: &str) -> Option<String> {
    // An id is hexadecimal; a machine's name can be anything and is no path.
    if id.contains('/') || id.starts_with('.') {
        return None;
    }
    let text = fs::read_to_string(directory.join(id).join("config.v2.json")).ok()?;
    let found: DockerContainer = serde_json::from_str(&text).ok()?;
    Some(found.name.trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_either_form() {
        let place = tempfile::tempdir().expect("a directory");
        // Either storage driver of podman.
        for (driver, id, name) in [("overlay", "aa", "web"), ("vfs", "dd", "db")] {
            let directory = place.path().join(format!("{driver}-containers"));
            fs::create_dir(&directory).expect("made");
            let list = format!(r#"[{{"id":"{id}","names":["{name}"],"image":"x"}},{{"id":"bb"}}]"#);
            fs::write(directory.join("containers.json"), list).expect("written");
        }
        assert_eq!(podman(place.path(), "aa").as_deref(), Some("web"));
        assert_eq!(podman(place.path(), "dd").as_deref(), Some("db"));
        assert_eq!(podman(place.path(), "bb"), None);
        assert_eq!(podman(&place.path().join("absent"), "aa"), None);
        fs::create_dir(place.path().join("cc")).expect("made");
        let config = r#"{"ID":"cc","Name":"/db","State":{}}"#;
        fs::write(place.path().join("cc/config.v2.json"), config).expect("written");
        assert_eq!(docker(place.path(), "cc").as_deref(), Some("db"));
        assert_eq!(docker(place.path(), "../cc"), None);
    }

    #[test]
    fn the_lives_of_a_pods_container_are_one() {
        let logs = tempfile::tempdir().expect("a directory");
        for (pod, id, expected) in [
            ("web-5d4f8c7b9d-x2x7k", "a1", "shop/web/nginx"),
            ("web-5d4f8c7b9d-zzvbn", "a2", "shop/web/nginx"),
            ("agent-x2x7k", "a3", "shop/agent/nginx"),
            ("db-0", "a4", "shop/db/nginx"),
            ("plain", "a5", "shop/plain/nginx"),
            ("web-proxy", "a6", "shop/web-proxy/nginx"),
        ] {
            let link = logs.path().join(format!("{pod}_shop_nginx-{id}.log"));
            std::os::unix::fs::symlink("/nowhere", link).expect("made");
            assert_eq!(kubernetes(logs.path(), id).as_deref(), Some(expected));
        }
        assert_eq!(kubernetes(logs.path(), "a7"), None);
    }
}
