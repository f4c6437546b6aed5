//! What Loupe exits with, in one place: the codes, and what each of them means.
//! `docs/exit-codes.md` is the contract; a test compares its table with this one.

/// It works.
pub const OK: u8 = 0;
/// The work was done, and what it found is bad news: a verdict that could not be reached, an
/// application that lacks something on an OS.
pub const FINDING: u8 = 1;
/// A mistake of the user's.
pub const USAGE: u8 = 2;
/// The measurement cannot be used.
pub const INVALID: u8 = 3;
/// Loupe failed, or what it stands on. This one and the next two are as `env` and `timeout` have
/// them.
pub const LOUPE_FAILED: u8 = 125;
/// The command was found and cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;
/// Ended by SIGINT, or cancelled as if by it.
pub const INTERRUPTED: u8 = by_signal(libc::SIGINT);

/// The code of an end by a signal, as shells have it: 128 and the signal's number.
pub const fn by_signal(signal: i32) -> u8 {
    match signal {
        // The real-time signals end at 64.
        1..=64 => 128 + signal as u8,
        _ => u8::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two columns of the contract's table.
    fn contract() -> Vec<(String, String)> {
        let lines = include_str!("../../docs/exit-codes.md").lines();
        let rows = lines
            .skip_while(|line| !line.starts_with("| ---"))
            .skip(1)
            .take_while(|line| line.starts_with('|'));
        rows.map(|row| {
            let mut cells = row.split('|').skip(1).map(|cell| cell.trim().to_owned());
            let mut cell = || cells.next().expect("two columns");
            (cell(), cell())
        })
        .collect()
    }

    #[test]
    fn the_codes_are_those_of_the_contract() {
        let signals = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];
        let by_signals = signals.map(|signal| by_signal(signal).to_string());
        let expected = [
            (OK.to_string(), "it works"),
            (FINDING.to_string(), "a finding"),
            (USAGE.to_string(), "usage"),
            (INVALID.to_string(), "the measurement is invalid"),
            (
                LOUPE_FAILED.to_string(),
                "Loupe failed, or what it stands on",
            ),
            (NOT_EXECUTABLE.to_string(), "the command is not executable"),
            (NOT_FOUND.to_string(), "the command was not found"),
            (
                by_signals.join(", "),
                "ended by SIGINT, SIGTERM, SIGHUP, SIGQUIT",
            ),
        ];
        let expected = expected.map(|(code, meaning)| (code, meaning.to_owned()));
        assert_eq!(contract(), expected);
        assert_eq!(INTERRUPTED, by_signal(libc::SIGINT));
    }

    #[test]
    fn what_is_no_signal_is_still_an_error() {
        assert_eq!([by_signal(0), by_signal(-1), by_signal(200)], [u8::MAX; 3]);
    }
}
