//! A word of a command line or of an environment: any bytes, nearly always text. In JSON it is a
//! string, or a list of its bytes where it is not UTF-8.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// See the module.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(OsString);

impl Word {
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<OsString>> From<T> for Word {
    fn from(word: T) -> Word {
        Word(word.into())
    }
}

impl AsRef<OsStr> for Word {
    fn as_ref(&self) -> &OsStr {
        &self.0
    }
}

impl PartialEq<str> for Word {
    fn eq(&self, text: &str) -> bool {
        self.0 == *text
    }
}

impl PartialEq<&str> for Word {
    fn eq(&self, text: &&str) -> bool {
        self.0 == **text
    }
}

/// What is not text is replaced.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string_lossy())
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_seq(self.as_bytes()),
        }
    }
}

impl schemars::JsonSchema for Word {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 255 } },
            ]
        })
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
                Ok(Word::from(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Word, A::Error> {
                let mut word = Vec::new();
                while let Some(byte) = bytes.next_element::<u8>()? {
                    word.push(byte);
                }
                Ok(Word(OsString::from_vec(word)))
            }
        }

        deserializer.deserialize_any(Words)
    }
}

/// A path as a [`Word`], for `#[serde(with = "word::path")]`.
pub mod path {
    use std::path::{Path, PathBuf};

    use super::*;

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        Word::from(path).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Word::deserialize(deserializer).map(|word| PathBuf::from(word.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back_as_it_was() {
        for (bytes, json) in [
            (&b"plain"[..], "\"plain\""),
            ("gr\u{fc}n".as_bytes(), "\"gr\u{fc}n\""),
            (b"a\xff", "[97,255]"),
            (b"", "\"\""),
        ] {
            let word = Word::from(OsStr::from_bytes(bytes));
            assert_eq!(serde_json::to_string(&word).expect("serializable"), json);
            let back: Word = serde_json::from_str(json).expect("readable");
            assert_eq!(back, word);
        }
        assert!(serde_json::from_str::<Word>("[256]").is_err());
        assert!(serde_json::from_str::<Word>("7").is_err());
    }
}
