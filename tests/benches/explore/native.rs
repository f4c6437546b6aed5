//! How long a workload's own start and test take without Loupe: alone, on one CPU, with files of
//! their own in memory and loopback only, as in a replay. Nothing is watched and nothing injected.
//!
//! `unshare` starts this program once more, in new namespaces; that one runs the workload once and
//! prints the seconds. What the workload left ends with its process namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use loupe_daemon::benchmarks::{Mode, Workload};
use loupe_tests::figures::Spread;

/// Their median counts.
const RUNS: usize = 5;
/// The first argument of the program in the namespaces; the second is the workload file.
const IN_NAMESPACES: &str = "--in-namespaces";
/// Between two looks at whether the server listens; a look takes some microseconds.
const LOOK_EVERY: Duration = Duration::from_micros(200);
const LONGEST_START: Duration = Duration::from_secs(10);

/// As root: mounts are seen in this mount namespace only, which `unshare` makes private.
const PREPARE: &str = "set -e
for directory in /tmp /run /dev/shm; do mount -t tmpfs loupe $directory; done
ip link set lo up";

/// Copies $1 to $2, over a layer that takes what is written to the directory around it.
const BRING: &str = "set -e
over=$(dirname \"$2\")
while [ ! -d \"$over\" ]; do over=$(dirname \"$over\"); done
layer=$(mktemp -d)
mkdir \"$layer/upper\" \"$layer/work\"
chmod --reference=\"$over\" \"$layer/upper\"
mount -t overlay -o \"lowerdir=$over,upperdir=$layer/upper,workdir=$layer/work\" loupe \"$over\"
mkdir -p \"$(dirname \"$2\")\"
cp -a \"$1\" \"$2\"";

/// The median of some runs.
pub fn seconds(file: &Path) -> Result<f64, String> {
    let runs: Vec<f64> = (0..RUNS)
        .map(|_| in_namespaces(file))
        .collect::<Result<_, _>>()?;
    let spread = Spread::of(&runs).ok_or("no runs")?;
    eprintln!("  its own start and test alone: {} s", spread.show(4));
    Ok(spread.median)
}

/// What `main` ends with in the program that [`seconds`] starts.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .filter(|first| first == IN_NAMESPACES)
        .and_then(|_| arguments.next())?;
    Some(match run(Path::new(&file)) {
        Ok(seconds) => {
            println!("{seconds}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    })
}

fn in_namespaces(file: &Path) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "taskset", "--cpu-list"])
        .arg(first_cpu()?)
        .args([program.as_path(), Path::new(IN_NAMESPACES), file])
        .output()
        .map_err(|error| format!("unshare cannot be run: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed
        .trim()
        .parse()
        .map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// The first CPU that this program may use.
fn first_cpu() -> Result<String, String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .ok_or("the kernel does not tell the CPUs")?;
    let is_digit = |letter: &char| letter.is_ascii_digit();
    Ok(list.trim().chars().take_while(is_digit).collect())
}

fn run(file: &Path) -> Result<f64, String> {
    let workload = Workload::load(file).map_err(|error| error.to_string())?;
    if workload.user.is_some() {
        return Err("the workload has a user of its own".to_owned());
    }
    let directory = workload.working_directory();
    prepare(&workload)?;
    let start = Instant::now();
    let mut application = spawn(&workload, &workload.command.words(), &directory)?;
    match workload.mode {
        Mode::Server => wait_for_a_listener(start)?,
        Mode::Batch => {
            application.wait().map_err(|error| error.to_string())?;
        }
    }
    let test = spawn(&workload, &workload.test.words(), &directory)?
        .wait()
        .map_err(|error| error.to_string())?;
    let seconds = start.elapsed().as_secs_f64();
    match test.success() {
        true => Ok(seconds),
        false => Err(format!("the test fails without Loupe ({test})")),
    }
}

fn prepare(workload: &Workload) -> Result<(), String> {
    shell(PREPARE, &[])?;
    for file in &workload.files {
        shell(BRING, &[workload.base.join(&file.from), file.to.clone()])?;
    }
    Ok(())
}

fn shell(script: &str, arguments: &[PathBuf]) -> Result<(), String> {
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .args(arguments)
        .output()
        .map_err(|error| format!("sh cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// In the environment that a replay has, too.
fn spawn(
    workload: &Workload,
    words: &[String],
    directory: &Path,
) -> Result<std::process::Child, String> {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    Command::new(&words[0])
        .args(&words[1..])
        .current_dir(directory)
        .env_clear()
        .envs([("PATH", path), ("HOME", "/tmp"), ("LANG", "C.UTF-8")])
        .envs(&workload.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{} cannot be run: {error}", words[0]))
}

fn wait_for_a_listener(start: Instant) -> Result<(), String> {
    while !listens() {
        if start.elapsed() > LONGEST_START {
            return Err("the server does not listen without Loupe".to_owned());
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Whether a TCP socket of this network namespace listens.
fn listens() -> bool {
    // The fourth word is the state; 0A is TCP_LISTEN.
    let is_listener = |line: &str| line.split_whitespace().nth(3) == Some("0A");
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .any(|table| table.lines().any(is_listener))
}
