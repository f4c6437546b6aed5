//! Structures by name, for many look-ups: members are found inside of unnamed ones, too.

use std::collections::HashMap;

use super::{KIND_STRUCT, KIND_UNION, Types, u32_at};

/// An index of all named structures.
pub struct Structures<'a> {
    types: Types<'a>,
    /// Where each type is, by its number less one.
    places: Vec<usize>,
    named: HashMap<&'a [u8], Vec<usize>>,
}

impl<'a> Structures<'a> {
    /// `None`: the data is no type information.
    pub fn parse(data: &'a [u8]) -> Option<Structures<'a>> {
        let types = Types::parse(data)?;
        let places: Vec<usize> = types.all().map(|(_, at)| at).collect();
        let mut named: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for at in &places {
            if types.kind(*at).is_some_and(|(kind, _)| kind == KIND_STRUCT) {
                let name = types.name(u32_at(types.types, *at)?);
                named.entry(name).or_default().push(*at);
            }
        }
        Some(Structures {
            types,
            places,
            named,
        })
    }

    /// The offset of a member, in bytes.
    pub fn member(&self, structure: &str, member: &str) -> Option<u32> {
        let places = self.named.get(structure.as_bytes())?;
        let bits = places
            .iter()
            .find_map(|at| self.bits(*at, member.as_bytes()));
        bits.map(|bits| bits / 8)
    }

    /// The size of a structure.
    pub fn size(&self, structure: &str) -> Option<u32> {
        let at = self.named.get(structure.as_bytes())?.first()?;
        u32_at(self.types.types, at + 8)
    }

    fn bits(&self, at: usize, member: &[u8]) -> Option<u32> {
        let types = self.types.types;
        let (_, count) = self.types.kind(at)?;
        let has_widths = u32_at(types, at + 4)? >> 31 != 0;
        (0..count).map(|index| at + 12 + 12 * index).find_map(|at| {
            let name = self.types.name(u32_at(types, at)?);
            let offset = u32_at(types, at + 8)?;
            // With bit fields in the structure the upper byte is the field's width.
            let offset = if has_widths {
                offset & 0x00ff_ffff
            } else {
                offset
            };
            if name == member {
                return Some(offset);
            }
            if !name.is_empty() {
                return None;
            }
            let inner = *self
                .places
                .get((u32_at(types, at + 4)? as usize).checked_sub(1)?)?;
            let (kind, _) = self.types.kind(inner)?;
            // A structure holds no structure that holds it.
            matches!(kind, KIND_STRUCT | KIND_UNION)
                .then(|| self.bits(inner, member))
                .flatten()
                .map(|bits| offset + bits)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::MAGIC;
    use super::*;

    /// `struct s { int a; union { struct { int b; int c; }; }; }`.
    fn nested() -> Vec<u8> {
        let strings = b"\0int\0s\0a\0b\0c\0";
        let words = [
            [1u32, 1 << 24, 4, 32].as_slice(),
            &[5, KIND_STRUCT << 24 | 2, 12, 7, 1, 0, 0, 3, 32],
            &[0, KIND_UNION << 24 | 1, 8, 0, 4, 0],
            &[0, KIND_STRUCT << 24 | 2, 8, 9, 1, 0, 11, 1, 32],
        ];
        let types: Vec<u8> = words
            .concat()
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        let mut data = [MAGIC.to_le_bytes(), [1, 0]].concat();
        for word in [24, 0, types.len(), types.len(), strings.len()] {
            data.extend((word as u32).to_le_bytes());
        }
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn members_of_unnamed_structures_are_members() {
        let data = nested();
        let structures = Structures::parse(&data).expect("valid");
        let offset = |member| structures.member("s", member);
        assert_eq!(
            (offset("a"), offset("b"), offset("c")),
            (Some(0), Some(4), Some(8))
        );
        assert_eq!((offset("d"), structures.member("t", "a")), (None, None));
        assert_eq!(
            (structures.size("s"), structures.size("t")),
            (Some(12), None)
        );
    }

    #[test]
    fn damaged_data_never_panics() {
        let data = nested();
        for cut in 0..data.len() {
            if let Some(structures) = Structures::parse(&data[..cut]) {
                let _ = structures.member("s", "c");
            }
        }
    }
}
