//! A kernel in QEMU, from its start to its end, with a time limit.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::fetch::Kernel;
use crate::workspace;

/// CPU time that one kernel may take: three times what it takes. QEMU interprets, as not every machine
/// can virtualise; how long that is on a clock depends on what else the host does.
const CPU_LIMIT: Duration = Duration::from_secs(300);

/// When a machine that does nothing any more is ended.
const WALL_LIMIT: Duration = Duration::from_secs(30 * 60);

/// How often the machine's output is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Memory of the machine, in MiB: its root is in there twice for a moment.
const MEMORY_MIB: &str = "2048";

/// What a machine left.
pub struct Ended {
    /// What the suite printed.
    pub log: String,
    /// What the kernel printed.
    pub console: String,
    pub took: Duration,
    /// CPU time of it.
    pub cpu: Duration,
    /// It had to be ended.
    pub too_long: bool,
}

/// Boots and waits for the end; `smoke` is what the suite is to expect. Each line of the suite's
/// is given to `show` as it comes.
pub fn boot(
    kernel: &Kernel,
    image: &Path,
    smoke: &str,
    directory: &Path,
    mut show: impl FnMut(&str),
) -> Result<Ended> {
    let start = Instant::now();
    let console = directory.join("console");
    let log = directory.join("log");
    for file in [&console, &log] {
        File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args([
            "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", MEMORY_MIB,
        ])
        .args([
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
            "-nic",
            "none",
        ])
        .arg("-serial")
        .arg(serial(&console))
        .arg("-serial")
        .arg(serial(&log))
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(image)
        .arg("-append")
        // An emulated timer can be too slow for the kernel's check of it.
        .arg(format!(
            "console=ttyS0 quiet panic=-1 no_timer_check rdinit=/init smoke={smoke}"
        ))
        .stdin(Stdio::null());
    eprintln!("    $ {}", workspace::shown(&command));
    let mut machine = Machine(command.spawn().context("cannot run qemu-system-x86_64")?);
    let mut tail = Tail::new(&log)?;
    let mut cpu = Duration::ZERO;
    let too_long = loop {
        cpu = cpu_time(machine.0.id()).unwrap_or(cpu);
        let ended = machine.0.try_wait().context("cannot wait for QEMU")?;
        tail.pass_on(&mut show)?;
        if ended.is_some() {
            break false;
        }
        if cpu > CPU_LIMIT || start.elapsed() > WALL_LIMIT {
            break true;
        }
        thread::sleep(LOOK);
    };
    drop(machine);
    Ok(Ended {
        log: text(&log)?,
        console: text(&console)?,
        took: start.elapsed(),
        cpu,
        too_long,
    })
}

/// User and system time of a process; `None`: it is gone.
fn cpu_time(pid: u32) -> Option<Duration> {
    /// The kernel counts these fields in hundredths of a second (`USER_HZ`).
    const TICK_MS: u64 = 10;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the times are the 12th and 13th field after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * TICK_MS))
}

fn serial(file: &Path) -> String {
    // A comma ends a path for QEMU, two are one of it.
    format!("file:{}", file.display().to_string().replace(',', ",,"))
}

fn text(file: &PathBuf) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
}

/// QEMU, which does not outlive this.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // Where it has ended already, both do nothing.
        if self.0.kill().is_ok() {
            let _ended = self.0.wait();
        }
    }
}

/// The whole lines that a file gets while it is written.
struct Tail {
    file: File,
    at: u64,
    rest: Vec<u8>,
}

impl Tail {
    fn new(path: &Path) -> Result<Tail> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Tail {
            file,
            at: 0,
            rest: Vec::new(),
        })
    }

    fn pass_on(&mut self, show: &mut impl FnMut(&str)) -> Result<()> {
        self.file
            .seek(SeekFrom::Start(self.at))
            .context("cannot read the machine's output")?;
        let new = self
            .file
            .read_to_end(&mut self.rest)
            .context("cannot read the machine's output")?;
        self.at += new as u64;
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            show(String::from_utf8_lossy(&line).trim_end());
        }
        Ok(())
    }
}
