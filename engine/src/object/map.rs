//! Labels and annotations as they are kept: a few texts under a few names, and as little memory around them as can be.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Labels or annotations: texts by name, in the order of their names.
///
/// A B-tree's smallest node has room for eleven, and most objects have one or two: of what is kept for a small object, two
/// such trees were a fifth.
#[derive(Clone, Default, PartialEq, Eq)]
// Sorted by name, and each name once.
pub struct Map(Box<[Entry]>);

type Entry = (Box<str>, Box<str>);

impl Map {
    /// The text under `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Each name with its text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (&**name, &**text))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The map without what stands under `name`.
    pub(super) fn without(self, name: &str) -> Self {
        if self.get(name).is_none() {
            return self;
        }
        Self(self.0.into_iter().filter(|(known, _)| **known != *name).collect())
    }
}

impl<N: Into<Box<str>>, T: Into<Box<str>>> FromIterator<(N, T)> for Map {
    /// Of a name that comes twice, the last text counts.
    fn from_iter<I: IntoIterator<Item = (N, T)>>(entries: I) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().map(|(name, text)| (name.into(), text.into())).collect();
        // Stable, so that those of one name stay in their order; the server sends them sorted.
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        entries.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        Self(entries.into())
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Map;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map, A::Error> {
                let mut entries: Vec<Entry> = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries.into_iter().collect())
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_under_its_name_in_whatever_order_they_came() {
        let map: Map = serde_json::from_str(r#"{"b": "2", "": "0", "c/d": "3", "a": "1"}"#).unwrap();
        assert_eq!(map.iter().collect::<Vec<_>>(), [("", "0"), ("a", "1"), ("b", "2"), ("c/d", "3")]);
        for (name, text) in [("", Some("0")), ("b", Some("2")), ("c/d", Some("3")), ("c", None), ("z", None)] {
            assert_eq!(map.get(name), text, "{name:?}");
        }
        assert_eq!((map.len(), map.is_empty(), Map::default().is_empty()), (4, false, true));
        assert_eq!(map.clone().without("b").iter().map(|entry| entry.0).collect::<Vec<_>>(), ["", "a", "c/d"]);
        assert_eq!(map.clone().without("x"), map);
    }

    #[test]
    fn of_a_name_that_comes_twice_the_last_text_counts() {
        let map: Map = serde_json::from_str(r#"{"a": "1", "b": "2", "a": "3", "a": "4"}"#).unwrap();
        assert_eq!(map.iter().collect::<Vec<_>>(), [("a", "4"), ("b", "2")]);
    }

    #[test]
    fn what_is_no_map_of_texts_is_an_error() {
        for wrong in [r#"{"a": 1}"#, r#"["a"]"#, r#""a""#, r#"{"a": null}"#] {
            assert!(serde_json::from_str::<Map>(wrong).is_err(), "{wrong}");
        }
    }
}
