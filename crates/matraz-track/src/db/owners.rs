//! Rows of many runs as a list for each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Row;
use crate::error::Result;

/// Lists by their owner, gathered from rows whose first column names him. Rows of one owner mostly follow each other.
pub(crate) struct Owners<T> {
    lists: Vec<(String, Vec<T>)>,
}

impl<T> Default for Owners<T> {
    fn default() -> Self {
        Self { lists: Vec::new() }
    }
}

impl<T> Owners<T> {
    /// Adds what a row holds.
    pub(crate) fn push(&mut self, row: &Row, item: T) -> Result<()> {
        match self.lists.last_mut() {
            Some((owner, list)) if row.is_text(0, owner)? => list.push(item),
            _ => self.lists.push((row.text(0)?, vec![item])),
        }
        Ok(())
    }

    /// Puts the lists behind those that are there.
    pub(crate) fn give(self, lists: &mut HashMap<String, Vec<T>>) {
        for (owner, mut list) in self.lists {
            match lists.entry(owner) {
                Entry::Occupied(mut known) => known.get_mut().append(&mut list),
                Entry::Vacant(place) => drop(place.insert(list)),
            }
        }
    }
}
