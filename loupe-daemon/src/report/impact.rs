//! What leaving features out costs: the significant differences for the end of the verdict
//! table, all of one feature for `explain`.

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::impact::{Comparison, Effect, Impact, Quantity};
use loupe_common::policy::Action;

use super::layout::{Align, Layout};
use super::{Style, Tone};
use crate::text::{bytes, counted, figures, nanoseconds};

/// One effect and whose it is.
type Of<'a> = (&'a Feature, Action, &'a Effect);

/// The section for the table: a title, rows, and how to read them.
pub(super) struct Section {
    pub title: String,
    /// Empty if nothing is significant.
    pub rows: String,
    pub legend: Option<String>,
}

/// `None` if no impact was asked for.
pub(super) fn section(analysis: &Analysis, style: Style) -> Option<Section> {
    let comparison = analysis.impact.as_ref()?;
    let mut significant: Vec<Of<'_>> = effects(analysis)
        .filter(|(.., effect)| effect.significant)
        .collect();
    significant.sort_by(|a, b| size(b.2).total_cmp(&size(a.2)));
    let compared = format!(
        "{} of each way that works, {} of the baseline",
        counted(comparison.runs.into(), "replay"),
        comparison.baseline.len()
    );
    let comparisons = counted(comparison.comparisons.into(), "comparison");
    if significant.is_empty() {
        return Some(Section {
            title: format!("Impact: nothing significant in {comparisons} ({compared})."),
            rows: String::new(),
            legend: None,
        });
    }
    let legend = format!(
        "{} of {comparisons} significant, nothing else is; the chance that any of these is an \
         accident is at most {}.",
        significant.len(),
        percent(comparison.level),
    );
    Some(Section {
        title: format!("Impact: what differs from the baseline ({compared})"),
        rows: table(&significant).print(style),
        legend: Some(legend),
    })
}

fn effects(analysis: &Analysis) -> impl Iterator<Item = Of<'_>> {
    let rows = analysis.features.iter();
    let trials = rows.flat_map(|row| row.trials().map(move |trial| (&row.feature, trial)));
    trials.flat_map(|(feature, (action, trial))| {
        let effects = trial.impact.iter().flat_map(|impact| &impact.effects);
        effects.map(move |effect| (feature, action, effect))
    })
}

/// How far from no change, up or down alike.
fn size(effect: &Effect) -> f64 {
    match effect.ratio {
        Some(ratio) if ratio > 0.0 => ratio.ln().abs(),
        _ => f64::INFINITY,
    }
}

fn table(effects: &[Of<'_>]) -> Layout {
    let mut layout = Layout::new(&[
        ("feature", Align::Left),
        ("way", Align::Left),
        ("what", Align::Left),
        ("change", Align::Right),
        ("95 % interval", Align::Right),
        ("baseline", Align::Right),
    ]);
    for (feature, action, effect) in effects {
        layout.row([
            (*feature).into(),
            way(*action).into(),
            effect.quantity.into(),
            change(effect).into(),
            interval(effect).unwrap_or_default().into(),
            amount(effect.quantity, effect.baseline).into(),
        ]);
    }
    layout
}

fn way(action: Action) -> String {
    match action {
        Action::Fake => "faked".to_owned(),
        Action::Plausible => "faked plausibly".to_owned(),
        Action::Kill => "ending its caller".to_owned(),
        Action::Stub(_) if action == Action::STUB => "stubbed".to_owned(),
        Action::Stub(errno) => format!("stubbed {errno}"),
    }
}

/// Every effect of one way, a line each, under a heading; with the tone of each.
pub(super) fn lines(impact: &Impact, comparison: Option<&Comparison>) -> Vec<(Tone, String)> {
    let against = comparison.map_or(0, |comparison| comparison.baseline.len());
    let heading = format!(
        "impact: {} against {against} of the baseline",
        counted(impact.replays.len() as u64, "replay")
    );
    let effects = impact.effects.iter().map(|effect| {
        let tone = match effect.significant {
            true => Tone::Middling,
            false => Tone::Plain,
        };
        let interval =
            interval(effect).map_or_else(String::new, |interval| format!(" ({interval})"));
        let amount = |value| amount(effect.quantity, value);
        let text = format!(
            "{:<12}{} → {}: {}{interval}, {}",
            effect.quantity,
            amount(effect.baseline),
            amount(effect.mean),
            change(effect),
            chance(effect),
        );
        (tone, text)
    });
    std::iter::once((Tone::Plain, heading))
        .chain(effects)
        .collect()
}

fn chance(effect: &Effect) -> String {
    let p = match effect.p {
        ..0.001 => "p < 0.001".to_owned(),
        p => format!("p = {p:.3}"),
    };
    match effect.significant {
        true => format!("significant ({p})"),
        false => p,
    }
}

/// `8.0x`, `+17 %`, `-66 %`; `from 0` where there is no ratio.
fn change(effect: &Effect) -> String {
    match effect.ratio {
        Some(ratio) => written(ratio, ratio),
        None => format!("0 to {}", amount(effect.quantity, effect.mean)),
    }
}

fn interval(effect: &Effect) -> Option<String> {
    let (interval, ratio) = (effect.interval?, effect.ratio?);
    let [low, high] = [interval.low, interval.high].map(|end| written(end, ratio));
    Some(format!("{low} to {high}"))
}

/// A ratio in the form that suits `like`: multiples where it is large, else as a difference.
fn written(ratio: f64, like: f64) -> String {
    if like >= 2.0 {
        let digits = usize::from(ratio.abs() < 99.95);
        return format!("{ratio:.digits$}x");
    }
    let difference = (ratio - 1.0) * 100.0;
    let digits = usize::from(difference.abs() < 9.95);
    // No sign before what is rounded to nothing.
    match format!("{difference:+.digits$} %") {
        zero if zero == "-0.0 %" || zero == "+0.0 %" => "0.0 %".to_owned(),
        other => other,
    }
}

fn percent(share: f64) -> String {
    format!("{} %", figures(share * 100.0))
}

fn amount(quantity: Quantity, value: f64) -> String {
    match quantity {
        // `as` saturates.
        Quantity::Cpu => nanoseconds((value * 1e6) as u64),
        Quantity::Memory => bytes((value * 1024.0) as u64),
        Quantity::Metric | Quantity::Descriptors => figures(value),
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::impact::Interval;

    use super::*;

    fn effect(ratio: Option<f64>, low: f64, high: f64) -> Effect {
        Effect {
            quantity: Quantity::Descriptors,
            baseline: 12.0,
            baseline_runs: 20,
            mean: 96.0,
            runs: 10,
            ratio,
            interval: ratio.map(|_| Interval { low, high }),
            p: 0.01,
            significant: true,
        }
    }

    #[test]
    fn large_changes_are_multiples_and_small_ones_differences() {
        for (ratio, low, high, shown, between) in [
            (8.0, 7.9, 8.1, "8.0x", "7.9x to 8.1x"),
            (2.2, 1.9, 2.5, "2.2x", "1.9x to 2.5x"),
            (1.17, 1.156, 1.184, "+17 %", "+16 % to +18 %"),
            (0.34, 0.3, 0.38, "-66 %", "-70 % to -62 %"),
            (1.015, 0.9996, 1.03, "+1.5 %", "0.0 % to +3.0 %"),
            (150.2, 99.0, 201.0, "150x", "99.0x to 201x"),
        ] {
            let effect = effect(Some(ratio), low, high);
            assert_eq!(change(&effect), shown);
            assert_eq!(interval(&effect).as_deref(), Some(between));
        }
        let effect = effect(None, 0.0, 0.0);
        assert_eq!(
            (change(&effect), interval(&effect)),
            ("0 to 96".to_owned(), None)
        );
    }
}
