//! The configurations that a search has been in.

use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::{HashMap, HashSet};

/// A set of small numbers, one bit each, without zeros at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(super) fn contains(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn insert(&mut self, number: usize) {
        if self.words.len() <= number / 64 {
            self.words.resize(number / 64 + 1, 0);
        }
        self.words[number / 64] |= 1 << (number % 64);
    }

    pub(super) fn remove(&mut self, number: usize) {
        self.words[number / 64] &= !(1 << (number % 64));
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    /// The first number from `from` on that is not in the set.
    pub(super) fn next_absent(&self, from: usize) -> usize {
        let mut index = from / 64;
        let mut taken = self.words.get(index).copied().unwrap_or(0) | ((1 << (from % 64)) - 1);
        while taken == u64::MAX {
            index += 1;
            taken = self.words.get(index).copied().unwrap_or(0);
        }
        index * 64 + taken.trailing_ones() as usize
    }

    fn is_within(&self, other: &Self) -> bool {
        self.words.len() <= other.words.len() && self.words.iter().zip(&other.words).all(|(a, b)| a & !b == 0)
    }
}

/// Configurations: which answered steps are done, in what state, and which unanswered ones were used for it.
///
/// The first two are kept as a fingerprint of 128 bits, for a set of steps would be as long as the history.
/// A configuration is known if the search was in one that used fewer unanswered steps: nothing forces any to be used.
#[derive(Debug, Default)]
pub(super) struct Visited {
    using_none: HashSet<u128>,
    using_some: HashMap<u128, Vec<Bits>>,
    len: usize,
}

impl Visited {
    /// Whether it is new.
    pub(super) fn insert(&mut self, fingerprint: u128, used: &Bits) -> bool {
        if self.using_none.contains(&fingerprint) {
            return false;
        }
        self.len += 1;
        if used.words.is_empty() {
            return self.using_none.insert(fingerprint);
        }
        let others = self.using_some.entry(fingerprint).or_default();
        let is_new = !others.iter().any(|other| other.is_within(used));
        if is_new {
            others.push(used.clone());
        } else {
            self.len -= 1;
        }
        is_new
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// Spreads a number over all bits (the finisher of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// What a step adds to the fingerprint of the set of those that are done.
pub(super) fn mark(step: usize) -> u128 {
    let (low, high) = (mix(step as u64), mix(!(step as u64)));
    u128::from(high) << 64 | u128::from(low)
}

/// The fingerprint of a state; the same in every run.
pub(super) fn fingerprint(state: &impl Hash) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        state.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
