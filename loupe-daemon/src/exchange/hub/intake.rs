//! A batch of messages into the database: all that is sound in one transaction, and what is not is
//! noted. Knows no server.

use crate::exchange::message;
use crate::fleet::{Bundle, Fleet, Heard};
use crate::store::StoreError;

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub subject: String,
    pub payload: Vec<u8>,
    pub heard: Heard,
}

/// What became of it: either way it need not come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    Merged,
    Refused(String),
}

/// What became of each. An error means that the database cannot be written to, and that nothing was.
pub fn take_in(fleet: &mut Fleet, messages: &[Incoming]) -> Result<Vec<Taken>, StoreError> {
    let taken = match merge(fleet, messages) {
        Ok(taken) => taken,
        Err(error) if is_of_the_world(&error) => return Err(error),
        // One of them is to blame.
        Err(_) => {
            let mut taken = Vec::new();
            for one in messages {
                taken.extend(match merge(fleet, std::slice::from_ref(one)) {
                    Err(error) if is_of_the_world(&error) => return Err(error),
                    Err(error) => vec![Taken::Refused(format!("it cannot be merged ({error})"))],
                    Ok(taken) => taken,
                });
            }
            taken
        }
    };
    for (message, taken) in messages.iter().zip(&taken) {
        if let Taken::Refused(why) = taken {
            fleet.refuse(&message.subject, message.heard.at_ms, why)?;
        }
    }
    Ok(taken)
}

fn merge(fleet: &mut Fleet, messages: &[Incoming]) -> Result<Vec<Taken>, StoreError> {
    let mut all = Vec::with_capacity(messages.len());
    // One bundle at a time is unpacked.
    let sound = messages.iter().filter_map(|message| {
        let read: Result<Bundle, String> = message::read(&message.subject, &message.payload);
        match read {
            Ok(bundle) => {
                all.push(Taken::Merged);
                Some((bundle, message.heard))
            }
            Err(why) => {
                all.push(Taken::Refused(why));
                None
            }
        }
    });
    fleet.merge_all(sound)?;
    Ok(all)
}

/// Whether the database would refuse anything now.
fn is_of_the_world(error: &StoreError) -> bool {
    !matches!(error, StoreError::Sqlite { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::message::Piece;
    use crate::exchange::stream::facts_of;
    use crate::fleet::sample;

    fn incoming(subject: &str, bundle: &Bundle, at_ms: u64) -> Incoming {
        Incoming {
            subject: subject.to_owned(),
            payload: Piece::of(bundle).expect("packed").payload,
            heard: Heard {
                at_ms,
                offset_ms: -3,
                backlog: 2,
            },
        }
    }

    #[test]
    fn what_is_sound_is_merged_and_what_is_not_is_refused_beside_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut fleet = Fleet::open(&directory.path().join("fleet.db")).expect("opened");
        let (one, two) = (
            sample::bundle(1, 1, &["read"]),
            sample::bundle(2, 1, &["futex"]),
        );
        let own = facts_of(&one.host.id);
        let good = incoming(&own, &one, 10);
        let mut broken = good.clone();
        broken.payload.truncate(40);
        let forged = incoming(&own, &two, 11);
        let again = incoming(&own, &one, 12);
        let taken = take_in(&mut fleet, &[broken, good, forged.clone(), again]).expect("taken in");
        assert_eq!(taken[1], Taken::Merged);
        assert_eq!(taken[3], Taken::Merged);
        assert!(matches!(taken[0], Taken::Refused(_)), "{taken:?}");
        assert!(matches!(taken[2], Taken::Refused(_)), "{taken:?}");
        let hosts = fleet.hosts().expect("readable");
        assert_eq!(hosts.len(), 1, "nobody speaks for another");
        assert_eq!(hosts[0].heard.map(|it| it.at_ms), Some(12));
        let refused = fleet.refused().expect("readable");
        assert_eq!(
            (refused.len(), refused[0].times, refused[0].at_ms),
            (1, 2, 11)
        );

        let mut direct = Fleet::open(&directory.path().join("direct.db")).expect("opened");
        direct.merge(&one).expect("merged");
        assert_eq!(sample::content(&fleet), sample::content(&direct));
    }

    #[test]
    fn what_was_heard_earlier_changes_nothing_that_was_heard_later() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut fleet = Fleet::open(&directory.path().join("fleet.db")).expect("opened");
        let one = sample::bundle(1, 1, &["read"]);
        let own = facts_of(&one.host.id);
        for at_ms in [20, 10] {
            take_in(&mut fleet, &[incoming(&own, &one, at_ms)]).expect("taken in");
        }
        let hosts = fleet.hosts().expect("readable");
        assert_eq!(hosts[0].heard.map(|it| it.at_ms), Some(20));
    }
}
