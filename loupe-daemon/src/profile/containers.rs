//! The names of containers by their ids, from the files in which podman and Docker keep them. Reads
//! files that only root can write.

use std::fs;
use std::path::Path;

use serde::Deserialize;

/// podman's list of containers, of root's.
const PODMAN: &str = "/var/lib/containers/storage/overlay-containers/containers.json";
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
    podman(Path::new(PODMAN), id).or_else(|| docker(Path::new(DOCKER), id))
}

fn podman(list: &Path, id: &str) -> Option<String> {
    let text = fs::read_to_string(list).ok()?;
    let all: Vec<PodmanContainer> = serde_json::from_str(&text).ok()?;
    let found = all.into_iter().find(|container| container.id == id)?;
    found.names.into_iter().next()
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
        let list = place.path().join("containers.json");
        fs::write(
            &list,
            r#"[{"id":"aa","names":["web"],"image":"x"},{"id":"bb"}]"#,
        )
        .expect("written");
        assert_eq!(podman(&list, "aa").as_deref(), Some("web"));
        assert_eq!(podman(&list, "bb"), None);
        assert_eq!(podman(&place.path().join("absent"), "aa"), None);
        fs::create_dir(place.path().join("cc")).expect("made");
        let config = r#"{"ID":"cc","Name":"/db","State":{}}"#;
        fs::write(place.path().join("cc/config.v2.json"), config).expect("written");
        assert_eq!(docker(place.path(), "cc").as_deref(), Some("db"));
        assert_eq!(docker(place.path(), "../cc"), None);
    }
}
