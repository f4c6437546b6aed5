//! How an OS answers a call. Decides nothing about who is content with it: [`super::Need`] does.

use std::fmt;

use loupe_common::errno::Errno;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How an OS answers a feature. What it does not know at all is [`Answer::Stub`], unless its
/// profile says otherwise. Written `implement`, `fake`, `stub`, `stub=EPERM`, `kill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Implement,
    Fake,
    /// It fails with ENOSYS.
    Stub,
    /// It fails with another errno. Which one an application does without is measured with ENOSYS.
    Error(Errno),
    /// It ends whoever calls it, or the OS.
    Kill,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Implement => f.pad("implement"),
            Answer::Fake => f.pad("fake"),
            Answer::Stub => f.pad("stub"),
            Answer::Error(errno) => f.pad(&format!("stub={errno}")),
            Answer::Kill => f.pad("kill"),
        }
    }
}

impl std::str::FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Answer, String> {
        match text {
            "implement" => Ok(Answer::Implement),
            "fake" => Ok(Answer::Fake),
            "stub" => Ok(Answer::Stub),
            "kill" => Ok(Answer::Kill),
            _ => {
                let errno = text.strip_prefix("stub=").ok_or_else(|| {
                    format!("unknown answer `{text}` (implement, fake, stub, stub=ERRNO or kill)")
                })?;
                Ok(Answer::failing(errno.parse().map_err(
                    |error: loupe_common::errno::UnknownErrno| error.to_string(),
                )?))
            }
        }
    }
}

impl Answer {
    /// A failure with this errno.
    pub fn failing(errno: Errno) -> Answer {
        match errno {
            Errno::ENOSYS => Answer::Stub,
            other => Answer::Error(other),
        }
    }
}

impl schemars::JsonSchema for Answer {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Answer".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_is_written() {
        let eperm = "EPERM".parse().expect("an errno");
        for answer in [
            Answer::Implement,
            Answer::Fake,
            Answer::Stub,
            Answer::Error(eperm),
            Answer::Kill,
        ] {
            assert_eq!(answer.to_string().parse(), Ok(answer));
        }
        assert_eq!("stub=ENOSYS".parse(), Ok(Answer::Stub));
        assert!("stub=ENOTHING".parse::<Answer>().is_err());
        assert!("ignored".parse::<Answer>().is_err());
    }
}
