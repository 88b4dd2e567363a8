//! `params.yaml`: what a user turns to train another model.
//!
//! The file is read strictly: a key that means nothing or a value of the wrong type is an error that names the
//! file, the line and the key. A parameter that is misspelt would otherwise be a parameter without effect.

use std::path::Path;

use matraz_base::yaml::{self, Key, Node, NodeKind};
use matraz_base::{Place, Value};

use crate::error::Error;
use crate::forest::{ClassWeight, MAX_TREES, MaxFeatures, Settings};
use crate::table::read_text;

/// All parameters of the pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Share of the rows that cleaning may drop, 0 to 1.
    pub max_dropped: f64,
    /// Share of the rows that are kept for testing, between 0 and 1.
    pub test_size: f64,
    /// How to grow the forest. Its seed also decides the split.
    pub forest: Settings,
}

/// Every parameter and what it must be, in the order of the example's file.
const PARAMETERS: [(&str, &str); 8] = [
    ("max_dropped", "a number from 0 to 1"),
    ("test_size", "a number between 0 and 1"),
    ("seed", "a whole number, 0 or more"),
    ("n_estimators", "a whole number from 1 to 100000"),
    ("max_depth", "a whole number from 1 to 1000, or null for no limit"),
    ("min_samples_leaf", "a whole number, 1 or more"),
    ("max_features", "one of sqrt, log2, all"),
    ("class_weight", "one of balanced, none"),
];

impl Params {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(path, &read_text(path)?)
    }

    /// Reads the text of a parameter file; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let document = yaml::parse(text).map_err(|error| Error::ParamsSyntax {
            place: Box::new(Place::at(path, text, error.line, error.column, error.width)),
            message: error.message,
        })?;
        let nothing = Vec::new();
        let entries = match &document.kind {
            NodeKind::Map(entries) => entries,
            NodeKind::Scalar(Value::Null) => &nothing,
            _ => {
                return Err(Error::ParamsSyntax {
                    place: Box::new(Place::at(path, text, document.span.line, document.span.column, 1)),
                    message: format!("it must hold `name: value` lines, not a {}", document.type_name()),
                });
            }
        };
        let file = File { path, text, entries };
        for (key, _) in entries {
            if !PARAMETERS.iter().any(|(name, _)| *name == key.text) {
                return Err(Error::UnknownParameter {
                    place: file.place(key.span),
                    key: key.text.clone(),
                    known: PARAMETERS.iter().map(|(name, _)| *name).collect(),
                });
            }
        }
        Ok(Self {
            max_dropped: file.number("max_dropped", |share| (0.0..=1.0).contains(&share))?,
            test_size: file.number("test_size", |share| share > 0.0 && share < 1.0)?,
            forest: Settings {
                seed: file.whole("seed", 0, i64::MAX)? as u64,
                n_estimators: file.whole("n_estimators", 1, MAX_TREES as i64)? as usize,
                max_depth: match file.get("max_depth")?.1 {
                    node if node.is_null() => None,
                    _ => Some(file.whole("max_depth", 1, 1000)? as usize),
                },
                min_samples_leaf: file.whole("min_samples_leaf", 1, i64::MAX)? as usize,
                max_features: file.word(
                    "max_features",
                    &[("sqrt", MaxFeatures::Sqrt), ("log2", MaxFeatures::Log2), ("all", MaxFeatures::All)],
                )?,
                class_weight: file.word(
                    "class_weight",
                    &[("balanced", ClassWeight::Balanced), ("none", ClassWeight::None)],
                )?,
            },
        })
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    entries: &'a [(Key, Node)],
}

impl File<'_> {
    fn place(&self, span: yaml::Span) -> Box<Place> {
        Box::new(Place::at(self.path, self.text, span.line, span.column, span.width(self.text)))
    }

    /// What the parameter must be, and its value.
    fn get(&self, name: &'static str) -> Result<(&'static str, &Node), Error> {
        let expected =
            PARAMETERS.iter().find(|(known, _)| *known == name).map_or("", |(_, expected)| expected);
        match self.entries.iter().find(|(key, _)| key.text == name) {
            Some((_, node)) => Ok((expected, node)),
            None => {
                Err(Error::MissingParameter { place: Box::new(Place::file(self.path)), key: name, expected })
            }
        }
    }

    /// The value as `read` understands it.
    fn value<T>(&self, name: &'static str, read: impl FnOnce(&Value) -> Option<T>) -> Result<T, Error> {
        let (expected, node) = self.get(name)?;
        let value = node.to_value();
        read(&value).ok_or_else(|| Error::BadParameter {
            place: self.place(node.span),
            key: name,
            expected,
            found: match value {
                Value::List(_) | Value::Map(_) => format!("a {}", value.type_name()),
                Value::Null => "null".to_owned(),
                scalar => format!("`{scalar}`"),
            },
        })
    }

    fn number(&self, name: &'static str, admitted: impl FnOnce(f64) -> bool) -> Result<f64, Error> {
        self.value(name, |value| value.as_f64().filter(|number| admitted(*number)))
    }

    fn whole(&self, name: &'static str, least: i64, most: i64) -> Result<i64, Error> {
        self.value(name, |value| match value {
            Value::Int(number) if (least..=most).contains(number) => Some(*number),
            _ => None,
        })
    }

    fn word<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Result<T, Error> {
        self.value(name, |value| {
            words.iter().find(|(word, _)| value.as_str() == Some(word)).map(|(_, meaning)| *meaning)
        })
    }
}

#[cfg(test)]
mod tests {
    use matraz_base::Explain;

    use super::*;

    const FILE: &str = "# how to split\nmax_dropped: 0.1\ntest_size: 0.3\nseed: 42\nn_estimators: 300\n\
        max_depth: 12\nmin_samples_leaf: 1\nmax_features: sqrt\nclass_weight: balanced\n";

    fn parse(text: &str) -> Result<Params, Error> {
        Params::parse(Path::new("params.yaml"), text)
    }

    #[test]
    fn the_example_file_is_understood() {
        let params = parse(FILE).unwrap();
        assert_eq!(params.test_size, 0.3);
        assert_eq!(params.forest.n_estimators, 300);
        assert_eq!(params.forest.max_depth, Some(12));
        assert_eq!(params.forest.class_weight, ClassWeight::Balanced);
        assert_eq!(parse(&FILE.replace("12", "null")).unwrap().forest.max_depth, None);
    }

    #[test]
    fn faults_name_the_key_and_the_line() {
        let cases = [
            (
                "n_estimators: 300",
                "n_estimators: many",
                "parameter `n_estimators` must be a whole number from 1 to 100000, not `many`",
                5,
            ),
            ("n_estimators: 300", "n_estimators: 0", "not `0`", 5),
            ("n_estimators: 300", "n_estimators: 300.5", "not `300.5`", 5),
            ("n_estimators: 300", "n_estimators: [1, 2]", "not a list", 5),
            ("n_estimators: 300", "n_trees: 300", "unknown parameter `n_trees`", 5),
            ("n_estimators: 300\n", "", "params.yaml lacks the parameter `n_estimators`", 0),
            ("test_size: 0.3", "test_size: 1", "parameter `test_size` must be a number between 0 and 1", 3),
            ("test_size: 0.3", "test_size: .nan", "parameter `test_size`", 3),
            ("sqrt", "half", "must be one of sqrt, log2, all, not `half`", 8),
            ("balanced", "null", "must be one of balanced, none, not null", 9),
            ("seed: 42", "seed: -1", "must be a whole number, 0 or more", 4),
            ("max_depth: 12", "max_depth: '12'", "not `12`", 6),
            ("seed: 42", "seed: [42", "params.yaml is not valid YAML", 5),
        ];
        for (good, bad, message, line) in cases {
            let error = parse(&FILE.replace(good, bad)).unwrap_err();
            assert!(error.to_string().contains(message), "{error} should say {message}");
            let place = error.place().unwrap();
            assert_eq!(place.path, Path::new("params.yaml"));
            assert!(place.line == line || message.contains("YAML"), "{bad}: line {}", place.line);
        }
        assert!(parse("").is_err());
        assert!(parse("- 1\n").unwrap_err().to_string().contains("not a list"));
    }
}
