//! One observation of what runs already, without a daemon and a database: all calls of a target, for
//! some time, as one trace.

use std::time::Duration;

use loupe_common::feature::Feature;
use loupe_common::profile::{ProfileLost, Target};
use loupe_common::trace::{Lost, Trace};
use tokio_util::sync::CancellationToken;

use super::difference;
use super::owners::Owners;
use super::pending::other;
use super::targets::{TargetError, settle};
use super::{ProfileError, hierarchy};
use crate::store::SubjectDelta;
use crate::tracer::profiler::{Profiler, ProfilerBounds, ProfilerEvent, SlotCounts};

/// The owner of a single process: a number that no cgroup has.
const PROCESS_OWNER: u64 = u64::MAX;

/// Why nothing was observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("nothing that runs here is {0}")]
    Nothing(Target),
}

/// Counts what the target calls until the time is over or `stop` fires.
pub async fn observe(
    target: Target,
    limit: Option<Duration>,
    stop: CancellationToken,
) -> Result<Trace, ObserveError> {
    let profiler = Profiler::load(&ProfilerBounds::default()).map_err(ProfileError::from)?;
    let mut events = profiler.events().ok_or(ProfileError::Taken)?;
    let tree = hierarchy()?;
    let targets = match target {
        Target::Process(pid) => {
            let watched = profiler.watch_process(pid, PROCESS_OWNER);
            watched.map_err(ProfileError::from)?;
            Vec::new()
        }
        other => vec![settle(other, &tree)?],
    };
    let mut owners = Owners::of(tree);
    owners
        .apply(&profiler, &targets)
        .map_err(ProfileError::from)?;
    if let [target] = targets.as_slice()
        && owners.count(target) == 0
    {
        return Err(ObserveError::Nothing(target.clone()));
    }
    let window = profiler.open_window().map_err(ProfileError::from)?;
    let end = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let mut first: Vec<(u64, Feature)> = Vec::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            () = &mut end => break,
            event = events.recv() => event,
        };
        match event {
            Some(ProfilerEvent::CgroupMade {
                id,
                parent,
                owner,
                watch,
                name,
            }) => {
                let made = (id, parent, name.as_str());
                let made = owners.made(&profiler, &targets, made, owner.zip(watch));
                made.map_err(ProfileError::from)?;
            }
            Some(ProfilerEvent::FirstSeen { feature, at_ns, .. }) => first.push((at_ns, feature)),
            Some(
                ProfilerEvent::CgroupGone { .. }
                | ProfilerEvent::SlotOpened(_)
                | ProfilerEvent::Mark(_),
            ) => {}
            None => break,
        }
    }
    drop(window);
    let counts = profiler.counts().map_err(ProfileError::from)?;
    let mut lost = profiler.lost().map_err(ProfileError::from)?;
    lost.events += profiler.dropped();
    Ok(trace(counts.into_values(), lost, first))
}

/// All slots as one. `first` are first uses, by slot, at their moments.
fn trace(
    slots: impl Iterator<Item = SlotCounts>,
    lost: ProfileLost,
    mut first: Vec<(u64, Feature)>,
) -> Trace {
    let mut sum = SubjectDelta::new(other());
    sum.lost += lost;
    for slot in slots {
        difference::add(&mut sum, &SlotCounts::default(), &slot);
    }
    first.sort();
    let mut first_seen: Vec<Feature> = Vec::new();
    let rest = sum.calls.keys().cloned();
    for feature in first.into_iter().map(|(_, feature)| feature).chain(rest) {
        if !first_seen.contains(&feature) && sum.calls.contains_key(&feature) {
            first_seen.push(feature);
        }
    }
    Trace {
        first_seen,
        calls: sum.calls,
        operations: sum.operations,
        foreign: sum.foreign,
        execs: sum.starts,
        pseudo_files: true,
        io_uring: crate::tracer::counts_io_uring() == Some(true),
        vdso: true,
        lost: Lost {
            events: sum.lost.events,
            errors: sum.lost.errors,
            foreign: sum.lost.foreign,
            latency: 0,
            operations: sum.lost.operations
                + sum.lost.calls
                + sum.lost.pseudo_files
                + sum.lost.executables,
        },
        ..Trace::default()
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::trace::CallCounts;

    use super::*;

    fn feature(name: &str) -> Feature {
        name.parse().expect("a feature")
    }

    #[test]
    fn slots_become_one_trace_in_the_order_of_first_uses() {
        let slot = |names: &[&str]| SlotCounts {
            calls: names
                .iter()
                .map(|name| {
                    let counts = CallCounts {
                        calls: 2,
                        ..CallCounts::default()
                    };
                    (feature(name), counts)
                })
                .collect(),
            starts: 1,
            ..SlotCounts::default()
        };
        let slots = [slot(&["read", "write"]), slot(&["read", "futex"])];
        let first = vec![
            (9, feature("read")),
            (3, feature("write")),
            (4, feature("read")),
            (1, feature("openat")),
        ];
        let trace = trace(slots.into_iter(), ProfileLost::default(), first);
        assert_eq!(
            trace.first_seen,
            [feature("write"), feature("read"), feature("futex")]
        );
        assert_eq!(trace.calls[&feature("read")].calls, 4);
        assert_eq!((trace.execs, trace.lost.total()), (2, 0));
    }
}
