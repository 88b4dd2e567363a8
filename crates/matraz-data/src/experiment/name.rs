//! Names of experiments: given by the user, or an adjective and a noun.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::error::ExperimentError;
use super::refs::{self, ExpRef};
use crate::Result;
use crate::git::Git;

const ADJECTIVES: [&str; 64] = [
    "amber", "ample", "ancient", "azure", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid",
    "clear", "clever", "cosmic", "cosy", "crisp", "curious", "dapper", "daring", "deft", "eager", "early",
    "fair", "fancy", "fleet", "fresh", "gentle", "glad", "golden", "grand", "happy", "hardy", "honest",
    "humble", "jolly", "keen", "kind", "lively", "lucid", "lucky", "mellow", "merry", "mild", "nimble",
    "noble", "patient", "plain", "polite", "proud", "quick", "quiet", "rapid", "robust", "rosy", "silent",
    "smooth", "solid", "steady", "sturdy", "sunny", "swift", "tidy", "vivid", "warm",
];

const NOUNS: [&str; 64] = [
    "acorn", "alder", "anchor", "apple", "aspen", "badger", "beacon", "birch", "bison", "breeze", "brook",
    "canyon", "cedar", "cliff", "clover", "comet", "coral", "crane", "creek", "delta", "dune", "eagle",
    "ember", "falcon", "fern", "finch", "fjord", "forest", "fox", "glade", "harbor", "hazel", "heron",
    "hill", "island", "jay", "kite", "lagoon", "lake", "lark", "maple", "meadow", "moss", "oak", "otter",
    "owl", "panda", "pebble", "pine", "planet", "pond", "prairie", "raven", "reef", "ridge", "river",
    "robin", "sparrow", "spruce", "stone", "tiger", "valley", "willow", "wren",
];

/// Refuses a name that git, or DVC, does not take in a reference.
pub fn check(git: &Git, baseline: &str, name: &str) -> Result<()> {
    let reference = ExpRef::new(baseline, name).path();
    if name.is_empty() || name.contains('/') || !git.is_reference_name(&reference) {
        return Err(ExperimentError::BadName { name: name.to_owned() }.into());
    }
    Ok(())
}

/// A name that no experiment has, and none of `taken`.
pub fn fresh(git: &Git, taken: &[String]) -> Result<String> {
    let mut known: HashSet<String> = refs::all(git)?.into_iter().map(|one| one.reference.name).collect();
    known.extend(taken.iter().cloned());
    for round in 0.. {
        let (adjective, noun) = (pick(&ADJECTIVES), pick(&NOUNS));
        // When most pairs are taken, a number makes a new one.
        let name = match round {
            0..200 => format!("{adjective}-{noun}"),
            _ => format!("{adjective}-{noun}-{}", random() % 10_000),
        };
        if !known.contains(&name) {
            return Ok(name);
        }
    }
    Ok(String::new())
}

fn pick<'w>(words: &[&'w str]) -> &'w str {
    words[(random() % words.len() as u64) as usize]
}

/// A number that the system's randomness made.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
