//! What the daemon's log has, and how: priorities for the journal, a few lines of refused
//! requests for each user, failures by whose they are.

mod journal;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use loupe_common::exit;
use loupe_common::wire::{Failure, code};
use nix::sys::stat::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::lock;
use crate::report::failure_text;
use crate::text::printable;
use journal::Journal;

/// Lines about refused requests of one user in each [`REFUSAL_WINDOW`]: more would hide what other
/// users do.
const MAX_REFUSALS: u32 = 10;

const REFUSAL_WINDOW: Duration = Duration::from_secs(60);

/// Characters of a failure that the log shows; much of it may be the client's own text.
const MAX_FAILURE_CHARACTERS: usize = 400;

/// The client of NATS tells of every event of its connection; the status does, too.
const FILTER: &str = "info,async_nats=error";

/// Begins to log: to the journal with fields, if standard error leads there, else to standard error.
pub(super) fn begin() {
    let filter = EnvFilter::try_from_env("LOUPE_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER));
    if is_journal()
        && let Ok(journal) = Journal::connect()
    {
        return tracing_subscriber::registry()
            .with(filter)
            .with(journal)
            .init();
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    match is_journal() {
        true => log.event_format(Prioritized::new()).init(),
        false => log.init(),
    }
}

/// The last words of a daemon that cannot go on.
pub(super) fn print_failure(failure: &Failure) {
    let mut stderr = std::io::stderr().lock();
    for line in failure_text("louped", failure).lines() {
        // There is nowhere to report a failure of this to.
        drop(match is_journal() {
            true => writeln!(stderr, "<{}>{line}", priority(Level::ERROR)),
            false => writeln!(stderr, "{line}"),
        });
    }
}

/// Standard error goes to the journal, which knows lines that begin with their priority.
fn is_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some_and(|named| is_at(&named, std::io::stderr()))
}

/// systemd names device and inode, as the stream may have been redirected since.
fn is_at(named: &OsStr, stream: impl AsFd) -> bool {
    let found = fstat(stream).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    found.is_ok_and(|found| named == found.as_str())
}

/// The priority as syslog(3) numbers it.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// Every line with its priority, and without what the journal adds itself.
#[derive(Debug)]
struct Prioritized(Format<Full, ()>);

impl Prioritized {
    fn new() -> Prioritized {
        let format = tracing_subscriber::fmt::format()
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_ansi(false);
        Prioritized(format)
    }
}

impl<S, N> FormatEvent<S, N> for Prioritized
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0
            .format_event(context, Writer::new(&mut text), event)?;
        let priority = priority(*event.metadata().level());
        text.lines()
            .try_for_each(|line| writeln!(writer, "<{priority}>{line}"))
    }
}

/// A failure in one line that steers nothing.
pub(super) fn line(failure: &Failure) -> String {
    let mut line = printable(&failure.message);
    for cause in &failure.causes {
        line.push_str(": ");
        line.push_str(&printable(cause));
    }
    if let Some((end, _)) = line.char_indices().nth(MAX_FAILURE_CHARACTERS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// It failed for a reason of Loupe's own, not for what was asked.
pub(super) fn is_own(failure: &Failure) -> bool {
    failure.exit_code == exit::LOUPE_FAILED && failure.code == code::FAILED
}

/// Which refusals the log has.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// What was told of each user; at most as many as the host has users.
    of: Mutex<HashMap<u32, Window>>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    told: u32,
    untold: u64,
}

impl Refusals {
    /// A request of this user was refused.
    pub fn log(&self, uid: u32, failure: &Failure) {
        let Some(untold) = self.tell(uid, Instant::now()) else {
            return;
        };
        let why = line(failure);
        match untold {
            0 => tracing::info!(uid, why, "refused"),
            _ => tracing::info!(
                uid,
                why,
                untold,
                "refused; so many before it were not logged"
            ),
        }
    }

    /// Tells whether this refusal is logged, and how many before it were not.
    fn tell(&self, uid: u32, now: Instant) -> Option<u64> {
        let mut all = lock(&self.of);
        let window = all.entry(uid).or_insert(Window {
            began: now,
            told: 0,
            untold: 0,
        });
        if now.duration_since(window.began) >= REFUSAL_WINDOW {
            window.began = now;
            window.told = 0;
        }
        if window.told >= MAX_REFUSALS {
            window.untold += 1;
            return None;
        }
        window.told += 1;
        Some(std::mem::take(&mut window.untold))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use super::*;

    /// The journal's end of the stream.
    #[derive(Clone, Default)]
    pub struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).expect("UTF-8")
        }

        /// What this thread logs goes here, until the guard is dropped.
        pub fn catch() -> (Written, tracing::subscriber::DefaultGuard) {
            let written = Written::default();
            let writer = written.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_writer(move || writer.clone())
                .with_ansi(false)
                .event_format(Prioritized::new())
                .finish();
            (written, tracing::subscriber::set_default(subscriber))
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_for_the_journal_has_the_priority_of_its_level() {
        let (written, guard) = Written::catch();
        tracing::info!(job = 1, "finished");
        tracing::warn!("odd");
        tracing::error!("two\nlines");
        drop(guard);
        assert_eq!(
            written.text(),
            "<6>finished job=1\n<4>odd\n<3>two\n<3>lines\n"
        );
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let file = tempfile::tempfile().expect("a file");
        let stat = fstat(&file).expect("a file has them");
        let named = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(is_at(OsStr::new(&named), &file));
        assert!(!is_at(OsStr::new("8:1"), &file));
        assert!(!is_at(OsStr::new(""), &file));
    }

    #[test]
    fn a_line_of_the_log_is_short_and_steers_nothing() {
        let hostile = format!("a\u{1b}]0;x\x07\n<0>b\u{202e}{}", "c".repeat(5000));
        let line = line(&Failure::usage(hostile));
        assert!(
            line.starts_with("a\\x1b]0;x\\x07\\n<0>b\\u{202e}ccc"),
            "{line}"
        );
        assert!(line.chars().count() <= MAX_FAILURE_CHARACTERS + 1);
    }

    #[test]
    fn a_user_who_floods_the_log_gets_some_lines_a_minute_and_others_theirs() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let told = |uid, after| refusals.tell(uid, start + after);
        let now = Duration::ZERO;
        let first: Vec<_> = (0..1000).filter_map(|_| told(1, now)).collect();
        assert_eq!(first, [0; MAX_REFUSALS as usize]);
        assert_eq!(told(2, now), Some(0), "another user");
        assert_eq!(
            told(1, REFUSAL_WINDOW),
            Some(1000 - u64::from(MAX_REFUSALS))
        );
        assert_eq!(told(1, REFUSAL_WINDOW), Some(0));
    }
}
