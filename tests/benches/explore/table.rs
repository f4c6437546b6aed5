//! The table of one workload: a row for each way, its cells medians over the rounds.

use loupe_tests::figures::{Figures, Joint, Spread};

use crate::{ALONE, PAPER, Round, SINGLE, WAYS};

/// Where there is no figure.
const NONE: &str = "-";

const COLUMNS: [&str; 14] = [
    "",
    "replays",
    "begun",
    "wall s",
    "natives",
    "efficiency %",
    "/ single",
    "/ alone",
    "/ paper",
    "required",
    "implement",
    "conflicts",
    "least",
    "differ",
];

pub fn of(title: &str, rounds: &[Round]) -> String {
    let header = COLUMNS.map(str::to_owned);
    let count = rounds.first().map_or(0, |round| round.ways.len());
    let rows: Vec<[String; COLUMNS.len()]> = std::iter::once(header)
        .chain((0..count).map(|way| row(rounds, way)))
        .collect();
    let mut lines = vec![title.to_owned(), native_line(rounds)];
    lines.extend(aligned(&rows));
    lines.join("\n") + "\n"
}

fn native_line(rounds: &[Round]) -> String {
    format!(
        "  start and test alone on one CPU: {} s without Loupe (a native), {} s as a replay of the \
         baseline",
        cell(rounds, 3, |round| round.native_seconds),
        cell(rounds, 3, |round| Some(round.ways[SINGLE].baseline_seconds)),
    )
}

fn row(rounds: &[Round], way: usize) -> [String; COLUMNS.len()] {
    let of = |decimals, figure: &dyn Fn(&Figures) -> f64| {
        cell(rounds, decimals, |round| Some(figure(&round.ways[way])))
    };
    let against = |other: usize| {
        cell(rounds, 2, |round| {
            let other = round.ways.get(other)?;
            Some(round.ways[way].ratio(other))
        })
    };
    let joint = |figure: fn(Joint) -> u64| {
        cell(rounds, 0, |round| {
            Some(figure(round.ways[way].joint?) as f64)
        })
    };
    [
        WAYS[way].name.to_owned(),
        of(0, &|figures| figures.replays as f64),
        of(0, &|figures| figures.beginnings as f64),
        of(2, &|figures| figures.wall_seconds),
        cell(rounds, 0, |round| {
            Some(round.ways[way].natives(round.native_seconds?))
        }),
        of(0, &Figures::efficiency),
        against(SINGLE),
        against(ALONE),
        against(PAPER),
        of(0, &|figures| figures.required as f64),
        joint(|joint| joint.implement),
        joint(|joint| joint.conflicts),
        joint(|joint| u64::from(joint.is_least)),
        cell(rounds, 0, |round| {
            Some(round.ways[way].differences(&round.ways[SINGLE]) as f64)
        }),
    ]
}

/// A figure of each round that has it. Ratios are of the same round.
fn cell(rounds: &[Round], decimals: usize, figure: impl Fn(&Round) -> Option<f64>) -> String {
    let values: Vec<f64> = rounds.iter().filter_map(figure).collect();
    Spread::of(&values).map_or_else(|| NONE.to_owned(), |spread| spread.show(decimals))
}

/// The first column to the left, all others to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].len());
        widths.max().unwrap_or(0)
    };
    let line = |row: &[String; N]| {
        let mut line = format!("  {:<1$}", row[0], width(0));
        for (column, cell) in row.iter().enumerate().skip(1) {
            line += &format!("  {cell:>0$}", width(column));
        }
        line
    };
    rows.iter().map(line).collect()
}
