//! Tables of aligned columns under section headings, no wider than a line may be.
//!
//! Where the columns need more than a line has, they move closer together, then the last one
//! and then the first one become narrower and their cells go on below themselves. Nothing is
//! cut off: names in tables are what the next command is called with. What is no terminal gets one row
//! a line, Markdown, or comma-separated values. Knows nothing of what is shown.

use super::csv::csv;
use super::{Rows, Style, Tone};
use crate::text::{width, wrap};

/// Columns of a terminal that a table takes at least, however narrow the terminal is.
const MIN_TABLE_COLUMNS: usize = 80;
/// Characters that the last column keeps when it gives room to the others.
const LAST_COLUMN_MIN_CHARACTERS: usize = 16;
/// Characters that the first column keeps.
const FIRST_COLUMN_MIN_CHARACTERS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    /// What programs are told instead, where that is something else.
    exact: Option<String>,
}

impl Cell {
    pub(crate) fn toned(text: impl ToString, tone: Tone) -> Cell {
        Cell {
            text: text.to_string(),
            tone,
            exact: None,
        }
    }

    /// Not known, or not to be asked.
    pub(crate) fn none() -> Cell {
        Cell::toned("–", Tone::Faint).exactly("")
    }

    /// What a cell says to people by where it stands is said in full to programs.
    pub(crate) fn exactly(self, exact: impl ToString) -> Cell {
        Cell {
            exact: Some(exact.to_string()),
            ..self
        }
    }

    fn value(&self) -> String {
        self.exact.as_ref().unwrap_or(&self.text).clone()
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::toned(text, Tone::Plain)
    }
}

enum Row {
    Section(String),
    Cells(Vec<Cell>),
}

/// Rows are added, then it is printed once. Each section says nothing of its rows that is not in a column
/// as well: where they are values, there are no sections.
pub(crate) struct Layout {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Row>,
}

impl Layout {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Layout {
        Layout {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// One table of several alike: each row begins with what tells whose it is.
    pub(crate) fn of_all<const N: usize>(
        whose: [&'static str; N],
        tables: impl IntoIterator<Item = ([String; N], Layout)>,
    ) -> Layout {
        let mut all = Layout::new(&whose.map(|title| (title, Align::Left)));
        for (key, table) in tables {
            all.columns.truncate(N);
            all.columns.extend(table.columns);
            let rows = table.rows.into_iter().filter_map(|row| match row {
                Row::Cells(cells) => Some(cells),
                Row::Section(_) => None,
            });
            for cells in rows {
                let key = key.iter().map(Cell::from);
                all.row_of(key.chain(cells).collect());
            }
        }
        all
    }

    pub(crate) fn section(&mut self, heading: String) {
        self.rows.push(Row::Section(heading));
    }

    /// One cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.row_of(cells.into());
    }

    /// Adds a row that has a cell for each column.
    pub(crate) fn row_of(&mut self, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(Row::Cells(cells));
    }

    /// The lines, each with its line break.
    pub(crate) fn print(&self, style: Style) -> String {
        let columns = match style.rows {
            Rows::Markdown => return self.markdown(),
            Rows::Csv => return self.csv(),
            Rows::Whole => usize::MAX,
            Rows::Fitting => style.columns().max(MIN_TABLE_COLUMNS),
        };
        let (widths, gap) = self.widths(columns);
        let titles: Vec<Cell> = self
            .columns
            .iter()
            .map(|(title, _)| Cell::toned(title, Tone::Title))
            .collect();
        let mut text = self.lines(&titles, &widths, gap, style);
        for row in &self.rows {
            match row {
                Row::Cells(cells) => text.push_str(&self.lines(cells, &widths, gap, style)),
                Row::Section(heading) => {
                    for line in wrap(heading, columns, 0) {
                        text.push_str(&Tone::Title.paint(&line, style));
                        text.push('\n');
                    }
                }
            }
        }
        text
    }

    fn csv(&self) -> String {
        let titles: Vec<&str> = self.columns.iter().map(|(title, _)| *title).collect();
        let rows = self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(cells.iter().map(Cell::value)),
            Row::Section(_) => None,
        });
        csv(&titles, rows)
    }

    /// A table for each section.
    fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| {
            let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let titles = self.columns.iter().map(|(title, _)| (*title).to_owned());
        let rules = self.columns.iter().map(|(_, align)| match align {
            Align::Left => "---".to_owned(),
            Align::Right => "---:".to_owned(),
        });
        let head = line(&mut titles.into_iter()) + &line(&mut rules.into_iter());
        let mut text = String::new();
        let mut begun = false;
        for row in &self.rows {
            match row {
                Row::Section(heading) => {
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text.push_str(&format!("**{heading}**\n\n"));
                    begun = false;
                }
                Row::Cells(cells) => {
                    if !begun {
                        text.push_str(&head);
                        begun = true;
                    }
                    text.push_str(&line(&mut cells.iter().map(|cell| cell.text.clone())));
                }
            }
        }
        match self.rows.is_empty() {
            true => head,
            false => text,
        }
    }

    /// The width of each column, and how far apart they are.
    fn widths(&self, line: usize) -> (Vec<usize>, usize) {
        let mut widths: Vec<usize> = self.columns.iter().map(|(title, _)| width(title)).collect();
        for row in &self.rows {
            if let Row::Cells(cells) = row {
                for (needed, cell) in widths.iter_mut().zip(cells) {
                    *needed = (*needed).max(width(&cell.text));
                }
            }
        }
        let last = widths.len() - 1;
        let needed: usize = widths.iter().sum();
        let gap = if needed + 2 * last <= line { 2 } else { 1 };
        let mut lacking = (needed + gap * last).saturating_sub(line);
        for (column, keeps) in [
            (last, LAST_COLUMN_MIN_CHARACTERS),
            (0, FIRST_COLUMN_MIN_CHARACTERS),
        ] {
            let given = lacking.min(widths[column].saturating_sub(keeps));
            widths[column] -= given;
            lacking -= given;
        }
        (widths, gap)
    }

    /// One row.
    fn lines(&self, cells: &[Cell], widths: &[usize], gap: usize, style: Style) -> String {
        let parts: Vec<Vec<String>> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| wrap(&cell.text, *width, 0))
            .collect();
        let height = parts.iter().map(Vec::len).max().unwrap_or(0);
        let mut text = String::new();
        for line in 0..height {
            // Spaces that are written only when something follows them.
            let mut owed = 0;
            for (index, cell) in cells.iter().enumerate() {
                let part = parts[index].get(line).map_or("", String::as_str);
                let padding = widths[index].saturating_sub(width(part));
                let (before, after) = match self.columns[index].1 {
                    Align::Left => (0, padding),
                    Align::Right => (padding, 0),
                };
                if !part.is_empty() {
                    text.push_str(&" ".repeat(owed + before));
                    text.push_str(&cell.tone.paint(part, style));
                    owed = after + gap;
                } else {
                    owed += padding + gap;
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(rows: Rows) -> String {
        let mut layout = Layout::new(&[("name", Align::Left), ("many", Align::Right)]);
        layout.section(format!("── some: {}", "word ".repeat(30).trim()));
        layout.row(["x".repeat(200).into(), Cell::from(3)]);
        layout.row(["a|b".into(), Cell::toned(12, Tone::Bad)]);
        layout.print(Style {
            rows,
            ..Style::PLAIN
        })
    }

    #[test]
    fn what_is_no_terminal_gets_one_row_a_line_and_nothing_is_left_out() {
        let text = printed(Rows::Whole);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(
            text.contains(&format!("{}     3\n", "x".repeat(200))),
            "{text}"
        );
        assert!(printed(Rows::Fitting).lines().count() > 6);
    }

    #[test]
    fn tables_of_markdown_have_a_heading_for_each_section() {
        let text = printed(Rows::Markdown);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("**── some: word"), "{text}");
        assert_eq!(lines[2], "| name | many |");
        assert_eq!(lines[3], "| --- | ---: |");
        assert_eq!(lines[5], "| a\\|b | 12 |");
    }

    #[test]
    fn values_are_the_rows_alone_and_name_what_indentation_only_hints_at() {
        let mut layout = Layout::new(&[("feature", Align::Left), ("calls", Align::Right)]);
        layout.section("── required (2)".to_owned());
        layout.row(["fcntl".into(), 3.into()]);
        layout.row([
            Cell::from("  F_SETFD").exactly("fcntl:F_SETFD"),
            Cell::none(),
        ]);
        let style = Style {
            rows: Rows::Csv,
            ..Style::PLAIN
        };
        assert_eq!(
            layout.print(style),
            "feature,calls\nfcntl,3\nfcntl:F_SETFD,\n"
        );
        let all = Layout::of_all(["unit"], [(["a,b".to_owned()], layout)]);
        assert_eq!(
            all.print(style),
            "unit,feature,calls\n\"a,b\",fcntl,3\n\"a,b\",fcntl:F_SETFD,\n"
        );
    }
}
