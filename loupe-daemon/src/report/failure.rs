//! A failure as people read it: what went wrong, what lies behind it, what was printed, the cure.

use loupe_common::wire::Failure;

use crate::text::printable;

/// Message, causes, output, cure; what comes from outside cannot steer the terminal.
pub fn failure_text(program: &str, failure: &Failure) -> String {
    let mut text = format!("{program}: ");
    let indent = " ".repeat(text.len());
    push_lines(&mut text, &failure.message, &indent);
    for cause in &failure.causes {
        text.push_str("  cause: ");
        push_lines(&mut text, cause, "         ");
    }
    if let Some(output) = &failure.output {
        for line in output.lines() {
            text.push_str("  | ");
            text.push_str(&printable(line));
            text.push('\n');
        }
    }
    if let Some(hint) = &failure.hint {
        text.push_str("  hint: ");
        push_lines(&mut text, hint, "        ");
    }
    text
}

fn push_lines(text: &mut String, lines: &str, indent: &str) {
    for (index, line) in lines.lines().enumerate() {
        if index > 0 {
            text.push_str(indent);
        }
        text.push_str(&printable(line));
        text.push('\n');
    }
    if lines.is_empty() {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use loupe_common::exit;

    use super::*;

    #[test]
    fn a_failure_is_message_causes_output_and_cure() {
        let error = io::Error::other("no such disk");
        let failure = Failure::new("failed", exit::LOUPE_FAILED, "cannot write")
            .because(Some(&error))
            .explained(
                Some("buy one".to_owned()),
                Some("a\n\u{1b}[31mb".to_owned()),
            );
        assert_eq!(
            failure_text("loupe", &failure),
            "loupe: cannot write\n  cause: no such disk\n  | a\n  | \\x1b[31mb\n  hint: buy one\n"
        );
    }

    #[test]
    fn a_message_of_several_lines_stays_together() {
        let failure = Failure::usage("one\ntwo");
        assert_eq!(failure_text("loupe", &failure), "loupe: one\n       two\n");
    }
}
