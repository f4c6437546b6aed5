//! Events as entries of the journal: each field is one of the entry's (`LOUPE_JOB`, `LOUPE_UID`), and
//! the message tells them too, since that is what people look at.

use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Value, Visit};
use tracing::{Event, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// An event has no more fields.
const MOST_FIELDS: usize = 32;

/// See the module.
pub struct Journal {
    entries: tracing_journald::Layer,
}

impl Journal {
    /// Fails where no journal listens.
    pub fn connect() -> io::Result<Journal> {
        // As every other program's: an information is none that people have to notice.
        let priorities = PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            ..PriorityMappings::new()
        };
        let entries = tracing_journald::layer()?
            .with_priority_mappings(priorities)
            .with_syslog_identifier("louped".to_owned())
            .with_field_prefix(Some("LOUPE".to_owned()));
        Ok(Journal { entries })
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let message = told.message();
        let mut fields = event.metadata().fields().iter();
        let Some(any) = event.metadata().fields().iter().next() else {
            return self.entries.on_event(event, context);
        };
        // The same event with another message. What is none is not recorded.
        let values: [(Field, Option<&dyn Value>); MOST_FIELDS] = std::array::from_fn(|_| {
            let Some(field) = fields.next() else {
                return (any.clone(), None);
            };
            let value = match field.name() {
                "message" => Some(&message as &dyn Value),
                name => told.text(name).map(|text| text as &dyn Value),
            };
            (field, value)
        });
        let values = values.each_ref().map(|(field, value)| (field, *value));
        let values = event.metadata().fields().value_set(&values);
        let retold = Event::new(event.metadata(), &values);
        self.entries.on_event(&retold, context);
    }
}

/// What an event says, as text.
#[derive(Debug, Default)]
struct Told {
    message: String,
    /// By name: as it is, and as it is shown behind the message.
    fields: Vec<(&'static str, String, String)>,
}

impl Told {
    fn text(&self, name: &str) -> Option<&String> {
        let mut fields = self.fields.iter();
        fields
            .find(|(found, ..)| *found == name)
            .map(|(_, text, _)| text)
    }

    fn message(&self) -> String {
        let mut message = self.message.clone();
        for (name, _, shown) in &self.fields {
            let space = if message.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(message, "{space}{name}={shown}");
        }
        message
    }
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => {
                let shown = format!("{value:?}");
                self.fields.push((name, value.to_owned(), shown));
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.fields.push((name, text.clone(), text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::lock;

    /// Keeps what it is told.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Told>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut told = Told::default();
            event.record(&mut told);
            lock(&self.0).push(told);
        }
    }

    #[test]
    fn a_message_tells_the_fields_as_well() {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::registry().with(kept.clone());
        tracing::subscriber::with_default(subscriber, || {
            let error = "full";
            tracing::info!(job = 7, why = "no \"room\"", %error, "failed");
            tracing::warn!(uid = 1000);
            tracing::warn!("as it is: {error}");
        });
        let kept = lock(&kept.0);
        let messages: Vec<String> = kept.iter().map(Told::message).collect();
        let expected = [
            "failed job=7 why=\"no \\\"room\\\"\" error=full",
            "uid=1000",
            "as it is: full",
        ];
        assert_eq!(messages, expected);
        assert_eq!(kept[0].text("why").map(String::as_str), Some("no \"room\""));
    }
}
