//! The merge is a semilattice, in the database as on paper.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::delta::Known;
use super::*;

const FEATURES: [&str; 6] = [
    "read",
    "write",
    "futex",
    "io_uring_setup",
    "/proc/self/maps",
    "io_uring:IORING_OP_READV",
];
const UNITS: [(&str, &str, &str); 4] = [
    ("nginx.service", "nginx", "1.22"),
    ("nginx.service", "nginx", "1.26"),
    ("redis.service", "redis-server", "7"),
    ("user@.service", "systemd", "252"),
];

fn any_member() -> impl Strategy<Value = Member> {
    let features = prop::collection::btree_map(prop::sample::select(&FEATURES[..]), 0_u32..8, 0..5);
    let days = prop::collection::btree_map(
        prop::sample::select(&["2026-08", "2026-08-01", "2026-11-29"][..]),
        1_u64..5,
        0..3,
    );
    (features, 0_u32..4, 0_u32..8, 0_u8..4, days, 0_u64..3).prop_map(
        |(features, first, length, magnitude, days, lost)| {
            let last = first + length;
            let within = |(name, hour): (&str, u32)| (name.to_owned(), hour.clamp(first, last));
            Member {
                features: features.into_iter().map(within).collect(),
                times: Some((first, last)),
                magnitude,
                calendar: days
                    .into_iter()
                    .map(|(day, ms)| (day.to_owned(), ms))
                    .collect(),
                lost,
            }
        },
    )
}

/// A report of one of a few hosts; several may be of the same moment and differ.
fn any_bundle() -> impl Strategy<Value = Bundle> {
    let members = prop::collection::btree_map(0..UNITS.len(), any_member(), 0..4);
    (0_u32..3, 1_u64..4, 0_u32..2, members).prop_map(|(host, made_ms, kernel, members)| {
        let members: BTreeMap<usize, Member> = members;
        let members = members.into_iter().map(|(unit, member)| {
            let (name, executable, version) = UNITS[unit];
            (subject(name, executable, version), member)
        });
        let mut bundle = bundle(host, made_ms, members.collect());
        bundle.host.kernel = format!("6.{kernel}");
        bundle
    })
}

/// Histories, and an order in which they come again: with repetitions, and with some twice in a row.
fn history() -> impl Strategy<Value = (Vec<Bundle>, Vec<usize>)> {
    prop::collection::vec(any_bundle(), 1..7).prop_flat_map(|bundles| {
        let all: Vec<usize> = (0..bundles.len()).collect();
        let again = prop::collection::vec(0..bundles.len(), 0..5);
        let order = again.prop_flat_map(move |again| {
            let mut order = all.clone();
            order.extend(again);
            Just(order).prop_shuffle()
        });
        (Just(bundles), order)
    })
}

fn merged<'a>(directory: &Path, name: &str, all: impl Iterator<Item = &'a Bundle>) -> Vec<String> {
    let mut fleet = open(directory, name);
    for bundle in all {
        fleet.merge(bundle).expect("merged");
    }
    content(&fleet)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn joining_members_knows_no_order_and_no_repetition(
        a in any_member(), b in any_member(), c in any_member(),
    ) {
        let join = |all: &[&Member]| {
            let mut sum = Member::default();
            for one in all {
                sum.join((*one).clone());
            }
            sum
        };
        let all = join(&[&a, &b, &c]);
        prop_assert_eq!(&join(&[&c, &a, &b, &a]), &all);
        prop_assert_eq!(&join(&[&a, &join(&[&b, &c])]), &all);
        prop_assert_eq!(&join(&[&all, &b]), &all);
    }

    #[test]
    fn bundles_in_any_order_and_number_give_the_same_database(
        (bundles, order) in history(),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let straight = merged(directory.path(), "a", bundles.iter());
        let other = merged(directory.path(), "b", order.iter().map(|at| &bundles[*at]));
        prop_assert_eq!(straight, other);
    }

    #[test]
    fn what_was_imported_in_part_is_completed_by_the_whole(
        (bundles, order) in history(), part in 0_usize..6,
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let some = order.iter().take(part).map(|at| &bundles[*at]);
        // Of one bundle in between only some subjects came: as if it had been made earlier.
        let mut cut = bundles[0].clone();
        cut.subjects.truncate(1);
        let first = some.chain([&cut]).chain(bundles.iter().rev());
        let pieces = merged(directory.path(), "a", first);
        let whole = merged(directory.path(), "b", bundles.iter());
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn a_delta_brings_whoever_knows_the_old_to_the_new(
        (bundles, order) in history(), with_times in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let of_first: Vec<&Bundle> =
            bundles.iter().filter(|it| it.host.id == bundles[0].host.id).collect();
        let straight = merged(directory.path(), "a", of_first.iter().copied());
        // What is known grows, and only what it grows by is told.
        let mut told: Option<Known> = None;
        let mut known = Known::of(of_first[0]);
        let mut deltas = Vec::new();
        for bundle in &of_first {
            known.join(bundle);
            let delta = known.beyond(told.as_ref(), with_times).bundles(1);
            for piece in &delta {
                match &mut told {
                    Some(told) => told.join(piece),
                    None => told = Some(Known::of(piece)),
                }
            }
            deltas.extend(delta);
        }
        deltas.extend(known.beyond(told.as_ref(), true).bundles(1));
        let shuffled = order.iter().map(|at| &deltas[at % deltas.len()]);
        let other = merged(directory.path(), "b", deltas.iter().rev().chain(shuffled));
        prop_assert_eq!(straight, other);
    }
}
