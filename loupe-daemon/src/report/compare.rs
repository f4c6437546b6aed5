//! `loupe os compare`: on a terminal, and as the document that is published.

use super::analysis::push_paragraph;
use super::layout::{Align, Layout};
use super::{Style, Tone};
use crate::plan::compare::{Compared, Comparison, Next};
use crate::text::{counted, printable};

/// Of the next features, how many a line of the table has.
const NAMES_IN_A_LINE: usize = 3;

pub fn comparison_table(comparison: &Comparison, style: Style) -> String {
    let layout = table(comparison);
    if style.is_csv() {
        return layout.print(style);
    }
    let mut text = String::new();
    let headline = format!(
        "{} beside each other, by {}.",
        counted(comparison.oses.len() as u64, "OS profile"),
        counted(comparison.applications as u64, "application")
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    text.push('\n');
    text.push_str(&layout.print(style));
    text.push('\n');
    let legend = "with fakes: more run once something is faked, or no longer faked; next: (applications \
                  that lack nothing else/that lack it).";
    push_paragraph(&mut text, legend, 0, Tone::Plain, style);
    text
}

fn table(comparison: &Comparison) -> Layout {
    let mut layout = Layout::new(&[
        ("profile", Align::Left),
        ("implement", Align::Right),
        ("runs", Align::Right),
        ("with fakes", Align::Right),
        ("next", Align::Left),
    ]);
    for os in &comparison.oses {
        let next = os.next.iter().take(NAMES_IN_A_LINE).map(next_words);
        layout.row([
            printable(&os.os).into(),
            os.implement.into(),
            os.runs.into(),
            os.with_fakes.into(),
            next.collect::<Vec<String>>().join(", ").into(),
        ]);
    }
    layout
}

fn next_words(next: &Next) -> String {
    format!("{} ({}/{})", next.feature, next.unlocks, next.lacked_by)
}

/// The document. `command` is what printed it.
pub fn comparison_markdown(comparison: &Comparison, command: &str) -> String {
    let count = comparison.applications;
    let mut text = format!(
        "# OSes\n\n<!-- Printed by `{command}`. Do not edit: a test compares. -->\n\n\
         What {count} applications need, by their verdicts, against what the built-in OS profiles say \
         ([plans.md](plans.md#os-profiles)). Profiles are facts that were read in an OS's source, unless \
         their name in full says that they were measured: a call that has a handler counts as \
         implemented, so the numbers are upper bounds.\n\n\
         | OS | profile | date | commit | implements | runs | with fakes |\n\
         | --- | --- | --- | --- | --: | --: | --: |\n"
    );
    for os in &comparison.oses {
        let commit = os.source.commit.as_deref().unwrap_or("");
        let short = match commit.len() {
            40 => &commit[..12],
            _ => commit,
        };
        text.push_str(&format!(
            "| {} | `{}` | {} | {} | {} | {} | {} |\n",
            cell(os.title.as_deref().unwrap_or(&os.os)),
            cell(&os.os),
            cell(os.source.date.as_deref().unwrap_or("not known")),
            cell(short),
            os.implement,
            os.runs,
            os.with_fakes,
        ));
    }
    text.push_str(
        "\n*runs*: nothing is missing. *with fakes*: further ones, which need nothing implemented, only \
         something faked, or no longer faked.\n\n## What to implement next\n\n\
         The ten syscalls by which most applications begin to run that lack nothing else; then by how \
         many lack them. In brackets both numbers. (`loupe plan` has an order of work.)\n\n",
    );
    for os in comparison.oses.iter().filter(|os| !os.next.is_empty()) {
        text.push_str(&format!("- **{}**: {}\n", cell(&os.os), next_list(os)));
    }
    text.push_str(
        "\n## Calls since 2017\n\n\
         Syscalls that came with Linux 4.11 and later. Releases of Linux are not counted.\n\n\
         | syscall | applications use it | need it | implemented by | faked by |\n\
         | --- | --: | --: | --- | --- |\n",
    );
    for recent in &comparison.recent {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            recent.feature,
            recent.used,
            recent.required,
            names(&recent.implemented_by),
            names(&recent.faked_by),
        ));
    }
    text
}

fn next_list(os: &Compared) -> String {
    let next: Vec<String> = os
        .next
        .iter()
        .map(|next| {
            let (unlocks, lacked_by) = (next.unlocks, next.lacked_by);
            format!("`{}` ({unlocks}/{lacked_by})", next.feature)
        })
        .collect();
    next.join(", ")
}

fn names(oses: &[String]) -> String {
    let others = oses.iter().filter(|name| !name.starts_with("linux-"));
    let names: Vec<String> = others.map(|name| cell(name)).collect();
    match names.len() {
        0 => "–".to_owned(),
        count => format!("{count}: {}", names.join(", ")),
    }
}

/// Nothing that would end a cell or begin a tag.
fn cell(text: &str) -> String {
    printable(text)
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Need, OsProfile, WorkloadKind, select};

    #[test]
    fn the_document_is_what_the_command_prints() {
        let name = "the_document_is_what_the_command_prints";
        let Some(directory) = crate::testing::loupedb(name) else {
            return;
        };
        let set = crate::loupedb::read(&directory, &[]).expect("a data set");
        let analyses = set.runs.iter().map(|run| &run.analysis);
        let needs = analyses.map(Need::asked_of_os).collect();
        let selection = select::select(needs, &[], WorkloadKind::Bench).expect("benchmarks");
        let oses = crate::plan::os::built_in().expect("readable");
        let comparison = Comparison::of(&oses, &selection.needs);
        let printed =
            comparison_markdown(&comparison, "loupe os compare --workload bench --markdown");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/oses.md");
        let committed = std::fs::read_to_string(path).expect("readable");
        assert!(
            committed == printed,
            "docs/oses.md is not what `loupe os compare --workload bench --markdown` prints of the \
             paper's data set"
        );
    }

    #[test]
    fn a_name_from_a_file_neither_ends_a_cell_nor_begins_a_tag() {
        let os = OsProfile {
            name: "evil | <b>".to_owned(),
            title: Some("x\n| y".to_owned()),
            ..OsProfile::default()
        };
        let text = comparison_markdown(&Comparison::of(&[os], &[]), "loupe os compare");
        assert!(text.contains("`evil \\| &lt;b>`"), "{text}");
        let rows = text.lines().filter(|line| line.contains("evil"));
        assert_eq!(rows.count(), 1);
        assert!(text.contains("| `statx` | 0 | 0 | – | – |"), "{text}");
    }
}
