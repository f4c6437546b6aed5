//! Clients that want to know what happens to profiles, as it happens.

use loupe_common::profile::{ProfileEvent, Subject};
use tokio::sync::mpsc;

use super::Access;
use crate::store::matches_name;

/// Events that wait for a client. One that lets more wait is let go.
const MOST_WAITING: usize = 1024;

#[derive(Debug)]
struct Watcher {
    access: Access,
    name: Option<String>,
    sender: mpsc::Sender<ProfileEvent>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Watchers {
    all: Vec<Watcher>,
}

impl Watchers {
    /// Another one.
    pub fn add(&mut self, access: Access, name: Option<String>) -> mpsc::Receiver<ProfileEvent> {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        self.all.push(Watcher {
            access,
            name,
            sender,
        });
        receiver
    }

    /// Tells each what it may know and wants to.
    pub fn tell(&mut self, events: &[ProfileEvent]) {
        self.all.retain(|watcher| {
            let wanted = events.iter().filter(|event| watcher.wants(&event.subject));
            let mut told = wanted.map(|event| watcher.sender.try_send(event.clone()).is_ok());
            told.all(|sent| sent) && !watcher.sender.is_closed()
        });
    }
}

impl Watcher {
    fn wants(&self, subject: &Subject) -> bool {
        let named = self.name.as_deref();
        self.access.sees(subject.uid)
            && named.is_none_or(|pattern| matches_name(pattern, &subject.name))
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::profile::Happening;

    use super::*;
    use crate::profile::pending::other;

    fn event(name: &str, uid: u32) -> ProfileEvent {
        ProfileEvent {
            at_ms: 1,
            subject: Subject {
                name: name.to_owned(),
                uid,
                ..other()
            },
            what: Happening::Stable,
        }
    }

    #[test]
    fn each_is_told_of_its_own_and_the_slow_one_is_let_go() {
        let mut watchers = Watchers::default();
        let mut all = watchers.add(Access::Everything, None);
        let mut own = watchers.add(Access::Own(1000), None);
        watchers.tell(&[event("a.service", 0), event("b.service", 1000)]);
        let name = |event: Result<ProfileEvent, _>| event.map(|event| event.subject.name);
        assert_eq!(name(all.try_recv()).as_deref(), Ok("a.service"));
        assert_eq!(name(all.try_recv()).as_deref(), Ok("b.service"));
        assert_eq!(name(own.try_recv()).as_deref(), Ok("b.service"));
        assert!(own.try_recv().is_err());
        drop(own);
        watchers.tell(&vec![event("a.service", 0); MOST_WAITING + 1]);
        assert_eq!(watchers.all.len(), 0);
    }
}
