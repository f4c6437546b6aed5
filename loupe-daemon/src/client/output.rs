//! Standard output and standard error: where what goes, in which style, and what a closed pipe
//! means (that nobody wants more: no failure).

use std::fs::File;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use loupe_common::text::escape_json;
use loupe_common::wire::Failure;
use serde::Serialize;

use super::args::Color;
use crate::lock;
use crate::report::{Rows, Style, failure_text};

/// Columns of a terminal that does not say how many it has.
const DEFAULT_COLUMNS: usize = 80;

/// What the command line says about how results are printed.
#[derive(Debug, Default)]
pub struct Choice {
    pub color: Color,
    /// How tables are written, where that was said.
    pub rows: Option<Rows>,
    /// Results go there.
    pub file: Option<PathBuf>,
}

/// Nothing: the command line is not read yet.
static CHOICE: OnceLock<Choice> = OnceLock::new();
/// The file that results go to, from the first of them on.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// From now on, results are printed as the command line says. It is read once.
pub fn choose(choice: Choice) {
    CHOICE.set(choice).ok();
}

fn chosen_file() -> Option<&'static Path> {
    CHOICE.get()?.file.as_deref()
}

/// Writes a result to the file that was named; a file that is there is replaced.
fn write_to(path: &Path, text: &str) -> io::Result<()> {
    let mut opened = lock(&FILE);
    if opened.is_none() {
        *opened = Some(File::create(path)?);
    }
    match opened.as_mut() {
        Some(file) => file.write_all(text.as_bytes()),
        None => Ok(()),
    }
}

/// Prints a result. A reader that has gone away has got enough.
pub fn print(text: &str) -> Result<(), Failure> {
    if let Some(path) = chosen_file() {
        return write_to(path, text).map_err(|error| {
            Failure::usage(format!("cannot write {}", path.display())).because(Some(&error))
        });
    }
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::internal("cannot write to standard output").because(Some(&error)))
        }
        _ => Ok(()),
    }
}

/// Prints a result as JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(&json_text(value)?)
}

/// JSON for a file or a pipe: indented, with a line break at the end; or for a terminal, which
/// nothing in it can steer.
pub fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::internal("the result cannot be written").because(Some(&error)))?;
    let mut text = escape_json(&text).into_owned();
    text.push('\n');
    Ok(text)
}

/// JSON on one line of many.
pub fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::internal("the result cannot be written").because(Some(&error)))?;
    Ok(escape_json(&text).into_owned() + "\n")
}

/// The lines that standard output has room for, where it is a terminal that says so.
pub fn rows() -> Option<usize> {
    let (_, terminal_size::Height(rows)) = terminal_size::terminal_size_of(io::stdout())?;
    (rows > 0).then_some(usize::from(rows))
}

/// Tells the user something that is no result. There is nowhere to report a failure of this to.
pub fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "loupe: {text}"));
}

/// What is wrong with the arguments, with suggestions, as it was found.
pub fn print_usage_error(text: &str) {
    drop(write!(io::stderr().lock(), "loupe: {text}"));
}

/// The style of results.
pub fn style() -> Style {
    as_chosen(match chosen_file() {
        None => style_of(&io::stdout(), terminal_size::terminal_size()),
        Some(_) => Style::WHOLE,
    })
}

/// The style of a file that a command writes itself.
pub fn file_style() -> Style {
    as_chosen(Style::WHOLE)
}

fn as_chosen(style: Style) -> Style {
    match CHOICE.get().and_then(|choice| choice.rows) {
        None => style,
        Some(rows) => Style {
            rows,
            color: false,
            ..style
        },
    }
}

/// The style of standard error.
pub fn error_style() -> Style {
    let stderr = io::stderr();
    let size = terminal_size::terminal_size_of(&stderr);
    as_chosen(style_of(&stderr, size))
}

fn style_of(
    stream: &impl IsTerminal,
    size: Option<(terminal_size::Width, terminal_size::Height)>,
) -> Style {
    let terminal = stream.is_terminal();
    let told = std::env::var("COLUMNS").ok();
    let told = told.and_then(|columns| columns.parse().ok());
    let color = CHOICE.get().map(|choice| choice.color);
    Style {
        rows: match terminal {
            true => Rows::Fitting,
            false => Rows::Whole,
        },
        color: match color.unwrap_or_default() {
            Color::Auto => terminal && colors_wanted(),
            Color::Always => true,
            Color::Never => false,
        },
        width: match (told.filter(|columns| *columns > 0), size) {
            (Some(columns), _) => columns,
            (_, Some((terminal_size::Width(width), _))) if terminal && width > 0 => {
                usize::from(width)
            }
            _ => DEFAULT_COLUMNS,
        },
    }
}

/// <https://no-color.org>
fn colors_wanted() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !refused && !dumb
}

/// The last words of a command that failed.
pub fn print_failure(program: &str, failure: &Failure) {
    let text = failure_text(program, failure);
    // There is nowhere to report a failure of this to.
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cannot_steer_the_terminal_either() {
        let text = json_text(&["a\u{9b}31m\u{202e}b"]).expect("JSON");
        assert_eq!(text, "[\n  \"a\\u009b31m\\u202eb\"\n]\n");
    }
}
