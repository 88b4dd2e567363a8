//! Changes how the plots of stages are drawn.

use std::path::{Path, PathBuf};

use matraz_base::Map;

use super::template::Template;
use crate::index::Index;
use crate::pipeline::Graph;
use crate::stage::{OutputKind, PlotProps, Stage, edit};
use crate::{Error, Repo, Result};

/// Gives the output at `path` display properties and takes others away; an output that is no plot becomes one. Returns
/// the file that was written.
pub fn modify(repo: &Repo, path: &Path, set: &Map, unset: Option<&[String]>, cwd: &Path) -> Result<PathBuf> {
    if let Some(name) = set.get("template").and_then(|value| value.as_str()) {
        Template::find(name, Some(&repo.dvc_dir().join("plots")), cwd)?;
    }
    let mut index = Index::load(repo)?;
    Graph::build(&index.stages, &repo.root)?;
    let unknown = || Error::NoSuchOutput { path: path.to_path_buf() };
    let has = |stage: &Stage| stage.outs.iter().any(|out| out.path == path);
    let stage = index.stages.iter_mut().find(|stage| has(stage)).ok_or_else(unknown)?;
    let out = stage.outs.iter_mut().find(|out| out.path == path).ok_or_else(unknown)?;
    let mut props = match &out.kind {
        OutputKind::Plot(PlotProps(props)) => props.clone(),
        _ if unset.is_some() => return Err(Error::NotAPlot { path: path.to_path_buf() }),
        _ => Map::new(),
    };
    for name in unset.unwrap_or_default() {
        if props.shift_remove(name).is_none() {
            return Err(Error::NoPlotProperty { property: name.clone(), path: path.to_path_buf() });
        }
    }
    props.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
    out.kind = OutputKind::Plot(PlotProps(props));
    edit::save(stage)?;
    Ok(stage.address.file.clone())
}
