//! A workload on another OS, as its runner starts it: start, readiness, test, in one shell script.
//! No sandbox of Loupe's, no policy, no trace: that is the other OS's business.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use super::cut::Cut;
use super::prepared::ENVIRONMENT;
use super::{Mode, Workload};

/// What the words of a runner have in place of a directory that it may write logs to.
const LOG_PLACE: &str = "%LOG%";

/// Between two looks whether a run has ended, in milliseconds.
const LOOK_MS: u64 = 20;

/// Between two tries of a server's test, in seconds: nothing tells from outside when it is ready.
const TRY_SECONDS: &str = "0.2";

/// Tries of a server's test until it passes.
const TRIES: u32 = 50;

/// Characters of output that are kept, from its end.
const OUTPUT_CHARACTERS: usize = 2_000;

/// What the script exits with where the target was started by something else than its name.
pub const UNCUT: i32 = 122;

/// How it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Elsewhere {
    pub passed: bool,
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    /// It was ended because it took too long.
    pub timed_out: bool,
    pub seconds: f64,
    /// The end of what it printed.
    pub output: String,
}

/// A directory that a runner may write logs to, which goes with it.
#[derive(Debug)]
pub struct Logs {
    directory: PathBuf,
}

impl Logs {
    pub fn new() -> io::Result<Logs> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let moment = since.unwrap_or_default().as_nanos();
        let name = format!("loupe-logs-{}-{moment}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        // Fails where it is there already: it may be somebody else's.
        DirBuilder::new().mode(0o700).create(&directory)?;
        Ok(Logs { directory })
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, directory = %self.directory.display(), "logs are left behind");
        }
    }
}

/// Runs `words` on the other OS, bounded: whatever is left of it then is ended, and so it is when `stop`
/// fires ([`io::ErrorKind::Interrupted`]).
pub fn run(
    runner: &[String],
    words: &[String],
    logs: &Path,
    limit: Duration,
    stop: &CancellationToken,
) -> io::Result<Elsewhere> {
    let logs = logs.display().to_string();
    let runner = runner.iter().map(|word| word.replace(LOG_PLACE, &logs));
    // In a process namespace of its own, all of which ends with its first process.
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .args(runner)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let began = Instant::now();
    let mut child = command.spawn()?;
    let readers = [reader(child.stdout.take()), reader(child.stderr.take())];
    let (code, timed_out) = wait(&mut child, began, limit, stop)?;
    let seconds = began.elapsed().as_secs_f64();
    let mut output = String::new();
    for reader in readers {
        // A reader that panicked read nothing.
        output.push_str(&reader.join().unwrap_or_default());
    }
    let kept = output.chars().count().saturating_sub(OUTPUT_CHARACTERS);
    Ok(Elsewhere {
        passed: code == Some(0),
        code,
        timed_out,
        seconds,
        output: output.chars().skip(kept).collect(),
    })
}

fn reader(pipe: Option<impl io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe
            && let Err(error) = pipe.read_to_end(&mut bytes)
        {
            bytes.extend(format!("\n(the rest could not be read: {error})\n").bytes());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What it exited with, and whether it had to be ended.
fn wait(
    child: &mut Child,
    began: Instant,
    limit: Duration,
    stop: &CancellationToken,
) -> io::Result<(Option<i32>, bool)> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status.code(), false));
        }
        let is_stopped = stop.is_cancelled();
        if is_stopped || began.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return match is_stopped {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => Ok((None, true)),
            };
        }
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

/// The script that is run there: exits with 0 if the test passed. Where the workload names a user,
/// all of it is run as that one, as in a replay. A cut concerns the command, not the test, and has to
/// be seen to be there.
pub fn script(workload: &Workload, cut: Option<&Cut>) -> String {
    let script = as_caller(workload, cut);
    match &workload.user {
        Some(user) => {
            let (user, script) = (quoted(user), quoted(&script));
            format!(
                "exec setpriv --reuid {user} --regid \"$(id -g {user})\" --init-groups -- \
                 /bin/sh -c {script}\n"
            )
        }
        None => script,
    }
}

fn as_caller(workload: &Workload, cut: Option<&Cut>) -> String {
    let mut text = format!(
        "cd {} || exit 120\n",
        quoted(&workload.working_directory().display().to_string())
    );
    // As in a replay, and nothing that is the caller's own means something else here.
    for (name, value) in ENVIRONMENT {
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    for (name, value) in &workload.environment {
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    for file in &workload.files {
        let from = workload.base.join(&file.from).display().to_string();
        let to = file.to.display().to_string();
        let above = file.to.parent().unwrap_or(Path::new("/")).display();
        text.push_str(&format!(
            "mkdir -p {} && cp -r {} {} || exit 121\n",
            quoted(&above.to_string()),
            quoted(&from),
            quoted(&to)
        ));
    }
    let line = |words: &[String]| -> String {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    };
    let mut command = line(&workload.command.words());
    let test = line(&workload.test.words());
    let mut sign = String::from("true");
    if let Some(cut) = cut {
        let programs = quoted(&cut.programs().display().to_string());
        command = format!("env PATH={programs}:\"$PATH\" {command}");
        sign = format!("[ -e {} ]", quoted(&cut.sign().display().to_string()));
    }
    match workload.mode {
        Mode::Batch => text.push_str(&format!("{command}\n{sign} || exit {UNCUT}\n{test}\n")),
        Mode::Server => text.push_str(&format!(
            "{command} &\napplication=$!\ntries=0\nuntil {sign} && {test}; do\n  tries=$((tries + 1))\n  \
             if [ $tries -ge {TRIES} ] || ! kill -0 $application 2>/dev/null; then\n    \
             {sign} || exit {UNCUT}\n    exit 1\n  fi\n  sleep {TRY_SECONDS}\ndone\n\
             kill $application\nexit 0\n"
        )),
    }
    text
}

/// As a shell reads it back, whatever is in it.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(mode: &str, command: &str, test: &str) -> Workload {
        let text = format!(
            "application = \"it's\"\nworkload = \"toy\"\nmode = \"{mode}\"\ncommand = {command}\n\
             test = {test}\nenv = {{ GREETING = \"it's $HOME\" }}\n"
        );
        Workload::parse(&text, Path::new("/tmp/toy.toml"), "/tmp".into()).expect("a workload")
    }

    /// The script as this machine's shell runs it.
    fn here(workload: &Workload) -> bool {
        let status = Command::new("sh")
            .arg("-c")
            .arg(script(workload, None))
            .status();
        status.expect("started").success()
    }

    #[test]
    fn a_batch_passes_when_its_test_does_whatever_the_application_says() {
        let check = r#"["sh", "-c", "test \"$GREETING\" = \"it's \\$HOME\""]"#;
        assert!(here(&workload("batch", r#"["false"]"#, check)));
        assert!(!here(&workload("batch", r#"["true"]"#, r#"["false"]"#)));
    }

    #[test]
    fn it_has_the_environment_and_the_user_of_a_replay() {
        let test = r#"["sh", "-c", "test $HOME.$LANG = /tmp.C.UTF-8"]"#;
        assert!(here(&workload("batch", r#"["true"]"#, test)));
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let mut other = workload(
            "batch",
            r#"["true"]"#,
            r#"["sh", "-c", "test `id -un` = nobody"]"#,
        );
        assert!(!here(&other));
        other.user = Some("nobody".to_owned());
        assert!(here(&other));
    }

    #[test]
    fn a_server_is_tested_until_it_is_ready_and_given_up_when_it_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("ready");
        let file = file.display();
        let serves = format!(r#"["sh", "-c", "sleep 0.3; touch {file}; exec sleep 5"]"#);
        let test = format!(r#"["test", "-e", "{file}"]"#);
        assert!(here(&workload("server", &serves, &test)));
        assert!(!here(&workload("server", r#"["false"]"#, r#"["false"]"#)));
    }

    #[test]
    fn what_takes_too_long_is_ended_and_what_does_not_start_is_told() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let logs = Path::new("/tmp");
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let limit = Duration::from_millis(300);
        let stop = CancellationToken::new();
        let slow = run(&words("env"), &words("sleep 60"), logs, limit, &stop).expect("started");
        assert!(slow.timed_out && !slow.passed);
        let limit = Duration::from_secs(20);
        let told = run(
            &words("env X=%LOG%"),
            &words("printenv X"),
            logs,
            limit,
            &stop,
        )
        .expect("started");
        assert_eq!((told.passed, told.output.as_str()), (true, "/tmp\n"));
        let stopped = CancellationToken::new();
        stopped.cancel();
        let long = Duration::from_secs(60);
        let error = run(&words("env"), &words("sleep 60"), logs, long, &stopped);
        let error = error.expect_err("it was stopped");
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        let absent = run(&words("/nonexistent/runner"), &[], logs, limit, &stop).expect("started");
        assert!(!absent.passed && absent.output.contains("/nonexistent/runner"));
    }
}
