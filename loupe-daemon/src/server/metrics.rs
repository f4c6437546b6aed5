//! Metrics for others to fetch: a file that is written anew, a listener on the loopback. What is in
//! them is the report's to say.

mod http;
mod source;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::log;
use crate::report::MetricsForm;

pub use source::Source;

/// How often the file is written: as often as Prometheus looks, by default.
const INTERVAL: Duration = Duration::from_secs(15);

/// Writes and serves what the configuration says, until `stop`. Then the file is gone, so that
/// nobody takes it for what is.
pub async fn serve(source: Source, stop: CancellationToken) {
    tokio::join!(write(source.clone(), stop.clone()), listen(source, stop));
}

async fn write(mut source: Source, stop: CancellationToken) {
    let mut written: Option<PathBuf> = None;
    let mut trouble: Option<String> = None;
    loop {
        source.config.borrow_and_update();
        let path = source.chosen().textfile;
        if written != path
            && let Some(old) = written.take()
        {
            remove(&old);
        }
        if let Some(path) = &path {
            let result = match source.text(MetricsForm::Prometheus).await {
                Ok(text) => replace(path, &text)
                    .map_err(|error| format!("cannot write {}: {error}", path.display())),
                Err(failure) => Err(log::line(&failure)),
            };
            written = Some(path.clone());
            // Once, not every few seconds.
            if let Err(why) = &result
                && trouble.as_ref() != Some(why)
            {
                tracing::error!("no metrics: {why}");
            }
            trouble = result.err();
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(INTERVAL), if path.is_some() => {}
            changed = source.config.changed() => if changed.is_err() { break },
        }
    }
    if let Some(path) = written {
        remove(&path);
    }
}

/// Nobody ever reads half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // The collector does not read it: it does not end with `.prom`.
    name.push(".new");
    let new = path.with_file_name(name);
    // One that a killed daemon has left.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let result = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&new, path));
    if result.is_err() {
        // A full disk is not to be filled by this. What is wrong is in the result.
        drop(fs::remove_file(&new));
    }
    result
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
        _ => {}
    }
}

async fn listen(mut source: Source, stop: CancellationToken) {
    loop {
        source.config.borrow_and_update();
        let address = source.chosen().listen;
        let serving = async {
            match address {
                Some(address) => http::serve(&source, address).await,
                None => std::future::pending().await,
            }
        };
        let mut config = source.config.clone();
        let changed = async {
            // Another configuration may say the same of this.
            loop {
                if config.changed().await.is_err() {
                    // There will be no other.
                    std::future::pending::<()>().await;
                }
                if config.borrow_and_update().config.metrics.listen != address {
                    break;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = changed => {}
            () = serving => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_as_a_whole_and_readable_by_all() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("loupe.prom");
        replace(&path, "one\n").expect("written");
        let first = fs::metadata(&path).expect("there");
        assert_eq!(first.permissions().mode() & 0o777, 0o644);
        // What a killed daemon has left is no obstacle.
        fs::write(directory.path().join("loupe.prom.new"), "half").expect("written");
        replace(&path, "two\n").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "two\n");
        assert_ne!(fs::metadata(&path).expect("there").ino(), first.ino());
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1);
        let absent = directory.path().join("absent/loupe.prom");
        assert_eq!(
            replace(&absent, "x").expect_err("nowhere").kind(),
            io::ErrorKind::NotFound
        );
    }
}
