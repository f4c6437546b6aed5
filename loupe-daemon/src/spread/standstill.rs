//! What a user is told when an analysis cannot go on for want of a server or a worker: once when that
//! begins, and once when it is over. Looks at nothing itself, and ends nothing: what lacks comes back, or
//! the user interrupts.

use loupe_common::host_class::HostClass;

/// Why nothing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The queue is away.
    Queue(String),
    /// No worker of this class is heard; `None`: none at all, where any would do.
    Worker(Option<HostClass>),
}

/// What was found at the last look.
#[derive(Debug, Default)]
pub struct Standstill {
    told: Option<Lack>,
}

impl Standstill {
    /// What is to be told after this look, if anything.
    pub fn look(&mut self, lack: Option<Lack>) -> Option<String> {
        if lack == self.told {
            return None;
        }
        let same_kind = matches!(
            (&lack, &self.told),
            (Some(Lack::Queue(_)), Some(Lack::Queue(_)))
        );
        let text = match &lack {
            // What goes wrong at each attempt to connect differs.
            _ if same_kind => None,
            None => Some("replays go on".to_owned()),
            Some(Lack::Queue(why)) => Some(format!(
                "replays wait: the server is away ({why}); it is tried again and again"
            )),
            Some(Lack::Worker(None)) => Some(
                "replays wait: no worker is heard that may take them; `louped --worker URL` makes a host one"
                    .to_owned(),
            ),
            Some(Lack::Worker(Some(class))) => Some(format!(
                "replays wait: no worker is heard that is like those of this analysis's other replays \
                 ({class}); start one there, or interrupt and measure anew with --again"
            )),
        };
        self.told = lack;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_told_once_and_so_is_its_end() {
        let mut standstill = Standstill::default();
        assert_eq!(standstill.look(None), None);
        let told = standstill.look(Some(Lack::Worker(None)));
        assert!(told.expect("told").contains("no worker is heard"));
        assert_eq!(standstill.look(Some(Lack::Worker(None))), None);
        let told = standstill.look(None);
        assert_eq!(told.as_deref(), Some("replays go on"));
        assert_eq!(standstill.look(None), None);
    }

    #[test]
    fn another_trouble_of_the_same_server_is_no_news() {
        let mut standstill = Standstill::default();
        let told = standstill.look(Some(Lack::Queue("refused".to_owned())));
        assert!(told.expect("told").contains("(refused)"));
        let other = Some(Lack::Queue("timed out".to_owned()));
        assert_eq!(standstill.look(other), None);
        // The server is back, and its workers are not yet.
        assert!(standstill.look(Some(Lack::Worker(None))).is_some());
    }
}
