//! `explain`: why two runs differ, what most likely matters first: code, data, parameters, environment, seed, hardware.

mod code;
mod data;
mod parquet;
mod render;
mod table;

use matraz_data::Repo;
use serde::Serialize;

pub use table::{KeyChange, TableChange};

use crate::error::{Error, Result};
use crate::lineage::{self, Store};
use crate::reproduce;
use crate::run::{self, Run, tag};
use crate::tracker::Tracker;

/// What a difference is about, in the order in which it most likely matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// Files of the program.
    Code,
    /// What the run read.
    Data,
    /// Parameters.
    Params,
    /// Interpreters, packages and lock files.
    Environment,
    /// Parameters that seed what is random.
    Seed,
    /// The machine.
    Hardware,
}

impl About {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Code, Self::Data, Self::Params, Self::Environment, Self::Seed, Self::Hardware];

    /// As a heading.
    pub fn word(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Data => "data",
            Self::Params => "params",
            Self::Environment => "environment",
            Self::Seed => "seed",
            Self::Hardware => "hardware",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Change {
    /// What differs: a path, a parameter, a package.
    pub what: String,
    /// How it is in the first run; `None` when it is not there.
    pub old: Option<String>,
    /// How it is in the second run.
    pub new: Option<String>,
    /// More about it, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// Of a table: its rows, columns and keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableChange>,
}

/// All differences of one sort.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    /// The sort.
    pub about: About,
    /// The differences; none when it is the same.
    pub changes: Vec<Change>,
    /// Why it cannot be told, when that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// One of the runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// As it was asked for.
    pub asked: String,
    /// The run's id.
    pub run_id: String,
    /// The run's name.
    pub name: String,
    /// The commit.
    pub commit: Option<String>,
}

/// A metric of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricChange {
    /// Its key.
    pub key: String,
    /// In the first run.
    pub old: Option<f64>,
    /// In the second.
    pub new: Option<f64>,
}

/// Why two runs differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The first run.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// The metrics that differ.
    pub metrics: Vec<MetricChange>,
    /// What differs, sort by sort in the order of [`About`].
    pub sections: Vec<Section>,
}

/// Says why the second run differs from the first. `key` names the columns that tell the rows of a table apart.
pub fn explain(
    tracker: &Tracker,
    repo: Option<&Repo>,
    a: &str,
    b: &str,
    key: &[String],
) -> Result<Explanation> {
    let (first, second) = (find(tracker, a)?, find(tracker, b)?);
    let side = |asked: &str, run: &Run| Side {
        asked: asked.to_owned(),
        run_id: run.id.clone(),
        name: run.name.clone(),
        commit: run.tag(tag::COMMIT).map(str::to_owned),
    };
    let mut sections = vec![
        code::section(tracker, repo, &first, &second)?,
        data::section(repo, &first, &second, key)?,
        params(&first, &second, About::Params),
    ];
    let environments = (reproduce::environment(tracker, &first)?, reproduce::environment(tracker, &second)?);
    let (mut software, mut hardware) = (Vec::new(), Vec::new());
    let mut unknown = None;
    match environments {
        (Some(old), Some(new)) => {
            for difference in old.differences(&new) {
                let list = if difference.hardware { &mut hardware } else { &mut software };
                list.push(Change {
                    what: difference.what,
                    old: difference.old,
                    new: difference.new,
                    ..Change::default()
                });
            }
        }
        _ => unknown = Some("a run was recorded without its environment".to_owned()),
    }
    let hosts = (first.tag(tag::HOST), second.tag(tag::HOST));
    if hosts.0 != hosts.1 {
        let text = |host: Option<&str>| host.map(str::to_owned);
        hardware.insert(
            0,
            Change { what: "host".into(), old: text(hosts.0), new: text(hosts.1), ..Change::default() },
        );
    }
    sections.push(Section { about: About::Environment, changes: software, unknown: unknown.clone() });
    sections.push(params(&first, &second, About::Seed));
    sections.push(Section { about: About::Hardware, changes: hardware, unknown });
    sections.sort_by_key(|section| section.about);
    Ok(Explanation { a: side(a, &first), b: side(b, &second), metrics: metrics(&first, &second), sections })
}

/// The run that is meant, or that a model version was made of; of a run below a pipeline run the latter, which has all.
fn find(tracker: &Tracker, text: &str) -> Result<Run> {
    let store = Store::new(Some(tracker.client()));
    let id = tracker.wait(lineage::resolve_run(&store, text))?;
    let id = id.ok_or_else(|| Error::NoSubject { subject: text.to_owned() })?;
    let mut run = run::get(tracker, &id)?;
    while run.tag(tag::KIND) != Some("pipeline")
        && let Some(parent) = run.tag(tag::PARENT)
    {
        run = run::get(tracker, parent)?;
    }
    Ok(run)
}

fn is_seed(name: &str) -> bool {
    let name = name.to_lowercase();
    name.contains("seed") || name.contains("random_state")
}

fn params(a: &Run, b: &Run, about: About) -> Section {
    let mut names: Vec<&String> = a.params.keys().chain(b.params.keys()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| is_seed(name) == (about == About::Seed));
    let change = |name: &&String| {
        let (old, new) = (a.params.get(*name).cloned(), b.params.get(*name).cloned());
        (old != new).then(|| Change { what: (*name).clone(), old, new, ..Change::default() })
    };
    Section { about, changes: names.iter().filter_map(change).collect(), unknown: None }
}

fn metrics(a: &Run, b: &Run) -> Vec<MetricChange> {
    let mut keys: Vec<&String> = a.metrics.keys().collect();
    keys.extend(b.metrics.keys().filter(|key| !a.metrics.contains_key(*key)));
    let change = |key: &String| {
        let (old, new) = (a.metrics.get(key).copied(), b.metrics.get(key).copied());
        (old != new).then(|| MetricChange { key: key.clone(), old, new })
    };
    keys.into_iter().filter_map(change).collect()
}
