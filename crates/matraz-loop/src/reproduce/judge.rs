//! Then and now.

use matraz_data::cache::{Cache, Object};
use matraz_data::compare::metrics;
use matraz_data::stage::address::join;
use matraz_data::{Digest, Index, Repo};

use super::{Compared, ComparedMetric, Ready, Report, Verdict};
use crate::error::Result;
use crate::record;
use crate::run::{DatasetUse, Run};

/// Names of files of a folder that are shown.
const SHOWN: usize = 5;

/// Compares what the pipeline made in the folder with what the run recorded. Metrics may differ by `tolerance`.
pub fn judge(
    repo: &Repo,
    ready: &Ready,
    run: &Run,
    tolerance: f64,
    failed: Option<String>,
) -> Result<Report> {
    let index = Index::load(&ready.repo)?;
    let mut now = indexmap::IndexMap::new();
    for file in metrics::load_from(&index)? {
        if let Ok(values) = &file.values {
            now.extend(record::metrics_of(values));
        }
    }
    let compared_metric = |(key, expected): (&String, &f64)| {
        let found = now.get(key).copied();
        let same = found.is_some_and(|found| close(*expected, found, tolerance));
        ComparedMetric { key: key.clone(), expected: *expected, found, same }
    };
    // Points of curves are not in metrics files, and what scripts log with a client is logged nowhere now.
    let logged: Vec<&String> = run.script_metrics().map(|(key, _)| key).collect();
    let in_file = |key: &String| now.contains_key(key) || !key.contains('/') && !logged.contains(&key);
    let recorded = run.metrics.iter().filter(|(key, _)| in_file(key));
    let metrics: Vec<ComparedMetric> = recorded.map(compared_metric).collect();
    let mut judge = Judge {
        ready,
        index: &index,
        then: Cache::open(repo),
        now: Cache::open(&ready.repo),
        tolerance,
        metrics: &metrics,
    };
    let data = run.datasets.iter().map(|item| judge.compare(item)).collect::<Result<Vec<_>>>()?;
    let same = failed.is_none() && data.iter().all(|one| one.same) && metrics.iter().all(|one| one.same);
    Ok(Report {
        run_id: run.id.clone(),
        run_name: run.name.clone(),
        commit: run.tag(crate::run::tag::COMMIT).map(str::to_owned),
        verdict: if same { Verdict::Identical } else { Verdict::Different },
        missing: Vec::new(),
        failed,
        environment: ready.environment.clone(),
        data,
        metrics,
    })
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance
}

struct Judge<'j> {
    ready: &'j Ready,
    index: &'j Index,
    then: Cache,
    now: Cache,
    tolerance: f64,
    metrics: &'j [ComparedMetric],
}

impl Judge<'_> {
    fn compare(&mut self, item: &DatasetUse) -> Result<Compared> {
        let path = join(&self.ready.repo.root, &item.name);
        let outs = self.index.stages.iter().flat_map(|stage| &stage.outs);
        let deps = self.index.stages.iter().flat_map(|stage| &stage.deps);
        let out = outs.clone().find(|out| out.path == path);
        let found = match (item.is_output(), out) {
            (true, Some(out)) => out.digest,
            _ => deps.clone().find(|dep| dep.path == path).and_then(|dep| dep.digest),
        };
        let text = found.map(|digest| digest.to_text());
        let mut same = text.as_deref() == Some(item.digest.as_str());
        let mut how = Vec::new();
        if let (false, Some(found), Some(expected)) = (same, found, Digest::parse(&item.digest)) {
            how = self.files(&expected, &found)?;
            // A metrics file is as good as its numbers.
            if self.tolerance > 0.0 && out.is_some_and(matraz_data::stage::Output::is_metric) {
                same = !self.metrics.is_empty() && self.metrics.iter().all(|metric| metric.same);
            }
        }
        Ok(Compared {
            path: item.name.clone(),
            made: item.is_output(),
            expected: item.digest.clone(),
            found: text,
            same,
            how,
        })
    }

    /// The files of a folder that differ; nothing for a file.
    fn files(&mut self, expected: &Digest, found: &Digest) -> Result<Vec<String>> {
        if !expected.is_dir() || !found.is_dir() {
            return Ok(Vec::new());
        }
        let trees = (self.then.tree(&Object::new(*expected))?, self.now.tree(&Object::new(*found))?);
        let (Some(then), Some(now)) = trees else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        for entry in then.entries() {
            match now.get(&entry.path) {
                None => lines.push(format!("{} is not there", entry.path)),
                Some(digest) if *digest != entry.digest => lines.push(format!("{} differs", entry.path)),
                Some(_) => {}
            }
        }
        let new = now.entries().iter().filter(|entry| then.get(&entry.path).is_none());
        lines.extend(new.map(|entry| format!("{} is new", entry.path)));
        if lines.len() > SHOWN + 1 {
            let more = lines.len() - SHOWN;
            lines.truncate(SHOWN);
            lines.push(format!("and {more} more files"));
        }
        Ok(lines)
    }
}
