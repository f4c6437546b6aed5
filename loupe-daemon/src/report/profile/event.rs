//! `loupe profile watch`: one line for one thing that happened to a profile.

use loupe_common::profile::{Happening, ProfileEvent};
use serde_json::{Value, json};

use super::words;
use crate::report::{Style, Tone};
use crate::text::{printable, rfc3339, signed};

/// The value of `schema` in the JSON of an event.
const SCHEMA: &str = "loupe.profile-event/1";

/// The line, with its line break.
pub fn profile_event(event: &ProfileEvent, style: Style) -> String {
    let at = rfc3339(signed(event.at_ms)).replace('T', " ");
    let at = at.trim_end_matches('Z');
    let subject = words::subject(event.subject.kind, &event.subject.name);
    let executable = words::path(&event.subject.executable);
    let (what, tone) = match &event.what {
        Happening::FirstSeen { feature } => (
            format!("first use of {}", printable(&feature.to_string())),
            Tone::Plain,
        ),
        Happening::Drift {
            feature,
            before,
            now,
        } => {
            let version = |version: &Option<String>| {
                version.as_deref().map_or("unknown".to_owned(), printable)
            };
            let feature = printable(&feature.to_string());
            let what = match (before, now) {
                (None, None) => format!("drift: {feature}"),
                (before, now) if before == now => {
                    format!("drift: {feature} (version {})", version(now))
                }
                (before, now) => {
                    format!("drift: {feature} ({} → {})", version(before), version(now))
                }
            };
            (what, Tone::Middling)
        }
        Happening::Stable => ("stable: nothing new any more".to_owned(), Tone::Good),
    };
    let line = format!("{at} {subject} {executable}: {what}");
    format!("{}\n", tone.paint(&line, style))
}

pub fn profile_event_json(event: &ProfileEvent) -> Value {
    let mut value = json!(event);
    value["schema"] = SCHEMA.into();
    value
}
