//! What of the cache the tracking store still needs: the data behind runs, model versions and aliases.
//!
//! A deployment serves a version, under an alias or by its number; the versions' roots are its roots.

use indexmap::IndexMap;
use matraz_data::Digest;
use matraz_data::cache::Object;
use matraz_data::cache::gc::Root;

use crate::error::Result;
use crate::lineage::Store;
use crate::run::{Run, tag};
use crate::tracker::Tracker;

/// Collects the roots. Without `runs` only those of model versions.
pub fn collect(tracker: &Tracker, runs: bool) -> Result<Vec<Root>> {
    tracker.wait(async {
        let store = Store::new(Some(tracker.client()));
        let mut roots: IndexMap<Object, String> = IndexMap::new();
        let mut by_run: IndexMap<String, String> = IndexMap::new();
        for version in store.versions().await? {
            let name = match version.aliases.first() {
                Some(alias) => format!("models:/{}@{alias}", version.model),
                None => format!("models:/{}/{}", version.model, version.version),
            };
            if !version.run_id.is_empty() {
                // An alias says more than a number.
                let known = by_run.entry(version.run_id.clone()).or_insert_with(|| name.clone());
                if name.contains('@') && !known.contains('@') {
                    *known = name;
                }
            }
        }
        let ids: Vec<String> = by_run.keys().cloned().collect();
        let mut registered = store.runs_of(&ids).await?;
        // A version of a script's run, or of a stage's, is a version of the pipeline above it.
        for _ in 0..3 {
            let above: Vec<(String, String)> = registered
                .iter()
                .filter_map(|run| Some((run.tag(tag::PARENT)?.to_owned(), by_run.get(&run.id)?.clone())))
                .filter(|(parent, _)| !by_run.contains_key(parent))
                .collect();
            let parents: Vec<String> = above.iter().map(|(parent, _)| parent.clone()).collect();
            by_run.extend(above);
            registered.extend(store.runs_of(&parents).await?);
        }
        let mut add = |run: &Run, why: &str| {
            for item in &run.datasets {
                let Some(digest) = Digest::parse(&item.digest) else { continue };
                for legacy in [false, true] {
                    roots.entry(Object { digest, legacy }).or_insert_with(|| format!("{why}: {}", item.name));
                }
            }
        };
        for run in &registered {
            add(run, by_run.get(&run.id).map_or("a model version", String::as_str));
        }
        if runs {
            for run in store.runs("").await? {
                add(&run, &format!("run {}", run.name));
            }
        }
        Ok(roots.into_iter().map(|(object, why)| Root { object, why }).collect())
    })
}
