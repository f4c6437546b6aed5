//! Words and figures as people read them: escaped, wrapped, rounded. Knows nothing of Loupe.

mod wrong;

use std::borrow::Cow;
use std::fmt::Write as _;

use loupe_common::text::steers;
use unicode_width::UnicodeWidthStr as _;

pub use wrong::Wrong;

/// Text from outside made harmless: whatever could steer a terminal or turn the direction of
/// the text is written as an escape.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            control if control.is_ascii_control() => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\x{:02x}", u32::from(control));
            }
            hidden if steers(hidden) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(hidden));
            }
            plain => shown.push(plain),
        }
    }
    shown
}

/// A word of a command that somebody may copy: quoted where a shell would read it otherwise.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.,_+-:@%=".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", printable(word).replace('\'', "'\\''")),
    }
}

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Breaks a text between words into lines of at most `columns`, all but the first of them
/// indented by `hanging` columns. A word that is too long for any line is broken where it is.
pub(crate) fn wrap(text: &str, columns: usize, hanging: usize) -> Vec<String> {
    let indent = " ".repeat(hanging);
    let options = textwrap::Options::new(columns)
        .subsequent_indent(&indent)
        // Names of features are words: a hyphen or a slash in them is no place to break.
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(text, options);
    lines.into_iter().map(Cow::into_owned).collect()
}

/// `1 replay`, `3 replays`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A time with three digits that count: `870 ns`, `12.3 µs`, `4.56 ms`, `8.20 s`, `254 s`.
pub(crate) fn nanoseconds(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// As [`nanoseconds`].
pub(crate) fn microseconds(us: u64) -> String {
    nanoseconds(us.saturating_mul(1_000))
}

/// As [`nanoseconds`].
pub(crate) fn seconds(seconds: f64) -> String {
    // `as` saturates, and turns what is not a number into 0.
    nanoseconds((seconds * 1e9) as u64)
}

/// A length of time in its two largest units: `13 d 4 h`, `4 h 12 min`, `3 min 20 s`, `12 s`. Rounded
/// down.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (large, unit, small, smaller) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => (seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => (seconds / 3_600, "h", seconds / 60 % 60, "min"),
        _ => (seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    };
    match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    }
}

/// A part of a whole in percent, with two digits that count: `12 %`, `0.4 %`, `100 %`.
pub(crate) fn percent(part: f64) -> String {
    percentage(part, f64::round)
}

/// As [`percent`], of a bound: never less than it is.
pub(crate) fn percent_at_most(part: f64) -> String {
    percentage(part, f64::ceil)
}

fn percentage(part: f64, round: fn(f64) -> f64) -> String {
    let value = part * 100.0;
    if value == 0.0 || !value.is_finite() {
        return format!("{value} %");
    }
    let before_point = value.abs().log10().floor() as i32;
    let unit = 10_f64.powi((before_point - 1).min(0));
    // What is left of a product in binary is no reason to round up.
    let steps = round((value / unit * 1e6).round() / 1e6);
    format!("{} %", figures(steps * unit))
}

/// Unix milliseconds of whatever clock the kernel has, for the functions that take a date.
pub(crate) fn signed(unix_ms: u64) -> i64 {
    i64::try_from(unix_ms).unwrap_or(i64::MAX)
}

/// A number with three digits that count, none of them a useless zero: `1234`, `123`, `12.3`,
/// `0.0123`, `12`.
pub(crate) fn figures(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let before_point = value.abs().log10().floor() as i32;
    let digits = usize::try_from(2 - before_point).unwrap_or(0);
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `312 bytes`, `4.1 kB`, `2.0 GB`.
pub(crate) fn bytes(number: u64) -> String {
    let (value, unit) = match number {
        0..1_000 => return counted(number, "byte"),
        1_000..1_000_000 => (number as f64 / 1e3, "kB"),
        1_000_000..1_000_000_000 => (number as f64 / 1e6, "MB"),
        _ => (number as f64 / 1e9, "GB"),
    };
    format!("{value:.1} {unit}")
}

/// Unix milliseconds as `2025-11-24T16:00:00Z`.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    let (days, second) = (
        unix_ms.div_euclid(86_400_000),
        unix_ms.rem_euclid(86_400_000) / 1000,
    );
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Unix milliseconds as `2025-11-24 16:00`, UTC.
pub(crate) fn date(unix_ms: i64) -> String {
    let stamp = rfc3339(unix_ms);
    let minutes = stamp.rfind(':').unwrap_or(stamp.len());
    stamp[..minutes].replace('T', " ")
}

/// Year, month and day of a day since 1970-01-01. Counts in eras of 400 years that begin on a
/// first of March, so that the leap day comes last.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_based = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_based + 2) / 5 + 1;
    let month = (march_based + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_it_otherwise() {
        for (word, shown) in [
            ("nginx/wrk,redis", "nginx/wrk,redis"),
            ("my os.toml", "'my os.toml'"),
            ("a'b", "'a'\\''b'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), shown);
        }
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        let hostile = "a\x1b[2Jb\rc\td\x7f\u{9b}31m\u{202e}e\u{e0041}\n";
        assert_eq!(
            printable(hostile),
            r"a\x1b[2Jb\rc\td\x7f\u{9b}31m\u{202e}e\u{e0041}\n"
        );
        assert_eq!(printable("naïve 日本 ✓"), "naïve 日本 ✓");
    }

    #[test]
    fn lines_are_broken_between_words_and_hang() {
        assert_eq!(wrap("ab cd efgh", 6, 2), ["ab cd", "  efgh"]);
        assert_eq!(wrap("", 5, 2), [""]);
    }

    #[test]
    fn a_word_that_fits_no_line_is_broken() {
        assert_eq!(
            wrap("a bcdefghij k", 5, 2),
            ["a bcd", "  efg", "  hij", "  k"]
        );
        assert_eq!(wrap("日本語日本語", 5, 0), ["日本", "語日", "本語"]);
        assert_eq!(
            wrap("日本", 1, 0),
            ["日", "本"],
            "a character is never broken"
        );
    }

    proptest::proptest! {
        #[test]
        fn wrapping_keeps_every_character_and_every_limit(
            text in "[a-z日 ]{0,60}", columns in 4_usize..20, hanging in 0_usize..3,
        ) {
            let lines = wrap(&text, columns, hanging);
            for line in &lines {
                proptest::prop_assert!(width(line.trim_end()) <= columns, "{line:?}");
            }
            let kept = |text: &str| text.replace(' ', "");
            proptest::prop_assert_eq!(kept(&lines.concat()), kept(&text));
        }
    }

    #[test]
    fn times_have_three_digits_that_count() {
        for (ns, shown) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (999_999, "1000 µs"),
            (4_560_000, "4.56 ms"),
            (8_200_000_000, "8.20 s"),
            (254_000_000_000, "254 s"),
        ] {
            assert_eq!(nanoseconds(ns), shown);
        }
    }

    #[test]
    fn lengths_of_time_have_two_units() {
        for (seconds, shown) in [
            (0, "0 s"),
            (12, "12 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (15_120, "4 h 12 min"),
            (86_400, "1 d"),
            (13 * 86_400 + 4 * 3_600 + 59, "13 d 4 h"),
        ] {
            assert_eq!(span(seconds * 1_000 + 999), shown);
        }
    }

    #[test]
    fn parts_of_a_whole_have_two_digits_and_bounds_are_never_rounded_down() {
        for (part, shown, at_most) in [
            (0.0, "0 %", "0 %"),
            (0.05, "5 %", "5 %"),
            (0.004, "0.4 %", "0.4 %"),
            (0.004_01, "0.4 %", "0.41 %"),
            (0.123, "12 %", "13 %"),
            (0.000_031_2, "0.0031 %", "0.0032 %"),
            (0.999, "100 %", "100 %"),
            (1.0, "100 %", "100 %"),
        ] {
            assert_eq!(percent(part), shown);
            assert_eq!(percent_at_most(part), at_most);
        }
    }

    #[test]
    fn dates_are_the_calendars() {
        for (ms, stamp) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_764_000_059_999, "2025-11-24T16:00:59Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(ms), stamp);
        }
        assert_eq!(date(1_764_000_059_999), "2025-11-24 16:00");
    }

    #[test]
    fn numbers_have_three_digits_that_count_and_no_useless_zeros() {
        for (value, shown) in [
            (0.0, "0"),
            (12.0, "12"),
            (12.04, "12"),
            (12.34, "12.3"),
            (-2150.5, "-2150"),
            (0.012_345, "0.0123"),
            (1e9, "1000000000"),
        ] {
            assert_eq!(figures(value), shown);
        }
    }

    #[test]
    fn sizes_are_rounded() {
        assert_eq!(bytes(1), "1 byte");
        assert_eq!(bytes(4096), "4.1 kB");
        assert_eq!(bytes(2_000_000_000), "2.0 GB");
    }
}
