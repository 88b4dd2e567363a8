//! Random names for runs that get none: an adjective, an animal and a number.

use crate::error::{Error, Result};

const ADJECTIVES: &[&str] = &[
    "able", "amber", "ancient", "brave", "breezy", "bright", "brisk", "calm", "candid", "careful", "clever",
    "cosmic", "crisp", "curious", "daring", "eager", "early", "fair", "fearless", "fine", "fluent", "gentle",
    "glad", "golden", "grand", "happy", "honest", "humble", "jolly", "keen", "kind", "lively", "lucid",
    "lucky", "mellow", "merry", "mild", "nimble", "noble", "open", "patient", "placid", "polite", "proud",
    "quick", "quiet", "rapid", "ready", "robust", "rosy", "serene", "sharp", "shiny", "silent", "silver",
    "sleek", "smart", "smooth", "snowy", "sober", "solid", "spry", "steady", "still", "sturdy", "sunny",
    "swift", "tidy", "tranquil", "upbeat", "valiant", "velvet", "vivid", "warm", "wise", "witty", "zesty",
];

const ANIMALS: &[&str] = &[
    "alpaca", "badger", "bat", "bear", "beaver", "bee", "bison", "boar", "camel", "capybara", "cat",
    "cheetah", "cod", "colt", "condor", "crab", "crane", "cricket", "crow", "deer", "dolphin", "dove",
    "duck", "eagle", "eel", "elk", "falcon", "ferret", "finch", "fox", "frog", "gecko", "goat", "goose",
    "grouse", "gull", "hare", "hawk", "hedgehog", "heron", "horse", "ibex", "jackal", "jay", "koala", "lark",
    "lemur", "llama", "lynx", "marmot", "mink", "mole", "moose", "moth", "mule", "newt", "otter", "owl",
    "panda", "perch", "pika", "pony", "puffin", "quail", "rabbit", "raven", "robin", "seal", "shrew",
    "skink", "sloth", "snail", "sparrow", "squid", "stork", "swan", "tapir", "toad", "trout", "turtle",
    "viper", "vole", "walrus", "wasp", "weasel", "whale", "wolf", "wren", "yak", "zebra",
];

/// A new name, as `calm-otter-412`.
pub(crate) fn random() -> Result<String> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::Bug(format!("no random numbers: {error}")))?;
    let number = |from: usize| usize::from(u16::from_le_bytes([bytes[from], bytes[from + 1]]));
    Ok(format!(
        "{}-{}-{}",
        ADJECTIVES[number(0) % ADJECTIVES.len()],
        ANIMALS[number(2) % ANIMALS.len()],
        number(4) % 1000
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_three_plain_parts() {
        let name = random().unwrap();
        let parts: Vec<&str> = name.split('-').collect();
        assert!(parts.len() == 3 && parts[2].parse::<u32>().is_ok(), "{name}");
        for word in ADJECTIVES.iter().chain(ANIMALS) {
            assert!(word.chars().all(|letter| letter.is_ascii_lowercase()), "{word}");
        }
    }
}
