//! The subjects of spread replays, and which of them are a worker's to use. Pure.

use loupe_common::host_class::HostClass;

use crate::executable::Digest;

pub const JOBS: &str = "LOUPE_JOBS";
pub const RESULTS: &str = "LOUPE_RESULTS";
pub const FILES: &str = "LOUPE_FILES";

pub const ALL_JOBS: &str = "loupe.jobs.*.*";
pub const ALL_RESULTS: &str = "loupe.results.*.*";
pub const ALL_WORKERS: &str = "loupe.workers.*";
pub const ALL_FILES: &str = "loupe.files.*";

/// Hexadecimal digits of a digest that tell classes, subjects and databases apart.
const DIGITS: usize = 20;

/// What the account of the streams does for that of workers, and all that passes between both.
pub const SERVICES: [&str; 5] = [
    ALL_RESULTS,
    ALL_WORKERS,
    "$JS.API.CONSUMER.MSG.NEXT.LOUPE_JOBS.*",
    "$JS.ACK.LOUPE_JOBS.>",
    "$JS.API.DIRECT.GET.LOUPE_FILES.>",
];

/// Of these services, what the worker of this id may ask for: all jobs and files, and to tell as itself.
pub fn of_worker(id: &str) -> [String; 5] {
    let [_, _, next, acknowledge, get] = SERVICES.map(str::to_owned);
    [results_of(id, "*"), presence_of(id), next, acknowledge, get]
}

/// A few digits that stand for a text.
pub fn token(text: &str) -> String {
    let mut digest = Digest::default();
    digest.text(text.as_bytes());
    let digest = digest.finish();
    digest
        .trim_start_matches("sha256:")
        .chars()
        .take(DIGITS)
        .collect()
}

/// Stands for hosts of a class, whatever is built on them.
pub fn of_class(class: &HostClass) -> String {
    token(&class.of_any_target().to_string())
}

/// Jobs for a class of hosts that this process asks for.
pub fn jobs(class: &str, asker: &str) -> String {
    format!("loupe.jobs.{class}.{}", token(asker))
}

/// All of a class.
pub fn jobs_of_class(class: &str) -> String {
    format!("loupe.jobs.{class}.*")
}

/// Results of one analysis in one database, that a worker tells.
pub fn results_of(worker: &str, wanted: &str) -> String {
    format!("loupe.results.{worker}.{wanted}")
}

pub fn presence_of(worker: &str) -> String {
    format!("loupe.workers.{worker}")
}

/// Who a presence is of.
pub fn worker_of(subject: &str) -> Option<&str> {
    subject.strip_prefix("loupe.workers.")
}

/// What has this digest (`sha256:` and digits).
pub fn file(digest: &str) -> String {
    format!("loupe.files.{}", digest.trim_start_matches("sha256:"))
}

/// By which a worker asks for it.
pub fn get_file(digest: &str) -> String {
    format!("$JS.API.DIRECT.GET.{FILES}.{}", file(digest))
}

/// By which a worker asks for a job of its class.
pub fn next_job(class: &str) -> String {
    format!("$JS.API.CONSUMER.MSG.NEXT.{JOBS}.{class}")
}

/// Who asks: a database, and which of the processes that it has seen.
pub fn asker(home: &str, process: &str) -> String {
    format!("{home}-{process}")
}

/// Stands for an analysis of a subject in the asker's database, whichever process asks.
pub fn wanted(subject: &str, asker: &str) -> String {
    let home = asker.split_once('-').map_or(asker, |(home, _)| home);
    token(&format!("{home} {subject}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_for_a_database_whichever_process_of_it_asked() {
        let of = |home, process| wanted("sha256:0a", &asker(home, process));
        assert_eq!(of("h", "1"), of("h", "2"));
        assert_ne!(of("h", "1"), of("g", "1"));
        assert_ne!(of("h", "1"), wanted("sha256:0b", &asker("h", "1")));
    }

    #[test]
    fn a_worker_may_neither_publish_jobs_nor_tell_as_another() {
        let own = of_worker("0a").join(" ");
        assert!(
            !own.contains("loupe.jobs") && !own.contains("STREAM"),
            "{own}"
        );
        assert!(own.contains("loupe.results.0a.*") && own.contains("loupe.workers.0a"));
        assert_eq!(worker_of(&presence_of("0a")), Some("0a"));
    }
}
