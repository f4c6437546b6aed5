//! Names as people type them. Knows no database.

/// Endings of units: a name without one of them is a service's.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

/// Whether a subject's name is meant, as `systemctl` reads names: `*` stands for any characters and
/// `?` for one; `nginx` alone is `nginx.service` too, and an instance is its template, for all
/// instances are one subject.
pub fn matches_name(pattern: &str, name: &str) -> bool {
    if fits(pattern, name) {
        return true;
    }
    if pattern.contains(['*', '?', '/']) {
        return false;
    }
    let unit = match SUFFIXES.iter().any(|suffix| pattern.ends_with(suffix)) {
        true => pattern.to_owned(),
        false => format!("{pattern}.service"),
    };
    unit == name || template(&unit).is_some_and(|template| template == name)
}

/// `foo@.service` of `foo@1.service`.
fn template(unit: &str) -> Option<String> {
    let (prefix, rest) = unit.split_once('@')?;
    let suffix = &rest[rest.rfind('.')?..];
    Some(format!("{prefix}@{suffix}"))
}

/// Whether a whole name fits a pattern. In time that grows with the product of the lengths at worst.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (chars(pattern), chars(name));
    let (mut at, mut of_name) = (0, 0);
    // After the last `*`, and how much of the name that one has taken.
    let mut star: Option<(usize, usize)> = None;
    while of_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                star = Some((at, of_name));
            }
            Some(letter) if *letter == '?' || *letter == name[of_name] => {
                at += 1;
                of_name += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    (at, of_name) = (after, taken + 1);
                    star = Some((after, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_as_systemctl_reads_them() {
        for (pattern, name) in [
            ("nginx.service", "nginx.service"),
            ("nginx", "nginx.service"),
            ("nginx*", "nginx.service"),
            ("*", "redis.service"),
            ("*.service", "redis.service"),
            ("n?inx.service", "nginx.service"),
            ("getty@tty1", "getty@.service"),
            ("getty@tty1.service", "getty@.service"),
            ("getty@", "getty@.service"),
            ("getty@*", "getty@.service"),
            ("web", "web"),
            ("/usr/bin/foo", "/usr/bin/foo"),
            ("logrotate.timer", "logrotate.timer"),
            ("n*i*x*", "nginx.service"),
        ] {
            assert!(matches_name(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("nginx", "nginx.socket"),
            ("nginx", "nginx-debug.service"),
            ("ngin", "nginx.service"),
            ("*.socket", "nginx.service"),
            ("?", "nginx.service"),
            ("", "nginx.service"),
            ("logrotate.timer", "logrotate.timer.service"),
            ("getty@tty1", "getty@.socket"),
        ] {
            assert!(!matches_name(pattern, name), "{pattern} {name}");
        }
    }

    proptest! {
        /// Against the plain recursive meaning.
        #[test]
        fn stars_and_marks_fit_what_they_stand_for(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn plain(pattern: &[char], name: &[char]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some(('*', rest)) => (0..=name.len()).any(|taken| plain(rest, &name[taken..])),
                    Some((letter, rest)) => name
                        .split_first()
                        .is_some_and(|(first, names)| (*letter == '?' || letter == first) && plain(rest, names)),
                }
            }
            prop_assert_eq!(fits(&pattern, &name), plain(&chars(&pattern), &chars(&name)));
        }
    }
}
