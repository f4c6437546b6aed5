//! What the kernel says when it refuses a program, in the length that a person reads: the verifier
//! writes thousands of lines, and only the last of them tell the reason.

use aya::programs::ProgramError;

use super::TracerError;

/// Lines of the verifier's log that an error shows.
const SHOWN_LINES: usize = 2;

/// How the lines begin in which the verifier counts its own work, after the reason.
const STATISTICS: [&str; 3] = ["verification time", "stack depth", "processed "];

/// The error of a program; all that the verifier said goes to the log of those who debug Loupe.
pub fn program_error(name: &'static str) -> impl Fn(ProgramError) -> TracerError {
    move |source| match source {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            tracing::debug!("the verifier on `{name}`:\n{log}");
            TracerError::Refused {
                name,
                source: io_error,
                reason: reason(&log),
            }
        }
        source => TracerError::Program {
            name,
            source: Box::new(source),
        },
    }
}

/// The end of the verifier's log, in one line.
fn reason(log: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .filter(|line| !STATISTICS.iter().any(|word| line.starts_with(word)))
        .collect();
    match &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        [] => "nothing".to_owned(),
        last => last.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_reason_is_what_is_left() {
        let steps: String = (0..3000)
            .map(|step| format!("{step}: (bf) r1 = r2\n"))
            .collect();
        let log = format!(
            "{steps}228: (85) call bpf_probe_read#4\nunknown func bpf_probe_read#4\n\
             verification time 9 usec\nstack depth 176+16\nprocessed 3193 insns (limit 1000000)\n\n"
        );
        assert_eq!(
            reason(&log),
            "228: (85) call bpf_probe_read#4; unknown func bpf_probe_read#4"
        );
        assert_eq!(reason("processed 0 insns\n"), "nothing");
    }
}
