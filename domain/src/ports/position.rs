//! Places in the global order of a log.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in the global order of one store. Opaque: it is compared, stored and handed back, never
/// calculated with. Its text sorts as it does, and names the store and epoch it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    store: u32,
    epoch: u32,
    commit: u64,
    prepare: u64,
}

impl Position {
    /// For adapters: the store's tag, its epoch, and the place (stores with one number leave
    /// `prepare` at zero).
    pub fn new(store: u32, epoch: u32, commit: u64, prepare: u64) -> Self {
        Self {
            store,
            epoch,
            commit,
            prepare,
        }
    }

    /// For adapters: the place.
    pub fn parts(self) -> (u64, u64) {
        (self.commit, self.prepare)
    }

    /// True when both come from one store in one epoch, and so may be compared.
    pub fn same_log(self, other: Self) -> bool {
        (self.store, self.epoch) == (other.store, other.epoch)
    }

    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut next = |width: usize| {
            let part = parts.next()?;
            let digits = part.len() == width && part.bytes().all(|b| b.is_ascii_hexdigit());
            if digits {
                u64::from_str_radix(part, 16).ok()
            } else {
                None
            }
        };
        let store = u32::try_from(next(8)?).ok()?;
        let epoch = u32::try_from(next(8)?).ok()?;
        let (commit, prepare) = (next(16)?, next(16)?);
        if parts.next().is_some() {
            None
        } else {
            Some(Self {
                store,
                epoch,
                commit,
                prepare,
            })
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:08x}.{:08x}.{:016x}.{:016x}",
            self.store, self.epoch, self.commit, self.prepare
        )
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({}/{})", self.commit, self.prepare)
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a position"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_position_sorts_as_it_does() {
        let mut places = vec![];
        for commit in [0, 1, 9, 10, 255, 256, u64::MAX] {
            places.push(Position::new(7, 1, commit, commit));
        }
        let texts: Vec<String> = places.iter().map(ToString::to_string).collect();
        assert!(texts.is_sorted());
        for (place, text) in places.iter().zip(&texts) {
            assert_eq!(Position::parse(text), Some(*place));
        }
        for bad in [
            "",
            "1",
            "00000007.00000001.0000000000000001",
            "0000000g.00000001.0.0",
        ] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }
}
