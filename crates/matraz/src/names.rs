//! Which of the three tools the program was called as.

use std::ffi::OsString;
use std::path::Path;

/// The command-line grammar to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Matraz's own.
    Matraz,
    /// DVC's.
    Dvc,
    /// MLflow's.
    Mlflow,
}

impl Grammar {
    /// The program name that users type for it.
    pub fn program(self) -> &'static str {
        match self {
            Self::Matraz => "matraz",
            Self::Dvc => "dvc",
            Self::Mlflow => "mlflow",
        }
    }
}

/// The version of DVC whose behaviour the `dvc` grammar follows.
pub const DVC_VERSION: &str = "3.67.1";
/// The version of MLflow whose behaviour the `mlflow` grammar follows.
pub const MLFLOW_VERSION: &str = "3.18.0";

/// What `--version` prints: each tool in its own form.
pub fn version_line(grammar: Grammar) -> String {
    match grammar {
        Grammar::Matraz => format!("matraz {}", env!("CARGO_PKG_VERSION")),
        Grammar::Dvc => DVC_VERSION.to_owned(),
        Grammar::Mlflow => format!("mlflow, version {MLFLOW_VERSION}"),
    }
}

/// Picks the grammar by the name of the program or by the first word, and drops that word.
pub fn grammar(mut arguments: Vec<OsString>) -> (Grammar, Vec<OsString>) {
    let called = arguments.first().map(Path::new).and_then(Path::file_stem).and_then(|name| name.to_str());
    let by_name = match called {
        Some("dvc") => Some(Grammar::Dvc),
        Some("mlflow") => Some(Grammar::Mlflow),
        _ => None,
    };
    if let Some(grammar) = by_name {
        return (grammar, arguments);
    }
    let by_word = match arguments.get(1).and_then(|word| word.to_str()) {
        Some("dvc") => Grammar::Dvc,
        Some("mlflow") => Grammar::Mlflow,
        _ => return (Grammar::Matraz, arguments),
    };
    arguments.remove(0);
    (by_word, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_or_the_first_word_decides() {
        let table: [(&[&str], Grammar, usize); 5] = [
            (&["/usr/bin/matraz", "add", "x"], Grammar::Matraz, 3),
            (&["/usr/bin/dvc", "add", "x"], Grammar::Dvc, 3),
            (&["mlflow.exe", "ui"], Grammar::Mlflow, 2),
            (&["matraz", "dvc", "add"], Grammar::Dvc, 2),
            (&["matraz", "mlflow"], Grammar::Mlflow, 1),
        ];
        for (words, expected, left) in table {
            let (found, rest) = grammar(words.iter().map(OsString::from).collect());
            assert_eq!((found, rest.len()), (expected, left), "{words:?}");
        }
    }
}
