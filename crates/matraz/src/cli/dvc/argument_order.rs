//! DVC's command lines take words in one piece: once an argument that may be left out, or repeated, has had its turn,
//! words behind a later option are not its own any more (`diff A --json B` is refused).

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// How many words an argument takes.
#[derive(Clone, Copy, Debug)]
struct Takes {
    least: usize,
    most: usize,
}

/// The first word that DVC would not know what to do with.
pub fn stray_word(command: &Command, found: &ArgMatches) -> Option<String> {
    if let Some((name, found)) = found.subcommand() {
        return stray_word(command.find_subcommand(name)?, found);
    }
    let mut takes = Vec::new();
    let mut words: Vec<(usize, String)> = Vec::new();
    for argument in command.get_positionals() {
        let id = argument.get_id().as_str();
        if argument.is_trailing_var_arg_set() || argument.is_last_set() {
            return None;
        }
        let most = argument.get_num_args().map_or(1, |range| range.max_values());
        takes.push(Takes { least: usize::from(argument.is_required_set()), most });
        // A default stands in no place.
        if found.value_source(id) == Some(ValueSource::CommandLine)
            && let (Some(places), Some(values)) = (found.indices_of(id), found.get_raw(id))
        {
            words.extend(places.zip(values.map(|value| value.to_string_lossy().into_owned())));
        }
    }
    words.sort();
    let mut waiting = takes.as_slice();
    let mut rest = words.as_slice();
    while let Some((first, _)) = rest.first() {
        let length = rest.iter().enumerate().take_while(|(n, (place, _))| *place == first + n).count();
        let (piece, later) = rest.split_at(length);
        let fits = |count: &usize| waiting[..*count].iter().map(|takes| takes.least).sum::<usize>() <= length;
        let served = (0..=waiting.len()).rev().find(fits).unwrap_or(0);
        let taken = waiting[..served].iter().fold(0_usize, |sum, takes| sum.saturating_add(takes.most));
        if let Some((_, word)) = piece.get(taken) {
            return Some(word.clone());
        }
        waiting = &waiting[served..];
        rest = later;
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn words_behind_an_option_are_strays_when_the_argument_was_served() {
        let stray = |line: &str| {
            let mut command = crate::cli::dvc::Cli::command();
            let found = command.try_get_matches_from_mut(line.split(' ')).unwrap();
            stray_word(&command, &found)
        };
        for line in [
            "dvc add a b --no-commit",
            "dvc add --no-commit a b",
            "dvc -q add a",
            "dvc get URL --rev x PATH -f",
            "dvc import-url --no-exec URL OUT",
            "dvc diff --json A B",
            "dvc params diff A --json",
            "dvc metrics diff A --md --all",
            "dvc diff --targets a b --json",
            "dvc stage add -n a --force echo --json b",
            "dvc remote add -d n u -f",
            "dvc remote modify --local n --unset o",
        ] {
            assert_eq!(stray(line), None, "{line}");
        }
        for (line, word) in [
            ("dvc add a --no-commit b", "b"),
            ("dvc import-url URL --no-exec OUT", "OUT"),
            ("dvc diff A --json B", "B"),
            ("dvc config core.remote --local x", "x"),
        ] {
            assert_eq!(stray(line).as_deref(), Some(word), "{line}");
        }
    }
}
