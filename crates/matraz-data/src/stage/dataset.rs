//! `datasets` of `dvc.yaml` and `dvc.lock`: named data that stages depend on by `ds://NAME`. What a lock file says of one
//! counts as long as `dvc.yaml` says the same as when it was locked.

use matraz_base::{Map, Value};

/// The scheme of a dependency on a dataset.
pub const SCHEME: &str = "ds://";

/// Where the data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A path of a git or DVC repository.
    Dvc,
    /// A dataset of DataChain.
    DataChain,
    /// An address.
    Url,
}

impl Kind {
    /// The word of the files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dvc => "dvc",
            Self::DataChain => "dc",
            Self::Url => "url",
        }
    }
}

/// A dataset as `dvc.yaml` defines it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its name, one in the project.
    pub name: String,
    /// The repository, the address, or the name in DataChain.
    pub url: String,
    /// Where the data are.
    pub kind: Kind,
    /// The path in the repository; empty for all of it.
    pub path: String,
    /// The revision of the repository that is followed.
    pub rev: Option<String>,
}

impl Dataset {
    /// Reads an entry of either file. The error says what is wrong with it.
    pub fn read(entry: &Value) -> Result<Self, String> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        let needed = |key: &str| text(key).ok_or_else(|| format!("a dataset has no `{key}`"));
        let kind = match needed("type")?.as_str() {
            "dvc" => Kind::Dvc,
            "dc" => Kind::DataChain,
            "url" => Kind::Url,
            other => return Err(format!("unknown dataset type: {other}")),
        };
        let of_repo = |key: &str| if kind == Kind::Dvc { text(key) } else { None };
        Ok(Self {
            name: needed("name")?,
            url: needed("url")?,
            kind,
            path: of_repo("path").unwrap_or_default(),
            rev: of_repo("rev"),
        })
    }

    /// The entry in the order of DVC's keys.
    pub fn to_map(&self) -> Map {
        let mut map = Map::new();
        let mut put = |key: &str, text: &str| map.insert(key.to_owned(), Value::Str(text.to_owned()));
        put("name", &self.name);
        put("url", &self.url);
        put("type", self.kind.word());
        if !self.path.is_empty() {
            put("path", &self.path);
        }
        if let Some(rev) = &self.rev {
            put("rev", rev);
        }
        map
    }

    /// What a lock file's entry says, without keys that mean nothing; none when it lacks what makes it one.
    pub fn lock_of(entry: &Value) -> Option<Map> {
        let dataset = Self::read(entry).ok()?;
        let mut map = dataset.to_map();
        let (needed, other): (&[&str], &[&str]) = match dataset.kind {
            Kind::Dvc => (&["rev_lock"], &[]),
            Kind::DataChain => (&["version", "created_at"], &[]),
            Kind::Url => (&["meta"], &["files"]),
        };
        for key in needed {
            map.insert((*key).to_owned(), entry.get(key)?.clone());
        }
        for key in other {
            map.extend(entry.get(key).map(|value| ((*key).to_owned(), value.clone())));
        }
        Some(map)
    }

    /// How it stands against the entry of the lock file.
    pub fn standing(&self, locked: Option<&Value>) -> Standing {
        match locked.and_then(|entry| Some((Self::read(entry).ok()?, Self::lock_of(entry)?))) {
            None => Standing::NotLocked,
            Some((then, _)) if then != *self => Standing::OutOfStep,
            Some((_, lock)) => Standing::Locked(lock),
        }
    }
}

/// How a dataset stands that a stage depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Standing {
    /// No `dvc.yaml` defines it.
    #[default]
    Unknown,
    /// The lock file does not have it.
    NotLocked,
    /// `dvc.yaml` was changed since it was locked.
    OutOfStep,
    /// What the lock file says.
    Locked(Map),
}

/// The name in the entry of a dataset.
pub(crate) fn name_in(entry: &Value) -> Option<&str> {
    entry.get("name").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        matraz_base::yaml::parse(text).unwrap().to_value()
    }

    #[test]
    fn a_lock_counts_while_the_definition_stays() {
        let dataset = Dataset::read(&value("{name: a, url: ../r, type: dvc, path: d}")).unwrap();
        let lock = value("{name: a, url: ../r, type: dvc, path: d, rev_lock: abc, more: 1}");
        let Standing::Locked(map) = dataset.standing(Some(&lock)) else { panic!("{dataset:?}") };
        assert_eq!(map.keys().collect::<Vec<_>>(), ["name", "url", "type", "path", "rev_lock"]);
        let moved = Dataset { rev: Some("v1".into()), ..dataset.clone() };
        assert_eq!(moved.standing(Some(&lock)), Standing::OutOfStep);
        assert_eq!(dataset.standing(Some(&value("{name: a}"))), Standing::NotLocked);
        assert_eq!(dataset.standing(None), Standing::NotLocked);
        assert_eq!(
            Dataset::read(&value("{name: a, url: b, type: c}")),
            Err("unknown dataset type: c".into())
        );
    }
}
