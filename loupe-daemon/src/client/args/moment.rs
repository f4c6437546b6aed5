//! Moments in the past, as people name them: a time ago, or a date.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, Unit};

/// When something is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Milliseconds ago.
    Ago(u64),
    /// Milliseconds since the epoch.
    At(u64),
}

impl Moment {
    /// Milliseconds since the epoch, with what the clock says now.
    pub fn unix_ms(self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 is wrong anyway.
        self.before(now.map_or(0, |now| now.as_millis() as u64))
    }

    fn before(self, now_ms: u64) -> u64 {
        match self {
            Moment::Ago(ms) => now_ms.saturating_sub(ms),
            Moment::At(ms) => ms,
        }
    }
}

/// `7d`, `1w 2d`, `2026-11-01`, `2026-11-01T04:30:00+01:00`.
pub fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(ms) = length_ms(text) {
        return Ok(Moment::Ago(ms));
    }
    // A date begins with a year: of what is none it would be odd to hear that its year is wrong.
    let is_date = text.len() >= 5 && text.starts_with(|first: char| first.is_ascii_digit());
    if !is_date || !text.contains('-') {
        return Err("a time ago (7d, 12h, 30m) or a date (2026-11-01) is needed".to_owned());
    }
    let stamp = match text.parse::<Timestamp>() {
        Ok(stamp) => stamp,
        // Without an offset: everything that Loupe prints is UTC.
        Err(_) => text
            .parse::<DateTime>()
            .and_then(|date| date.to_zoned(TimeZone::UTC))
            .map_err(|error| format!("no date: {error}"))?
            .timestamp(),
    };
    u64::try_from(stamp.as_millisecond())
        .map(Moment::At)
        .map_err(|_| "a moment after 1970 is needed".to_owned())
}

/// `60s`, `1h 30m`: milliseconds of a length of time, at least one.
pub fn length(text: &str) -> Result<u64, String> {
    length_ms(text)
        .and_then(|ms| match ms {
            0 => Err("must be longer than nothing".to_owned()),
            ms => Ok(ms),
        })
        .map_err(|error| format!("a length of time (60s, 5m, 1h 30m) is needed: {error}"))
}

fn length_ms(text: &str) -> Result<u64, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err("months and years are of no fixed length".to_owned());
    }
    let days = SpanRelativeTo::days_are_24_hours();
    let total = span
        .total((Unit::Millisecond, days))
        .map_err(|error| error.to_string())?;
    match total {
        ..0.0 => Err("must not be negative".to_owned()),
        // Below 2^53, as spans are bounded to 20,000 years.
        _ => Ok(total as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_ago_and_dates_are_told_apart() {
        const HOUR: u64 = 3_600_000;
        for (text, wanted) in [
            ("7d", Moment::Ago(7 * 24 * HOUR)),
            ("12h", Moment::Ago(12 * HOUR)),
            ("30m", Moment::Ago(HOUR / 2)),
            ("1w 2d", Moment::Ago(9 * 24 * HOUR)),
            ("1h30m", Moment::Ago(HOUR * 3 / 2)),
            ("7 days", Moment::Ago(7 * 24 * HOUR)),
            ("2026-11-01", Moment::At(1_793_491_200_000)),
            ("2026-11-01 04:30", Moment::At(1_793_507_400_000)),
            ("2026-11-01T04:30:00", Moment::At(1_793_507_400_000)),
            ("2026-11-01T04:30:00Z", Moment::At(1_793_507_400_000)),
            ("2026-11-01T05:30:00+01:00", Moment::At(1_793_507_400_000)),
        ] {
            assert_eq!(moment(text), Ok(wanted), "{text}");
        }
        assert_eq!(Moment::Ago(3).before(10), 7);
        assert_eq!(Moment::Ago(30).before(10), 0);
        assert_eq!(Moment::At(3).before(10), 3);
    }

    #[test]
    fn what_is_neither_is_refused_with_the_reason() {
        for text in ["", "yesterday", "7", "d", "-7d", "7x", "3mo", "1y"] {
            let error = moment(text).expect_err(text);
            assert!(error.contains("7d, 12h, 30m"), "{text}: {error}");
        }
        for text in ["2026-02-30", "2026-13-01", "2026-11-01T25:00"] {
            let error = moment(text).expect_err(text);
            assert!(error.starts_with("no date: "), "{text}: {error}");
        }
        assert!(
            moment("1969-12-31")
                .expect_err("too early")
                .contains("1970")
        );
    }

    #[test]
    fn a_length_is_longer_than_nothing() {
        assert_eq!(length("60s"), Ok(60_000));
        assert_eq!(length("1h 30m"), Ok(5_400_000));
        for text in ["0s", "-1s", "60", "soon", "1mo"] {
            let error = length(text).expect_err(text);
            assert!(error.contains("60s, 5m"), "{text}: {error}");
        }
    }
}
