//! Which stage needs which: an edge goes from a stage to each stage that makes something it reads.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::stage::{Source, Stage};
use crate::{Error, Result};

/// The graph of a project's stages, by their numbers in the index. It has no circles.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// What each stage needs, in the order in which the stage names it.
    needs: Vec<Vec<usize>>,
    /// Who needs each stage.
    needed_by: Vec<Vec<usize>>,
}

impl Graph {
    /// Finds the edges. Two stages that make the same path, outputs inside outputs, stage files inside outputs and
    /// circles are errors. `root` is that of the project.
    pub fn build(stages: &[Stage], root: &Path) -> Result<Self> {
        let outs = Outputs::collect(stages, root)?;
        let mut needs: Vec<Vec<usize>> = Vec::with_capacity(stages.len());
        for stage in stages {
            let mut mine: Vec<usize> = Vec::new();
            let local = stage.deps.iter().filter(|dep| dep.source == Source::Local).map(|dep| &dep.path);
            for path in local.chain(stage.params.iter().map(|params| &params.path)) {
                for maker in outs.makers(path) {
                    if !mine.contains(&maker) {
                        mine.push(maker);
                    }
                }
            }
            needs.push(mine);
        }
        let mut needed_by = vec![Vec::new(); stages.len()];
        for (stage, mine) in needs.iter().enumerate() {
            for &maker in mine {
                needed_by[maker].push(stage);
            }
        }
        let graph = Self { needs, needed_by };
        match graph.find_cycle() {
            Some(cycle) => Err(Error::Cycle {
                stages: cycle.into_iter().map(|n| stages[n].address.display(root)).collect(),
            }),
            None => Ok(graph),
        }
    }

    /// The same graph in which frozen stages need nothing.
    pub fn without_frozen(&self, stages: &[Stage]) -> Self {
        let mut graph = self.clone();
        for n in (0..stages.len()).filter(|&n| stages[n].frozen) {
            for maker in std::mem::take(&mut graph.needs[n]) {
                graph.needed_by[maker].retain(|&other| other != n);
            }
        }
        graph
    }

    /// How many stages there are.
    pub fn len(&self) -> usize {
        self.needs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// The stages whose outputs `stage` reads.
    pub fn needs(&self, stage: usize) -> &[usize] {
        &self.needs[stage]
    }

    /// The stages that read an output of `stage`.
    pub fn needed_by(&self, stage: usize) -> &[usize] {
        &self.needed_by[stage]
    }

    /// All of `starts` and what they need, each after what it needs.
    pub fn upstream(&self, starts: &[usize]) -> Vec<usize> {
        self.walk(starts, |stage| &self.needs[stage], None)
    }

    /// Like [`upstream`](Self::upstream); stages that do not need one another come in the order of the project's files,
    /// whatever the order of `starts`.
    pub fn upstream_in_order(&self, starts: &[usize]) -> Vec<usize> {
        let mut members = self.upstream(starts);
        members.sort_unstable();
        self.upstream(&members)
    }

    /// All of `starts` and what depends on them, each after what it needs.
    pub fn downstream(&self, starts: &[usize]) -> Vec<usize> {
        let members: HashSet<usize> =
            self.walk(starts, |stage| &self.needed_by[stage], None).into_iter().collect();
        let mut sorted: Vec<usize> = members.iter().copied().collect();
        sorted.sort_unstable();
        self.walk(&sorted, |stage| &self.needs[stage], Some(&members))
    }

    /// The whole pipelines that hold `starts`, each stage after what it needs.
    pub fn pipelines_of(&self, starts: &[usize]) -> Vec<usize> {
        let mut members: BTreeSet<usize> = BTreeSet::new();
        for pipeline in self.pipelines() {
            if starts.iter().any(|start| pipeline.contains(start)) {
                members.extend(pipeline);
            }
        }
        let members: Vec<usize> = members.into_iter().collect();
        self.upstream(&members)
    }

    /// The connected parts of the graph, each sorted.
    pub fn pipelines(&self) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.len()];
        let mut parts = Vec::new();
        for start in 0..self.len() {
            if seen[start] {
                continue;
            }
            let mut part = Vec::new();
            let mut pending = vec![start];
            seen[start] = true;
            while let Some(stage) = pending.pop() {
                part.push(stage);
                for &next in self.needs[stage].iter().chain(&self.needed_by[stage]) {
                    if !seen[next] {
                        seen[next] = true;
                        pending.push(next);
                    }
                }
            }
            part.sort_unstable();
            parts.push(part);
        }
        parts
    }

    /// Depth first, each after those that `next` names, without recursion.
    fn walk<'g>(
        &'g self,
        starts: &[usize],
        next: impl Fn(usize) -> &'g [usize],
        within: Option<&HashSet<usize>>,
    ) -> Vec<usize> {
        let mut seen = vec![false; self.len()];
        let mut order = Vec::new();
        for &start in starts {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let mut path = vec![(start, 0)];
            while let Some((stage, at)) = path.last_mut() {
                let stage = *stage;
                match next(stage).get(*at) {
                    Some(&child) => {
                        *at += 1;
                        if !seen[child] && within.is_none_or(|members| members.contains(&child)) {
                            seen[child] = true;
                            path.push((child, 0));
                        }
                    }
                    None => {
                        order.push(stage);
                        path.pop();
                    }
                }
            }
        }
        order
    }

    fn find_cycle(&self) -> Option<Vec<usize>> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.len()];
        for start in 0..self.len() {
            if marks[start] != Mark::New {
                continue;
            }
            marks[start] = Mark::Open;
            let mut path = vec![(start, 0)];
            while let Some((stage, at)) = path.last_mut() {
                let stage = *stage;
                match self.needs[stage].get(*at) {
                    None => {
                        marks[stage] = Mark::Done;
                        path.pop();
                    }
                    Some(&child) => {
                        *at += 1;
                        match marks[child] {
                            Mark::Done => {}
                            Mark::New => {
                                marks[child] = Mark::Open;
                                path.push((child, 0));
                            }
                            Mark::Open => {
                                let from = path.iter().position(|(n, _)| *n == child).unwrap_or(0);
                                return Some(path[from..].iter().map(|(n, _)| *n).collect());
                            }
                        }
                    }
                }
            }
        }
        None
    }
}

/// The outputs of all stages by path. Paths order by their components, so what lies below a folder follows it.
struct Outputs<'s>(BTreeMap<&'s Path, usize>);

impl<'s> Outputs<'s> {
    fn collect(stages: &'s [Stage], root: &Path) -> Result<Self> {
        let name = |n: usize| stages[n].address.display(root);
        let mut outs: BTreeMap<&Path, usize> = BTreeMap::new();
        for (n, stage) in stages.iter().enumerate() {
            for out in &stage.outs {
                if let Some(other) = outs.insert(&out.path, n) {
                    return Err(Error::DuplicateOutput {
                        path: out.path.clone(),
                        stages: vec![name(other), name(n)],
                    });
                }
            }
        }
        let outs = Self(outs);
        for (&path, &maker) in &outs.0 {
            if let Some((outer, outer_stage)) = path.parent().and_then(|parent| outs.around(parent)) {
                return Err(Error::OverlappingOutputs {
                    outer: outer.to_path_buf(),
                    outer_stage: name(outer_stage),
                    inner: path.to_path_buf(),
                    inner_stage: name(maker),
                });
            }
        }
        for (n, stage) in stages.iter().enumerate() {
            if let Some((output, _)) = outs.around(&stage.address.file) {
                return Err(Error::StageInsideOutput { stage: name(n), output: output.to_path_buf() });
            }
        }
        Ok(outs)
    }

    /// The output that is `path` or holds it.
    fn around(&self, path: &Path) -> Option<(&'s Path, usize)> {
        path.ancestors()
            .find_map(|ancestor| self.0.get_key_value(ancestor))
            .map(|(path, stage)| (*path, *stage))
    }

    /// The stages that make `path`, something around it, or something inside it.
    fn makers(&self, path: &PathBuf) -> Vec<usize> {
        let mut makers: Vec<usize> = self.around(path).map(|(_, stage)| stage).into_iter().collect();
        let below =
            self.0.range::<Path, _>((std::ops::Bound::Excluded(path.as_path()), std::ops::Bound::Unbounded));
        let around = makers.len();
        makers.extend(below.take_while(|(inner, _)| inner.starts_with(path)).map(|(_, stage)| *stage));
        // In the order in which the project's files name them.
        makers[around..].sort_unstable();
        makers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Address, Dependency, Output};

    /// `name: deps -> outs`
    fn stage(text: &str) -> Stage {
        let (name, rest) = text.split_once(':').unwrap();
        let (deps, outs) = rest.split_once("->").unwrap();
        let address = Address { file: "/p/dvc.yaml".into(), name: Some(name.to_owned()) };
        let mut stage = Stage::new(address, "/p".into());
        for dep in deps.split_whitespace() {
            let path = PathBuf::from("/p").join(dep);
            stage.deps.push(Dependency { path, def_path: dep.to_owned(), ..Dependency::default() });
        }
        for out in outs.split_whitespace() {
            stage.outs.push(Output::new(PathBuf::from("/p").join(out), out));
        }
        stage
    }

    fn build(lines: &[&str]) -> (Vec<Stage>, Result<Graph>) {
        let stages: Vec<Stage> = lines.iter().map(|line| stage(line)).collect();
        let graph = Graph::build(&stages, Path::new("/p"));
        (stages, graph)
    }

    fn names(stages: &[Stage], order: &[usize]) -> String {
        let names: Vec<_> = order.iter().map(|&n| stages[n].address.name.clone().unwrap()).collect();
        names.join(" ")
    }

    const DIAMOND: [&str; 6] =
        ["e: d f -> e", "d: b c -> d", "f: g -> f", "b: a -> b", "c: a -> c", "a: -> a"];

    #[test]
    fn stages_run_after_what_they_need() {
        let (stages, graph) = build(&DIAMOND);
        let graph = graph.unwrap();
        assert_eq!(names(&stages, &graph.upstream(&[1])), "a b c d");
        assert_eq!(names(&stages, &graph.upstream(&[0])), "a b c d f e");
        assert_eq!(names(&stages, &graph.downstream(&[3])), "b d e");
        assert_eq!(graph.pipelines().len(), 1);
        let (stages, graph) = build(&["x: -> x", "y: x -> y", "z: -> z"]);
        let graph = graph.unwrap();
        assert_eq!(names(&stages, &graph.pipelines_of(&[0])), "x y");
        assert_eq!(graph.pipelines(), [vec![0, 1], vec![2]]);
    }

    #[test]
    fn frozen_stages_are_cut_from_what_they_need() {
        let (mut stages, graph) = build(&DIAMOND);
        stages[1].frozen = true;
        let graph = graph.unwrap().without_frozen(&stages);
        assert_eq!(names(&stages, &graph.upstream(&[0])), "d f e");
        assert!(graph.needed_by(3).is_empty());
    }

    #[test]
    fn paths_inside_and_around_outputs_make_edges() {
        let (_, graph) =
            build(&["a: -> d/x", "b: -> big", "c: d big/part -> o", "d: dd -> p", "e: d-x -> q"]);
        let graph = graph.unwrap();
        assert_eq!(graph.needs(2), [0, 1]);
        assert!(graph.needs(3).is_empty() && graph.needs(4).is_empty());
    }

    #[test]
    fn impossible_graphs_are_refused() {
        let table: [(&[&str], &str); 5] = [
            (&["a: c -> a", "b: a -> b", "c: b -> c"], "Pipeline has a cycle involving: a, c, b"),
            (&["a: x -> x"], "cycle involving: a"),
            (&["a: -> x", "b: -> x"], "output '/p/x' is specified in: a, b"),
            (&["a: -> d", "b: -> d/x"], "the output paths '/p/d' (a) and '/p/d/x' (b) overlap"),
            (&["a: -> d", "b: -> dvc.yaml"], "a is within an output '/p/dvc.yaml'"),
        ];
        for (lines, message) in table {
            let error = build(lines).1.unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
