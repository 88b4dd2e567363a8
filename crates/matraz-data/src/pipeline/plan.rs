//! Which stages a reproduction looks at, and in which order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::graph::Graph;
use crate::index::Index;
use crate::stage::PIPELINE_FILE;
use crate::stage::address::join;
use crate::{Error, Repo, Result};

/// How far a reproduction reaches from its targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The targets and what they need.
    #[default]
    Upstream,
    /// The targets alone, in the order in which they were given.
    Single,
    /// The targets and what depends on them.
    Downstream,
    /// The whole pipelines that hold the targets.
    Pipeline,
    /// All pipelines of the project.
    All,
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The folder in which the user stands.
    pub cwd: PathBuf,
    /// Stages, groups, `file:stage`, or the paths of `dvc.yaml` and `.dvc` files; none: the `dvc.yaml` of the folder.
    pub targets: Vec<String>,
    /// How far it reaches.
    pub reach: Reach,
    /// A folder stands for all stages that are defined below it.
    pub recursive: bool,
    /// Targets are patterns of stage names (`*`, `?`, `[…]`).
    pub glob: bool,
}

/// The stages to look at in their order, and who needs whom among them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of stages in the index.
    pub steps: Vec<usize>,
    /// The graph in which frozen stages need nothing; none when only the targets are asked for.
    pub graph: Option<Graph>,
    /// For each step the earlier ones that touch the same paths, by their places in `steps`: it must wait for them.
    pub after: Vec<Vec<usize>>,
}

impl Plan {
    /// The stages that stage `n` of the index reads outputs of, as far as the plan knows.
    pub(super) fn needs(&self, n: usize) -> &[usize] {
        self.graph.as_ref().map_or(&[], |graph| graph.needs(n))
    }
}

/// Finds the stages.
pub fn plan(repo: &Repo, index: &Index, request: &Request) -> Result<Plan> {
    let whole = Graph::build(&index.stages, &repo.root);
    let targets = match request.reach {
        Reach::All => Vec::new(),
        _ => targets(index, request)?,
    };
    if request.reach == Reach::Single {
        let after = match &whole {
            Ok(whole) => order(whole, &targets),
            // What is wrong with other stages is no matter; the given order holds.
            Err(_) => (0..targets.len()).map(|n| (0..n).collect()).collect(),
        };
        return Ok(Plan { steps: targets, graph: None, after });
    }
    let whole = whole?;
    let graph = whole.without_frozen(&index.stages);
    let steps = match request.reach {
        // Patterns that match nothing run nothing.
        _ if targets.is_empty() && request.glob && request.reach != Reach::All => Vec::new(),
        // A `dvc.yaml` without stages stands for the whole project, as in DVC.
        _ if targets.is_empty() => graph.upstream(&(0..graph.len()).collect::<Vec<_>>()),
        Reach::All => graph.upstream(&(0..graph.len()).collect::<Vec<_>>()),
        Reach::Downstream => graph.downstream(&targets),
        Reach::Pipeline => graph.pipelines_of(&targets),
        Reach::Upstream | Reach::Single => graph.upstream_in_order(&targets),
    };
    let after = order(&whole, &steps);
    Ok(Plan { steps, graph: Some(graph), after })
}

/// Two steps of which one reads what the other makes keep their order, also when it is not that of the graph: the user
/// may name targets in any order, and frozen stages need nothing.
fn order(whole: &Graph, steps: &[usize]) -> Vec<Vec<usize>> {
    let places: HashMap<usize, usize> =
        steps.iter().enumerate().map(|(place, &stage)| (stage, place)).collect();
    let mut after = vec![Vec::new(); steps.len()];
    for (place, &stage) in steps.iter().enumerate() {
        for maker in whole.needs(stage).iter().filter_map(|maker| places.get(maker).copied()) {
            after[place.max(maker)].push(place.min(maker));
        }
    }
    after
}

/// The stages that were asked for, in that order, each once.
pub fn targets(index: &Index, request: &Request) -> Result<Vec<usize>> {
    let default = [PIPELINE_FILE.to_owned()];
    let wanted = if request.targets.is_empty() { &default[..] } else { &request.targets[..] };
    let mut found: Vec<usize> = Vec::new();
    for target in wanted {
        for stage in one_target(index, request, target)? {
            if !found.contains(&stage) {
                found.push(stage);
            }
        }
    }
    Ok(found)
}

fn one_target(index: &Index, request: &Request, target: &str) -> Result<Vec<usize>> {
    let folder = join(&request.cwd, target);
    if request.recursive && folder.is_dir() {
        let below = |n: &usize| index.stages[*n].address.file.starts_with(&folder);
        return Ok((0..index.stages.len()).filter(below).collect());
    }
    if !request.glob {
        return index.find(target, &request.cwd);
    }
    let (file, pattern) = match target.rsplit_once(':') {
        Some((file, pattern)) => {
            (join(&request.cwd, if file.is_empty() { PIPELINE_FILE } else { file }), pattern)
        }
        None => (request.cwd.join(PIPELINE_FILE), target),
    };
    if !file.exists() {
        return Err(Error::NoSuchFile { path: file });
    }
    let glob = ignore::gitignore::GitignoreBuilder::new("/")
        .add_line(None, &format!("/{pattern}"))
        .and_then(|builder| builder.build())
        .map_err(|error| Error::BadPattern { pattern: pattern.to_owned(), reason: error.to_string() })?;
    let matches = |n: &usize| {
        let address = &index.stages[*n].address;
        let name = address.name.as_deref();
        address.file == file
            && name.is_some_and(|name| glob.matched(Path::new("/").join(name), false).is_ignore())
    };
    Ok((0..index.stages.len()).filter(matches).collect())
}
