//! Bundles of made-up hosts, for tests of other rooms.

use super::bundle::Bundle;
use super::tests::{self, member, subject};

/// A host whose one unit has used these.
pub fn bundle(host: u32, made_ms: u64, features: &[&str]) -> Bundle {
    let features: Vec<(&str, u32)> = features.iter().map(|name| (*name, 5)).collect();
    let one = (subject("a.service", "a", "1"), member(5, 9, &features));
    tests::bundle(host, made_ms, vec![one])
}

/// A host with units of these names.
pub fn units(host: u32, names: &[String]) -> Bundle {
    let members = names.iter().map(|name| {
        let one = subject(name, "a", "1");
        (one, member(5, 9, &[("read", 5)]))
    });
    tests::bundle(host, 1, members.collect())
}

/// Everything that is in a database, by names instead of the numbers of rows.
pub use super::tests::content;
