//! Characters that steer instead of being shown: which they are, who may hold them, and how JSON
//! carries them so that a terminal that prints it is not steered.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Has serde write a type as its `Display` and read it by its `FromStr`.
macro_rules! as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use as_text;

/// The longest name of an application or a workload, in bytes.
pub const LONGEST_NAME: usize = 255;

/// Known words that are close to a misspelt one, best first, at most three.
pub fn nearest<'a>(misspelt: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|word| (crate::syscalls::edit_distance(misspelt, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, word)| word).collect()
}

/// Whether a character is not seen but steers a terminal, or how others are seen: control
/// characters, marks of direction, zero-width characters, separators of lines and paragraphs,
/// tags.
pub fn steers(character: char) -> bool {
    character.is_control() || is_formatting(character)
}

fn is_formatting(character: char) -> bool {
    matches!(u32::from(character),
        0x00ad | 0x061c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff
        | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// Whether a character ends lines, steers a terminal, or turns the direction of a text. Some
/// scripts need the other characters of [`steers`] in the names of files.
fn turns(character: char) -> bool {
    let marks = matches!(u32::from(character),
        0x061c | 0x200e..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069);
    character.is_control() || marks
}

/// What keeps this from being the name of an application or a workload. A name is a part of
/// paths and lines of a log, too.
pub fn fault_of_name(name: &str) -> Option<String> {
    if name.is_empty() || name.contains(['/', '\n', '\0']) {
        return Some(format!(
            "must be a name without slashes or line breaks, not {name:?}"
        ));
    }
    if let Some(character) = name.chars().find(|character| steers(*character)) {
        return Some(format!(
            "must be a name without control characters and marks that nobody sees; {name:?} holds \
             U+{:04X}",
            u32::from(character)
        ));
    }
    (name.len() > LONGEST_NAME).then(|| {
        format!(
            "must be a name of at most {LONGEST_NAME} bytes; this one has {}",
            name.len()
        )
    })
}

/// What keeps this from being the path of a file in a workload.
pub fn fault_of_path(path: &str) -> Option<String> {
    let character = path.chars().find(|character| turns(*character))?;
    Some(format!(
        "must not hold control characters or marks of direction; {path:?} holds U+{:04X}",
        u32::from(character)
    ))
}

/// The same JSON with every character that steers, beyond those that JSON escapes itself, as an
/// escape. Such characters can only be within strings.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // Line breaks between values are no part of a string.
    let hidden = |character: char| character >= '\u{7f}' && steers(character);
    if json.is_ascii() && !json.contains('\u{7f}') || !json.contains(hidden) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if !hidden(character) {
            escaped.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_anything_that_steers() {
        let hostile = "a\u{7f}\u{85}\u{9b}31m\u{202e}b\u{2028}\u{e0041}\x1b\n naïve 日本 ✓";
        let json = serde_json::to_string_pretty(&vec![hostile]).expect("JSON");
        let escaped = escape_json(&json);
        assert!(
            !escaped.chars().any(|c| c != '\n' && steers(c)),
            "{escaped:?}"
        );
        assert!(escaped.contains("\\u202e") && escaped.contains("\\udb40\\udc41"));
        let back: Vec<String> = serde_json::from_str(&escaped).expect("still JSON");
        assert_eq!(back, [hostile]);
        assert!(matches!(escape_json("[\n\"naïve\"]"), Cow::Borrowed(_)));
    }

    #[test]
    fn names_hold_nothing_that_is_not_seen() {
        for good in [
            "nginx",
            "naïve 日本 ✓",
            "a b",
            "c++",
            &"n".repeat(LONGEST_NAME),
        ] {
            assert_eq!(fault_of_name(good), None);
        }
        let long = "n".repeat(LONGEST_NAME + 1);
        for bad in [
            "",
            "a/b",
            "a\nb",
            "a\0",
            "\x1b]0;x\x07",
            "a\u{9b}",
            "a\u{202e}b",
            "a\u{200b}b",
            &long,
        ] {
            assert!(fault_of_name(bad).is_some(), "{bad:?}");
        }
        let told = fault_of_name("a\u{202e}b").expect("a fault");
        assert!(
            told.contains("U+202E") && !told.contains('\u{202e}'),
            "{told}"
        );
    }

    #[test]
    fn paths_may_hold_what_scripts_need() {
        for good in ["/a b/naïve", "/می\u{200c}خواهم"] {
            assert_eq!(fault_of_path(good), None);
        }
        for bad in ["/a\nb", "/a\u{202e}b", "/a\0", "/a\u{9b}"] {
            assert!(fault_of_path(bad).is_some(), "{bad:?}");
        }
    }
}
