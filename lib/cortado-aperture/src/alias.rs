//! Drawing by weight in constant time: an alias table of whole numbers.
//!
//! Source: M. D. Vose, "A linear algorithm for generating random numbers with a given
//! distribution". Built without floating point, so that shares are right to 2⁻⁶⁴.

use crate::ring::gcd;

/// Draws indices in proportion to the units that each was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasTable {
    slots: Box<[Slot]>,
}

/// An index that keeps a draw if it falls below `keep`, and passes it on to `alias` otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// In 2⁻⁶⁴ of this slot.
    pub keep: u64,
    /// Who gets the rest; the slot itself if it keeps everything.
    pub alias: u32,
}

impl AliasTable {
    /// A table over indices from 0, at most 2³² of them. If all units are 0, all count alike.
    pub fn new(units: &[u128]) -> AliasTable {
        let (mut rest, total) = scaled(units);
        let whole = |index: usize| Slot { keep: u64::MAX, alias: number(index) };
        let mut slots: Vec<Slot> = (0..rest.len()).map(whole).collect();
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for (index, units) in rest.iter().enumerate() {
            if *units < total { small.push(index) } else { large.push(index) }
        }
        // Each small slot is filled up by a large one, which thereby becomes small at some time.
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            let keep = (rest[poor] << 64) / total;
            slots[poor] = Slot { keep: keep as u64, alias: number(rich) };
            rest[rich] -= total - rest[poor];
            if rest[rich] < total {
                large.pop();
                small.push(rich);
            }
        }
        AliasTable { slots: slots.into() }
    }

    /// The slots, one for each index.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

/// The index that `random`, any number of 64 bits, stands for among `count` slots.
///
/// One multiplication: its high half chooses a slot, its low half where in it.
#[inline]
pub(crate) fn draw(random: u64, count: usize, slot: impl FnOnce(usize) -> Slot) -> usize {
    let product = u128::from(random) * count as u128;
    let index = (product >> 64) as usize;
    let Slot { keep, alias } = slot(index);
    if (product as u64) < keep { index } else { alias as usize }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("at most 2^32 slots")
}

/// Units multiplied by their count, and their sum, which is what an even slot has.
///
/// The sum stays below 2⁶⁴, so that it can be divided exactly; larger ones lose low bits first.
fn scaled(units: &[u128]) -> (Vec<u128>, u128) {
    let divisor = units.iter().copied().fold(0, gcd);
    if divisor == 0 {
        return (vec![1; units.len()], 1);
    }
    let mut units: Vec<u128> = units.iter().map(|units| units / divisor).collect();
    let bits = |units: &[u128]| {
        let total = units.iter().fold(0_u128, |sum, units| sum.saturating_add(*units));
        128 - total.leading_zeros()
    };
    let excess = bits(&units).saturating_sub(63);
    units
        .iter_mut()
        .filter(|units| **units > 0)
        .for_each(|units| *units = (*units >> excess).max(1));
    let total = units.iter().sum();
    let count = units.len() as u128;
    (units.iter().map(|units| units * count).collect(), total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 2⁶⁴ draws, divided by 2⁴⁸, each index gets.
    fn shares(units: &[u128]) -> Vec<u128> {
        let table = AliasTable::new(units);
        let mut shares = vec![0; units.len()];
        for (index, slot) in table.slots().iter().enumerate() {
            let keep = u128::from(slot.keep);
            shares[index] += keep;
            shares[slot.alias as usize] += (1 << 64) - keep;
        }
        shares.iter().map(|share| (share / units.len() as u128) >> 16).collect()
    }

    #[test]
    fn shares_are_those_of_the_units() {
        let check = |units: &[u128], want: &[u128]| {
            for (got, want) in shares(units).iter().zip(want) {
                assert!(got.abs_diff(*want) <= 1, "{units:?}: {got} of {want}");
            }
        };
        check(&[1, 2, 5], &[1 << 45, 2 << 45, 5 << 45]);
        check(&[0, 1, 3], &[0, 1 << 46, 3 << 46]);
        check(&[7; 4], &[1 << 46; 4]);
        check(&[0; 2], &[1 << 47; 2]);
        check(&[1 << 110, 3 << 110], &[1 << 46, 3 << 46]);
        check(&[1 << 126, 1, 3 << 126], &[1 << 46, 0, 3 << 46]);
    }

    #[test]
    fn a_draw_lands_where_its_number_says() {
        let table = AliasTable::new(&[0, 1, 3]);
        let at = |random| draw(random, 3, |index| table.slots()[index]);
        assert_eq!([0, u64::MAX / 2, u64::MAX].map(at), [2, 1, 2]);
        assert!(table.slots()[0].keep == 0, "so that no draw stays with it");
        assert_eq!(draw(u64::MAX, 1, |_| AliasTable::new(&[5]).slots()[0]), 0);
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        assert!(AliasTable::new(&[]).slots().is_empty());
    }
}
