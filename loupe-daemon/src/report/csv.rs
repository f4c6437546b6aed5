//! Lines of comma-separated values (RFC 4180). Knows nothing of what is in them.

/// A header and rows, each with its line break.
pub(crate) fn csv<R, C>(header: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = String>,
{
    let mut text = header.join(",");
    text.push('\n');
    for row in rows {
        let cells: Vec<String> = row.into_iter().map(|cell| quoted(&cell)).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_is_quoted() {
        let row = ["a", "b,c", "d\"e", "f\ng"].map(str::to_owned);
        assert_eq!(
            csv(&["1", "2", "3", "4"], [row]),
            "1,2,3,4\na,\"b,c\",\"d\"\"e\",\"f\ng\"\n"
        );
    }
}
