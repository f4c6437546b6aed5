//! What a reader of verdicts must know: warnings, passes that look wrong, what the test notices.
//! What is said often in nearly the same words is said once, with its number.

use loupe_common::analysis::{Analysis, FeatureVerdict, TestCheck};
use loupe_common::policy::Action;

use crate::text::{counted, printable};

/// Of those that share a sentence, so many are named.
const MOST_NAMED: usize = 3;
/// Characters of a quotation in a warning: analyses of older Loupes quote policies of any length.
const MOST_QUOTED_CHARACTERS: usize = 120;

const VDSO_REMARK: &str = "vDSO: clock_gettime, getcpu, gettimeofday and time may be answered without a syscall, and \
     are then not seen (--no-vdso measures them)";

/// One paragraph each.
pub(super) fn of(analysis: &Analysis) -> Vec<String> {
    let mut remarks = suspicions(analysis);
    remarks.extend(analysis.test_check.iter().map(test_check));
    remarks.extend(
        warnings(&analysis.warnings)
            .iter()
            .map(|text| printable(text)),
    );
    if !analysis.foreign.is_empty() {
        let calls: Vec<String> = analysis
            .foreign
            .iter()
            .map(|call| {
                let abi = printable(&call.abi);
                format!("{abi}:{} ({})", call.number, counted(call.calls, "call"))
            })
            .collect();
        remarks.push(format!(
            "warning: calls of other ABIs were seen and not measured: {}",
            calls.join(", ")
        ));
    }
    if analysis.lost_events > 0 {
        remarks.push(format!(
            "warning: {} lost; replays that lost something were not used",
            counted(analysis.lost_events, "event")
        ));
    }
    for row in analysis.features.iter().filter(|row| row.harness) {
        remarks.push(format!(
            "{}: a call of the tool that measured (harness), and no need in gap and plan",
            row.feature
        ));
    }
    remarks.extend(analysis.features.iter().filter_map(accepted_errnos));
    if analysis.vdso {
        remarks.push(VDSO_REMARK.to_owned());
    }
    remarks
}

/// Each kind of warning once: what differs in numbers and quotations only is of one kind. Not yet
/// made harmless for a terminal.
pub(super) fn warnings(warnings: &[String]) -> Vec<String> {
    let mut kinds: Vec<(String, Vec<&str>)> = Vec::new();
    for warning in warnings {
        let shape = shape(warning);
        match kinds.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, like)) => like.push(warning),
            None => kinds.push((shape, vec![warning])),
        }
    }
    kinds.iter().map(|(_, like)| one_kind(like)).collect()
}

fn one_kind(like: &[&str]) -> String {
    let Some((first, others)) = like.split_first() else {
        return String::new();
    };
    let text = with_quotations(first, |quoted| format!("`{}`", cut(quoted)));
    if others.is_empty() {
        return format!("warning: {text}");
    }
    // The last quotation says which one it is.
    let of = |warning: &&str| quotations(warning).last().map(cut);
    let named: Vec<String> = others.iter().filter_map(of).take(MOST_NAMED).collect();
    let named = match named.is_empty() {
        true => String::new(),
        false => {
            let more = others.len() - named.len();
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("; likewise `{}`{more}", named.join("`, `"))
        }
    };
    format!("warning ({} times): {text}{named}", like.len())
}

/// A text without its numbers and quotations.
fn shape(text: &str) -> String {
    let unquoted = with_quotations(text, |_| "``".to_owned());
    unquoted.replace(|letter: char| letter.is_ascii_digit(), "#")
}

/// What stands between back quotes, each replaced.
fn with_quotations(text: &str, replace: impl Fn(&str) -> String) -> String {
    let parts = text.split('`').count();
    let mut whole = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        // An opening quote without an end quotes nothing.
        match (index % 2, index + 1 == parts) {
            (1, false) => whole += &replace(part),
            (1, true) => whole = whole + "`" + part,
            _ => whole += part,
        }
    }
    whole
}

fn quotations(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_QUOTED_CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Says whether the test noticed a sabotage.
pub(super) fn test_check(check: &TestCheck) -> String {
    let what = printable(&check.what);
    let outcome = printable(&check.outcome);
    match check.noticed {
        Some(true) => format!("test check: noticed when {what} ({outcome})"),
        Some(false) => format!(
            "test check: NOT NOTICED when {what}: the test passed, so what breaks in this way \
             is taken for working"
        ),
        None => format!("test check: nothing can be said about when {what} ({outcome})"),
    }
}

/// Passes that look wrong in the same way.
struct Odd<'a> {
    shape: String,
    what: &'a str,
    /// What was left out, and how.
    when: Vec<String>,
    replays: Vec<i64>,
}

/// Passes that look wrong: the test may not notice what it should.
fn suspicions(analysis: &Analysis) -> Vec<String> {
    let mut all: Vec<Odd<'_>> = Vec::new();
    let mut add = |when: String, replay: i64, what| {
        let shape = shape(what);
        match all.iter_mut().find(|odd| odd.shape == shape) {
            Some(odd) => {
                odd.when.push(when);
                odd.replays.push(replay);
            }
            None => all.push(Odd {
                shape,
                what,
                when: vec![when],
                replays: vec![replay],
            }),
        }
    };
    for row in &analysis.features {
        for (action, trial) in row.trials() {
            let how = match action {
                Action::STUB => "stubbed".to_owned(),
                Action::Stub(errno) => format!("stubbed with {errno}"),
                Action::Fake => "faked".to_owned(),
                Action::Plausible => "faked plausibly".to_owned(),
                Action::Kill => "ending its caller".to_owned(),
            };
            for suspicion in &trial.suspicious {
                let when = format!("{} {how}", row.feature);
                add(when, suspicion.replay, suspicion.what.as_str());
            }
        }
    }
    for suspicion in analysis.joint.iter().flat_map(|joint| &joint.suspicious) {
        let when = "everything left out at once that can be".to_owned();
        add(when, suspicion.replay, suspicion.what.as_str());
    }
    all.iter().map(Odd::sentence).collect()
}

impl Odd<'_> {
    fn sentence(&self) -> String {
        let named = |names: Vec<String>, number: usize| match number - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        };
        let when = self.when.iter().take(MOST_NAMED).cloned().collect();
        let replays = self.replays.iter().take(MOST_NAMED);
        let replays = replays.map(|replay| format!("#{replay}")).collect();
        let (number, each) = match self.when.len() {
            1 => ("replay", ""),
            _ => ("replays", "each of "),
        };
        format!(
            "suspicious: with {each}{} the test passed, but {} ({number} {})",
            named(when, self.when.len()),
            printable(self.what),
            named(replays, self.replays.len())
        )
    }
}

/// Which other errors than ENOSYS the application takes.
fn accepted_errnos(feature: &FeatureVerdict) -> Option<String> {
    if feature.errnos.is_empty() {
        return None;
    }
    let taken: Vec<String> = feature
        .errnos
        .iter()
        .filter(|(_, trial)| trial.works == Some(true))
        .map(|(errno, _)| errno.to_string())
        .collect();
    let taken = match taken.is_empty() {
        true => "none of the others".to_owned(),
        false => taken.join(", "),
    };
    Some(format!("errnos: {} may fail with {taken}", feature.feature))
}

#[cfg(test)]
mod tests {
    use loupe_common::analysis::Suspicion;

    use super::*;

    #[test]
    fn fifty_warnings_of_a_kind_are_one_and_counted() {
        let crowded: Vec<String> = (0..50)
            .map(|n| format!("a replay of `stub call{n}` failed beside 7 others"))
            .chain(["it uses io_uring".to_owned()])
            .collect();
        assert_eq!(
            warnings(&crowded),
            [
                "warning (50 times): a replay of `stub call0` failed beside 7 others; likewise \
                 `stub call1`, `stub call2`, `stub call3` and 46 more",
                "warning: it uses io_uring"
            ]
        );
    }

    #[test]
    fn no_warning_quotes_a_policy_of_any_length() {
        let rules = vec!["stub set_robust_list"; 60].join(", ");
        let shown = warnings(&[format!("a replay of `{rules}` failed")]);
        assert!(shown[0].chars().count() < 180, "{shown:?}");
        assert!(shown[0].ends_with("…` failed"), "{shown:?}");
    }

    #[test]
    fn an_odd_line_is_told_once_as_it_was_printed_with_all_that_brought_it() {
        let mut analysis = super::super::tests::samples::analysis();
        let odd = |replay, what: &str| Suspicion {
            replay,
            what: format!("it printed what no replay of the baseline prints: `{what}`"),
        };
        analysis.features[3].stub.suspicious = vec![odd(9, "[Alert] 12: prctl() failed")];
        analysis.features[4].fake.suspicious = vec![odd(14, "[Alert] 7: prctl() failed")];
        let told = suspicions(&analysis);
        let names = [&analysis.features[3], &analysis.features[4]].map(|row| &row.feature);
        let expected = format!(
            "suspicious: with each of {} stubbed, {} faked the test passed, but it printed what no \
             replay of the baseline prints: `[Alert] 12: prctl() failed` (replays #9, #14)",
            names[0], names[1]
        );
        assert_eq!(told, [expected]);
    }
}
