//! The graph of a project as people see it: stages or outputs by name, in several notations.

use std::collections::BTreeSet;
use std::path::Path;

use super::graph::Graph;
use crate::index::Index;
use crate::stage::Source;
use crate::stage::address::relative;
use crate::target::{self, TargetOptions};
use crate::{Repo, Result};

/// What is shown.
#[derive(Clone, Debug, Default)]
pub struct DagOptions {
    /// A stage or output; with it only what it needs is shown.
    pub target: Option<String>,
    /// The whole pipeline of the target.
    pub full: bool,
    /// Outputs instead of stages.
    pub outs: bool,
    /// Each `foreach` or `matrix` group as one node.
    pub collapse: bool,
}

/// Names and who needs whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dag {
    /// The names, in the order of the project's files.
    pub nodes: Vec<String>,
    /// From what is needed to what needs it, by number.
    pub edges: Vec<(usize, usize)>,
}

/// The graph of the project as seen from the folder `cwd`.
pub fn dag(repo: &Repo, index: &Index, options: &DagOptions, cwd: &Path) -> Result<Dag> {
    let graph = Graph::build(&index.stages, &repo.root)?;
    let selected = match &options.target {
        None => Vec::new(),
        Some(target) => {
            target::select(repo, index, std::slice::from_ref(target), TargetOptions::default(), cwd)?
        }
    };
    let (mut dag, starts) = if options.outs {
        let dag = outputs(index, cwd);
        let names: Vec<String> = selected
            .iter()
            .flat_map(|selection| selection.outputs(index))
            .map(|out| relative(&out.path, cwd))
            .collect();
        let starts: Vec<usize> = (0..dag.nodes.len()).filter(|&n| names.contains(&dag.nodes[n])).collect();
        (dag, starts)
    } else {
        let nodes = index.stages.iter().map(|stage| stage.address.display(cwd)).collect();
        let edges =
            (0..graph.len()).flat_map(|n| graph.needs(n).iter().map(move |&need| (need, n))).collect();
        (Dag { nodes, edges }, selected.iter().map(|selection| selection.stage).collect())
    };
    if options.target.is_some() {
        dag = dag.around(&starts, options.full);
    }
    Ok(if options.collapse { dag.collapsed() } else { dag })
}

fn outputs(index: &Index, cwd: &Path) -> Dag {
    let all: Vec<_> = index
        .stages
        .iter()
        .enumerate()
        .flat_map(|(n, stage)| stage.outs.iter().map(move |out| (n, out.path.as_path())))
        .collect();
    let mut edges = Vec::new();
    for (n, stage) in index.stages.iter().enumerate() {
        for dep in stage.deps.iter().filter(|dep| dep.source == Source::Local) {
            for (from, (_, path)) in all.iter().enumerate() {
                if dep.path.starts_with(path) || path.starts_with(&dep.path) {
                    let made = all.iter().enumerate().filter(|(_, (maker, _))| *maker == n);
                    edges.extend(made.map(|(to, _)| (from, to)));
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    edges.retain(|edge| seen.insert(*edge));
    Dag { nodes: all.iter().map(|(_, path)| relative(path, cwd)).collect(), edges }
}

impl Dag {
    /// What the nodes need, or with `full` all that is connected to them.
    fn around(&self, starts: &[usize], full: bool) -> Self {
        let mut keep: BTreeSet<usize> = starts.iter().copied().collect();
        loop {
            let before = keep.len();
            for &(from, to) in &self.edges {
                if keep.contains(&to) {
                    keep.insert(from);
                }
                if full && keep.contains(&from) {
                    keep.insert(to);
                }
            }
            if keep.len() == before {
                break;
            }
        }
        let kept: Vec<usize> = keep.into_iter().collect();
        self.only(&kept)
    }

    fn only(&self, kept: &[usize]) -> Self {
        let place = |n: usize| kept.binary_search(&n).ok();
        Self {
            nodes: kept.iter().map(|&n| self.nodes[n].clone()).collect(),
            edges: self.edges.iter().filter_map(|&(a, b)| Some((place(a)?, place(b)?))).collect(),
        }
    }

    fn collapsed(&self) -> Self {
        let group = |name: &str| match name.split_once('@') {
            Some((group, _)) if !name.ends_with(".dvc") => group.to_owned(),
            _ => name.to_owned(),
        };
        let mut nodes: Vec<String> = Vec::new();
        let mut place = Vec::new();
        for node in &self.nodes {
            let name = group(node);
            let at = nodes.iter().position(|known| *known == name).unwrap_or_else(|| {
                nodes.push(name);
                nodes.len() - 1
            });
            place.push(at);
        }
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for &(from, to) in &self.edges {
            let edge = (place[from], place[to]);
            if edge.0 != edge.1 && !edges.contains(&edge) {
                edges.push(edge);
            }
        }
        Self { nodes, edges }
    }

    /// The connected parts, each a sorted list of nodes, in the order of their first nodes.
    fn parts(&self) -> Vec<Vec<usize>> {
        let mut part: Vec<usize> = (0..self.nodes.len()).collect();
        for _ in 0..self.nodes.len() {
            let mut changed = false;
            for &(a, b) in &self.edges {
                let least = part[a].min(part[b]);
                changed |= part[a] != least || part[b] != least;
                part[a] = least;
                part[b] = least;
            }
            if !changed {
                break;
            }
        }
        let mut parts: Vec<Vec<usize>> = Vec::new();
        for leader in 0..self.nodes.len() {
            let members: Vec<usize> = (0..self.nodes.len()).filter(|&n| part[n] == leader).collect();
            if !members.is_empty() {
                parts.push(members);
            }
        }
        parts
    }

    /// Graphviz's notation.
    pub fn to_dot(&self) -> String {
        let quote = |n: usize| format!("\"{}\"", self.nodes[n].replace('"', "\\\""));
        let mut text = String::from("strict digraph {\n");
        for n in 0..self.nodes.len() {
            text.push_str(&format!("{};\n", quote(n)));
        }
        for &(from, to) in &self.edges {
            text.push_str(&format!("{} -> {};\n", quote(from), quote(to)));
        }
        text.push_str("}\n");
        text
    }

    /// Mermaid's notation.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart TD");
        let mut total = 0;
        for part in self.parts() {
            let mut named: Vec<(&str, usize)> = part.iter().map(|&n| (self.nodes[n].as_str(), n)).collect();
            named.sort_unstable();
            let mut id = vec![0; self.nodes.len()];
            for (name, n) in &named {
                total += 1;
                id[*n] = total;
                text.push_str(&format!("\n\tnode{total}[\"{name}\"]"));
            }
            let mut edges: Vec<(&str, &str, usize, usize)> = self
                .edges
                .iter()
                .filter(|(a, _)| part.contains(a))
                .map(|&(a, b)| (self.nodes[a].as_str(), self.nodes[b].as_str(), id[a], id[b]))
                .collect();
            edges.sort_unstable();
            for (_, _, from, to) in edges {
                text.push_str(&format!("\n\tnode{from}-->node{to}"));
            }
        }
        text
    }

    /// Boxes with lines between them, for a terminal.
    pub fn to_boxes(&self) -> String {
        let drawn: Vec<String> = self.parts().iter().map(|part| self.only(part).draw()).collect();
        drawn.concat()
    }

    /// One node below the other, in the columns in which DVC has them.
    fn draw_chain(&self, layer: &[usize]) -> String {
        let width_of = |n: usize| self.nodes[n].chars().count() + 4;
        let widest = (0..self.nodes.len()).map(width_of).max().unwrap_or(0);
        // Python rounds a half to the even neighbour.
        let half = |width: usize| (width / 2) + usize::from(width % 4 == 3);
        let middle = half(widest);
        let mut canvas = Canvas(vec![vec![' '; widest + 1]; layer.len() * 6 - 3]);
        for &(from, to) in &self.edges {
            canvas.line((middle, layer[from] * 6 + 3), (middle, layer[to] * 6 - 1));
        }
        for (n, name) in self.nodes.iter().enumerate() {
            canvas.text(half(widest - width_of(n)), layer[n] * 6, name);
        }
        canvas.finish()
    }

    /// One connected part: layers from top to bottom, each node below all that it needs.
    fn draw(&self) -> String {
        let count = self.nodes.len();
        let mut layer = vec![0; count];
        for _ in 0..count {
            for &(from, to) in &self.edges {
                layer[to] = layer[to].max(layer[from] + 1);
            }
        }
        let depth = layer.iter().max().map_or(0, |deepest| deepest + 1);
        let width_of = |n: usize| self.nodes[n].chars().count() + 4;
        let rows_of_one = depth == count && self.edges.len() + 1 == count;
        if rows_of_one {
            return self.draw_chain(&layer);
        }
        let mut center = vec![0usize; count];
        let mut width = 0;
        for at in 0..depth {
            // Nodes stand near the middle of what they need.
            let wish = |n: usize| {
                let needs = self.edges.iter().filter(|(_, to)| *to == n);
                let above: Vec<usize> = needs.map(|(from, _)| center[*from]).collect();
                above.iter().sum::<usize>() / above.len().max(1)
            };
            let mut row: Vec<(usize, usize)> =
                (0..count).filter(|&n| layer[n] == at).map(|n| (wish(n), n)).collect();
            row.sort_unstable();
            let total = row.iter().map(|(_, n)| width_of(*n) + GAP).sum::<usize>() - GAP;
            let middle = row.iter().map(|(wish, _)| wish).sum::<usize>() / row.len();
            let mut left = middle.saturating_sub(total / 2);
            for (_, n) in row {
                center[n] = left + width_of(n) / 2;
                left += width_of(n) + GAP;
            }
            width = width.max(left);
        }
        let line_of = |n: usize| layer[n] * 6;
        let mut canvas = Canvas(vec![vec![' '; width + 1]; depth * 6 - 3]);
        for &(from, to) in &self.edges {
            canvas.line((center[from], line_of(from) + 3), (center[to], line_of(to) - 1));
        }
        for (n, name) in self.nodes.iter().enumerate() {
            canvas.text(center[n] - width_of(n) / 2, line_of(n), name);
        }
        canvas.finish()
    }
}

/// Columns between boxes.
const GAP: usize = 3;

struct Canvas(Vec<Vec<char>>);

impl Canvas {
    fn line(&mut self, (from, top): (usize, usize), (to, bottom): (usize, usize)) {
        let steps = bottom.saturating_sub(top).max(1);
        for (step, row) in self.0[top..=bottom].iter_mut().enumerate() {
            let x = if to >= from {
                from + (to - from) * step / steps
            } else {
                from - (from - to) * step / steps
            };
            row[x] = '*';
        }
    }

    /// A box with text in it; `left` and `top` are those of its corner.
    fn text(&mut self, left: usize, top: usize, text: &str) {
        let wide = text.chars().count() + 2;
        let edge = format!("+{}+", "-".repeat(wide));
        for (dy, line) in [edge.clone(), format!("| {text} |"), edge].into_iter().enumerate() {
            for (dx, letter) in line.chars().enumerate() {
                self.0[top + dy][left + dx] = letter;
            }
        }
    }

    fn finish(self) -> String {
        let line = |row: Vec<char>| format!("{}\n", row.into_iter().collect::<String>().trim_end());
        self.0.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Dag {
        let nodes = ["in.dvc", "a", "b", "c", "alone"].map(str::to_owned).to_vec();
        Dag { nodes, edges: vec![(0, 1), (1, 2), (1, 3), (2, 3)] }
    }

    #[test]
    fn notations() {
        let dag = example();
        assert_eq!(
            dag.to_mermaid(),
            "flowchart TD\n\tnode1[\"a\"]\n\tnode2[\"b\"]\n\tnode3[\"c\"]\n\tnode4[\"in.dvc\"]\n\tnode1-->node2\n\t\
             node1-->node3\n\tnode2-->node3\n\tnode4-->node1\n\tnode5[\"alone\"]"
        );
        assert!(dag.to_dot().contains("\"b\" -> \"c\";\n"));
        let quoted = Dag { nodes: vec!["a\"b".to_owned()], edges: Vec::new() };
        assert!(quoted.to_dot().contains("\"a\\\"b\";\n"));
    }

    #[test]
    fn a_target_keeps_what_it_needs() {
        let dag = example();
        assert_eq!(dag.around(&[2], false).nodes, ["in.dvc", "a", "b"]);
        assert_eq!(dag.around(&[2], true).nodes, ["in.dvc", "a", "b", "c"]);
    }

    #[test]
    fn groups_collapse_to_one_node() {
        let nodes = ["t", "f@1", "f@2", "u", "x@1.dvc"].map(str::to_owned).to_vec();
        let dag = Dag { nodes, edges: vec![(0, 1), (0, 2), (1, 3), (2, 3)] }.collapsed();
        assert_eq!(
            dag,
            Dag {
                nodes: ["t", "f", "u", "x@1.dvc"].map(str::to_owned).to_vec(),
                edges: vec![(0, 1), (1, 2)]
            }
        );
    }

    #[test]
    fn boxes_stand_below_what_they_need() {
        let boxes = |nodes: &[&str], edges: &[(usize, usize)]| {
            let nodes = nodes.iter().map(|name| (*name).to_owned()).collect();
            Dag { nodes, edges: edges.to_vec() }.to_boxes()
        };
        assert_eq!(
            boxes(&["a", "bb"], &[(0, 1)]),
            "+---+\n| a |\n+---+\n   *\n   *\n   *\n+----+\n| bb |\n+----+\n"
        );
        // As DVC draws them.
        assert_eq!(
            boxes(&["in.dvc", "a", "z"], &[(0, 1)]),
            "+--------+\n| in.dvc |\n+--------+\n     *\n     *\n     *\n  +---+\n  | a |\n  +---+\n+---+\n| z |\n+---+\n"
        );
    }
}
