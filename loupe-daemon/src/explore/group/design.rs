//! Which features are left out together, so that every one is told apart from every other.
//!
//! Each of some features is put into `weight` of as many groups as that takes, no two features
//! into the same ones. So for any two, there is a group with the first and without the second:
//! where the second's absence makes up for the first's, that group shows it. And a feature that
//! breaks what it is left out of breaks just its own groups, which are those of no other.

/// The groups of so many members: for each member, the groups that it is in.
pub(super) struct Design {
    pub groups: usize,
    pub places: Vec<Vec<usize>>,
}

/// Fewer members are not worth a design.
const MEMBERS: usize = 7;

impl Design {
    /// For so many members, each in at least `least` groups; as few groups as possible. `None`
    /// where that spares nothing against each of them alone.
    pub fn new(members: usize, least: usize) -> Option<Design> {
        if members < MEMBERS || least == 0 {
            return None;
        }
        let groups = (least + 1..members).find(|groups| most(*groups, least) >= members)?;
        // What breaks its groups breaks no more than it must.
        let weight = (least..=groups).find(|weight| choose(groups, *weight) >= members)?;
        let places = subsets(groups, weight).take(members).collect();
        Some(Design { groups, places })
    }
}

/// The most members that so many groups can tell apart.
fn most(groups: usize, least: usize) -> usize {
    (least..=groups)
        .map(|weight| choose(groups, weight))
        .max()
        .unwrap_or_default()
}

fn choose(n: usize, k: usize) -> usize {
    (0..k.min(n - k)).fold(1usize, |product, i| product.saturating_mul(n - i) / (i + 1))
}

/// The subsets of `0..of` with so many elements, each sorted, in an order in which the first few
/// already use all elements about equally often.
fn subsets(of: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    let all = 1u64 << of.min(63);
    let mut masks: Vec<u64> = (0..all)
        .filter(|mask| mask.count_ones() as usize == size)
        .collect();
    // Neighbours in counting order share most elements; strides apart they do not.
    let stride = (1..)
        .find(|stride| stride * 2 > masks.len() && gcd(*stride, masks.len()) == 1)
        .unwrap_or(1);
    masks = (0..masks.len())
        .map(|index| masks[index * stride % masks.len()])
        .collect();
    masks.into_iter().map(move |mask| {
        (0..of)
            .filter(|element| mask & (1 << element) != 0)
            .collect()
    })
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn twenty_features_take_six_groups() {
        for (members, groups) in [(7, 5), (10, 5), (11, 6), (20, 6), (35, 7), (70, 8)] {
            let design = Design::new(members, 3).expect("worth it");
            assert_eq!(design.groups, groups, "{members}");
        }
        assert!(Design::new(6, 3).is_none());
    }

    proptest! {
        #[test]
        fn for_any_two_there_is_a_group_with_the_first_alone(
            members in 7usize..90,
            least in 1usize..6,
        ) {
            let Some(design) = Design::new(members, least) else {
                return Ok(());
            };
            prop_assert_eq!(design.places.len(), members);
            prop_assert!(design.groups < members);
            let places: Vec<BTreeSet<usize>> =
                design.places.iter().map(|places| places.iter().copied().collect()).collect();
            for (index, one) in places.iter().enumerate() {
                prop_assert!(one.len() >= least);
                prop_assert!(one.iter().all(|group| *group < design.groups));
                for other in &places[index + 1..] {
                    prop_assert!(!one.is_subset(other) && !other.is_subset(one));
                }
            }
        }
    }
}
