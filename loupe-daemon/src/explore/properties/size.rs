//! Large applications: replays grow with what an application needs, not with what it uses.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;
use loupe_common::verdict::Verdict;

use super::single::truth;
use super::{options, run};
use crate::explore::priors;
use crate::explore::simulated::{App, Effect, SimFeature, Simulator};

/// A number from 0 to 1 that depends on these alone.
fn random(what: impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    (hasher.finish() % 1_000_000) as f64 / 1e6
}

fn effect(works: bool) -> Effect {
    match works {
        true => Effect::Works,
        false => Effect::Breaks,
    }
}

/// An application of this size. Of its syscalls those work left out that the data set lets
/// expect, of its operations and files all but 7 %.
fn large_app(syscalls: usize, operations: usize, files: usize) -> App {
    let mut app = App {
        watched: u32::from(files > 0) * 2,
        ..App::default()
    };
    for (_, name) in Arch::X86_64.table().iter().take(syscalls) {
        let feature: Feature = name.parse().expect("a syscall");
        let stub = random((name, "stub")) < priors::stub(&feature);
        let fake = random((name, "fake")) < priors::fake_if(stub);
        let sim = SimFeature::always(effect(stub), effect(fake));
        app.features.insert(feature, sim);
    }
    let breaks = SimFeature::always(Effect::Breaks, Effect::Breaks);
    app.features
        .insert("ioctl".parse().expect("a syscall"), breaks);
    let operations = (0..operations).map(|number| format!("ioctl:{:#x}", 0x20_0000 + number));
    let files = (0..files).map(|number| format!("/proc/large/{number}"));
    for name in operations.chain(files) {
        let works = random(&name) < 0.93;
        let sim = SimFeature::always(effect(works), effect(works));
        app.features.insert(name.parse().expect("a feature"), sim);
    }
    app
}

/// The replays of an analysis with true verdicts, and the ways that fail.
fn cost(app: &App) -> (u64, u64) {
    let simulator = Simulator::new(app, 1);
    let analysis = run(&simulator, &options(4)).expect("measurable");
    let mut failing = 0;
    for row in &analysis.features {
        if row.feature.parent().is_none() {
            let truth = truth(app, &row.feature, false);
            assert_eq!(row.verdict, truth, "{}", row.feature);
        }
        failing += match row.verdict {
            Verdict::Required => 2,
            Verdict::Stub | Verdict::Fake => 1,
            _ => 0,
        };
    }
    (analysis.replays, failing)
}

/// A failure is confirmed, so each way that fails takes two replays, and about as many are what it
/// takes to find it among those that work. What works is nearly free: measured alone, it would take
/// three replays each way.
#[test]
fn replays_grow_with_what_fails_and_hardly_with_what_works() {
    let apps = [
        large_app(150, 200, 60),
        large_app(75, 100, 30),
        App {
            starts_quickly: true,
            ..large_app(37, 50, 15)
        },
    ];
    for app in apps {
        let (replays, failing) = cost(&app);
        assert!(
            replays <= 45 * failing / 10,
            "{replays} replays, {failing} fail"
        );
    }
}

/// An application that needs 8 features of so many.
fn mostly_optional(features: usize) -> App {
    let mut app = App {
        watched: 2,
        ..App::default()
    };
    for number in 0..features {
        let works = number >= 8;
        let sim = SimFeature::always(effect(works), effect(works));
        let name = format!("/proc/large/{number}");
        app.features.insert(name.parse().expect("a feature"), sim);
    }
    app
}

/// Twice as many features that work cost some replays more, not twice as many: groups are as many as the
/// logarithm of their members, and so are the parts in which what breaks them is looked for.
#[test]
fn replays_grow_with_the_logarithm_of_what_works() {
    let replays = [48, 96, 192].map(|features| cost(&mostly_optional(features)).0);
    for pair in replays.windows(2) {
        assert!(pair[1] <= pair[0] + 36, "{replays:?}");
    }
}
