//! Where the facts of a profile are from, and what it says of calls that it does not know.

use std::fmt;

use loupe_common::errno::Errno;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::plan::need::Answer;

/// Where the facts are from. Every part of it is text for people; only the commit and the date
/// find a profile among others of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Of the commit: `2026-08-21`, or as much of it as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// What was read there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// How it was read: what counts as what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
}

impl Source {
    pub fn is_empty(&self) -> bool {
        *self == Source::default()
    }

    /// Its date or commit begins so.
    pub(super) fn is_of(&self, moment: &str) -> bool {
        let mut known = [&self.date, &self.commit].into_iter().flatten();
        !moment.is_empty() && known.any(|known| known.starts_with(moment))
    }

    /// The parts and their names, in the order in which they are written.
    pub(super) fn parts(&self) -> [(&'static str, Option<&String>); 5] {
        [
            ("url", self.url.as_ref()),
            ("commit", self.commit.as_ref()),
            ("date", self.date.as_ref()),
            ("files", self.files.as_ref()),
            ("read", self.read.as_ref()),
        ]
    }
}

/// What a syscall gets that a profile does not mention. Written as an errno, or `kill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    Errno(Errno),
    /// The caller is ended, or the OS.
    Kill,
}

impl Default for Unknown {
    fn default() -> Unknown {
        Unknown::Errno(Errno::ENOSYS)
    }
}

impl Unknown {
    pub fn is_usual(&self) -> bool {
        *self == Unknown::default()
    }

    pub fn answer(self) -> Answer {
        match self {
            Unknown::Errno(errno) => Answer::failing(errno),
            Unknown::Kill => Answer::Kill,
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Errno(errno) => errno.fmt(f),
            Unknown::Kill => f.pad("kill"),
        }
    }
}

impl std::str::FromStr for Unknown {
    type Err = String;

    fn from_str(text: &str) -> Result<Unknown, String> {
        match text {
            "kill" => Ok(Unknown::Kill),
            _ => match text.parse() {
                Ok(errno) => Ok(Unknown::Errno(errno)),
                Err(_) => Err(format!(
                    "`{text}` is neither an errno nor `kill`: what does an unknown syscall get?"
                )),
            },
        }
    }
}

impl schemars::JsonSchema for Unknown {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Unknown".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

impl Serialize for Unknown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Unknown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
