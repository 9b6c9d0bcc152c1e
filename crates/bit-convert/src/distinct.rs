//! Maps of untrusted files, in which a name that occurs twice is an error: serde's own maps keep the last of them.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

/// A map by name.
#[derive(Debug)]
pub(crate) struct Distinct<V>(pub(crate) BTreeMap<String, V>);

impl<V> Distinct<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for Distinct<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V: Serialize> Serialize for Distinct<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Distinct<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = Distinct<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of distinct names")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Distinct<V>, M::Error> {
        let mut entries = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            match entries.entry(name) {
                Entry::Occupied(first) => return Err(twice(first.key())),
                Entry::Vacant(place) => place.insert(map.next_value()?),
            };
        }
        Ok(Distinct(entries))
    }
}

/// The error of a name that occurs again.
pub(crate) fn twice<E: Error>(name: &str) -> E {
    E::custom(format!("`{name}` occurs twice"))
}
