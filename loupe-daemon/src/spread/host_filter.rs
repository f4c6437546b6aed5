//! Which hosts an analysis may run on, in a user's words: `arch=x86_64 kernel>=6.1`. Looks only at what a
//! worker says of its host.

use std::cmp::Ordering;
use std::str::FromStr;

use loupe_common::host_class::HostClass;

/// All of these must be so; none: any host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFilter(Vec<Condition>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    key: Key,
    sign: Sign,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Arch,
    Kernel,
    Libc,
    Root,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Is,
    IsNot,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Longer signs first: `>=` begins with `>`.
const SIGNS: [(&str, Sign); 6] = [
    (">=", Sign::AtLeast),
    ("<=", Sign::AtMost),
    ("!=", Sign::IsNot),
    ("=", Sign::Is),
    (">", Sign::Above),
    ("<", Sign::Below),
];

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostFilterError {
    #[error("`{0}` is no condition: write KEY=VALUE, such as `arch=x86_64`, `kernel>=6.1`")]
    Form(String),
    #[error("`{0}` is not known of hosts: there are arch, kernel, libc, root")]
    Key(String),
    #[error("`{0}` is no version: write `kernel>=6.1`, `libc>=2.36`")]
    Version(String),
    #[error("`{0}` cannot be asked: arch and root are equal or not; root is yes or no")]
    Sign(String),
}

impl FromStr for HostFilter {
    type Err = HostFilterError;

    fn from_str(text: &str) -> Result<HostFilter, HostFilterError> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let conditions = words.map(str::parse).collect::<Result<_, _>>()?;
        Ok(HostFilter(conditions))
    }
}

impl FromStr for Condition {
    type Err = HostFilterError;

    fn from_str(word: &str) -> Result<Condition, HostFilterError> {
        let at = word.find(['=', '<', '>', '!']);
        let (key, rest) = at.map_or((word, ""), |at| word.split_at(at));
        let mut signs = SIGNS.iter();
        let sign = signs.find_map(|(text, sign)| Some((*sign, rest.strip_prefix(text)?)));
        let (sign, value) = sign
            .filter(|(_, value)| !value.is_empty())
            .ok_or_else(|| HostFilterError::Form(word.to_owned()))?;
        let key = match key {
            "arch" => Key::Arch,
            "kernel" => Key::Kernel,
            "libc" => Key::Libc,
            "root" => Key::Root,
            other => return Err(HostFilterError::Key(other.to_owned())),
        };
        match key {
            Key::Kernel | Key::Libc if numbers(value).is_empty() => {
                return Err(HostFilterError::Version(word.to_owned()));
            }
            Key::Arch | Key::Root if !matches!(sign, Sign::Is | Sign::IsNot) => {
                return Err(HostFilterError::Sign(word.to_owned()));
            }
            Key::Root if !["yes", "no"].contains(&value) => {
                return Err(HostFilterError::Sign(word.to_owned()));
            }
            Key::Arch | Key::Root | Key::Kernel | Key::Libc => {}
        }
        Ok(Condition {
            key,
            sign,
            value: value.to_owned(),
        })
    }
}

impl HostFilter {
    pub fn admits(&self, class: &HostClass) -> bool {
        self.0.iter().all(|condition| condition.admits(class))
    }
}

impl Condition {
    fn admits(&self, class: &HostClass) -> bool {
        let ordering = match self.key {
            Key::Arch => class.architecture.as_str().cmp(self.value.as_str()),
            Key::Root => class.root.cmp(&(self.value == "yes")),
            Key::Kernel => by_version(&class.kernel, &self.value),
            // "glibc 2.36"; of a host that does not say, nothing is so.
            Key::Libc => match class
                .libc
                .as_deref()
                .and_then(|libc| libc.split(' ').next_back())
            {
                Some(version) => by_version(version, &self.value),
                None => return false,
            },
        };
        match self.sign {
            Sign::Is => ordering == Ordering::Equal,
            Sign::IsNot => ordering != Ordering::Equal,
            Sign::AtLeast => ordering != Ordering::Less,
            Sign::AtMost => ordering != Ordering::Greater,
            Sign::Above => ordering == Ordering::Greater,
            Sign::Below => ordering == Ordering::Less,
        }
    }
}

/// By as many numbers as the wanted one has: 6.1.90 is 6.1, and not above it.
fn by_version(version: &str, wanted: &str) -> Ordering {
    let wanted = numbers(wanted);
    let mut version = numbers(version);
    version.resize(wanted.len(), 0);
    version.cmp(&wanted)
}

/// The numbers at the beginning of a version: 6, 1, 0, 18 of `6.1.0-18-amd64`.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(['.', '-']);
    parts.map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(kernel: &str, libc: Option<&str>, root: bool) -> HostClass {
        HostClass {
            kernel: kernel.to_owned(),
            architecture: "x86_64".to_owned(),
            libc: libc.map(str::to_owned),
            root,
            target: None,
        }
    }

    fn admits(filter: &str, class: &HostClass) -> bool {
        let filter: HostFilter = filter.parse().expect("a filter");
        filter.admits(class)
    }

    #[test]
    fn versions_are_numbers_and_as_long_as_the_filter_says() {
        let host = class("6.1.0-18-amd64", Some("glibc 2.36"), false);
        for right in [
            "",
            "arch=x86_64 kernel>=6.1",
            "kernel=6.1",
            "kernel<=6.1",
            "kernel<6.12",
            "kernel>5.15,libc>=2.9",
            "kernel!=6.12 root=no",
        ] {
            assert!(admits(right, &host), "{right}");
        }
        for wrong in [
            "kernel>6.1",
            "arch=aarch64",
            "root=yes",
            "kernel>=6.1.1",
            "libc<2.36",
        ] {
            assert!(!admits(wrong, &host), "{wrong}");
        }
        assert!(!admits("libc>=2.0", &class("6.1", None, false)), "not said");
    }

    #[test]
    fn what_is_no_filter_is_refused_by_name() {
        let refused = |text: &str| text.parse::<HostFilter>().expect_err("refused");
        assert_eq!(
            refused("kernel"),
            HostFilterError::Form("kernel".to_owned())
        );
        assert_eq!(
            refused("kernel>="),
            HostFilterError::Form("kernel>=".to_owned())
        );
        assert_eq!(refused("name=a"), HostFilterError::Key("name".to_owned()));
        let word = "kernel=new";
        assert_eq!(refused(word), HostFilterError::Version(word.to_owned()));
        for word in ["arch>x86_64", "root=1"] {
            assert_eq!(refused(word), HostFilterError::Sign(word.to_owned()));
        }
    }
}
