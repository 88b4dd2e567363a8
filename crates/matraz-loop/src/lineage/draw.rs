//! A lineage as trees of text, and as a diagram of Mermaid.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::node::short;
use super::{Edge, Kind, Lineage, Node};

/// Things of one kind that are shown below one node; `--json` has all.
const SHOWN: usize = 12;

impl Lineage {
    /// What is behind the subject, and what was made from it, as two trees.
    pub fn tree(&self) -> String {
        let mut text = String::new();
        for subject in &self.subjects {
            let Some(node) = self.node(subject) else { continue };
            let _ = writeln!(text, "{}", line(node));
            for (up, heading, nothing) in [
                (true, "behind it", "nothing is known to be behind it"),
                (false, "made from it", "nothing is known to be made from it"),
            ] {
                let found = self.next(subject, up);
                if found.is_empty() {
                    let _ = writeln!(text, "\n{nothing}");
                    continue;
                }
                let _ = writeln!(text, "\n{heading}:");
                let mut seen = HashSet::from([subject.as_str()]);
                self.branch(&mut text, subject, up, "", &mut seen);
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn branch<'l>(
        &'l self,
        text: &mut String,
        id: &str,
        up: bool,
        indent: &str,
        seen: &mut HashSet<&'l str>,
    ) {
        let found = self.next(id, up);
        let shown = if found.len() > SHOWN + 1 { SHOWN } else { found.len() };
        for (n, (edge, node)) in found.iter().take(shown).enumerate() {
            let last = n + 1 == found.len();
            let (knot, deeper) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let again = !seen.insert(&node.id) && !self.next(&node.id, up).is_empty();
            let mark = if again { "  (see above)" } else { "" };
            let _ = writeln!(text, "{indent}{knot}{}{}{mark}", line(node), relation(edge, up));
            if !again {
                self.branch(text, &node.id, up, &format!("{indent}{deeper}"), seen);
            }
        }
        if shown < found.len() {
            let _ = writeln!(text, "{indent}└─ and {} more", found.len() - shown);
        }
    }

    /// The neighbours of a node on one side: commits first, then data, then the rest. Nothing leads back to the subject, and
    /// what a run made is not followed to other runs of it.
    fn next(&self, id: &str, up: bool) -> Vec<(&Edge, &Node)> {
        let mut found: Vec<(&Edge, &Node)> = self
            .edges
            .iter()
            .filter(|edge| if up { edge.to == id } else { edge.from == id })
            .filter(|edge| !self.subjects.contains(if up { &edge.from } else { &edge.to }))
            .filter(|_| up || self.subjects.iter().any(|subject| subject == id) || !id.starts_with("data:"))
            .filter_map(|edge| Some((edge, self.node(if up { &edge.from } else { &edge.to })?)))
            .collect();
        let rank = |kind: Kind| match kind {
            Kind::Commit => 0,
            Kind::Data => 1,
            Kind::Alias | Kind::Version => 2,
            Kind::Run | Kind::Stage => 3,
        };
        found.sort_by_key(|(_, node)| rank(node.kind));
        found
    }

    /// The graph as a diagram of Mermaid, the flow from left to right.
    pub fn mermaid(&self) -> String {
        let number = |id: &str| self.nodes.iter().position(|node| node.id == id);
        let mut text = "flowchart LR\n".to_owned();
        for (n, node) in self.nodes.iter().enumerate() {
            let label = line(node).replace('"', "#quot;");
            let (open, close) = match node.kind {
                Kind::Data => ("[(", ")]"),
                Kind::Commit => ("([", "])"),
                Kind::Stage | Kind::Run => ("[", "]"),
                Kind::Version => ("{{", "}}"),
                Kind::Alias => (">", "]"),
            };
            let _ = writeln!(text, "    n{n}{open}\"{label}\"{close}");
        }
        for edge in &self.edges {
            if let (Some(from), Some(to)) = (number(&edge.from), number(&edge.to)) {
                let _ = writeln!(text, "    n{from} -- {} --> n{to}", edge.how);
            }
        }
        text
    }
}

/// What stands behind a node when its place does not say it.
fn relation(edge: &Edge, up: bool) -> &'static str {
    match (edge.how, up) {
        ("restored", true) => "  computed it",
        ("restored", false) => "  restored it from the run cache",
        ("recorded", true) => "  recorded it first",
        _ => "",
    }
}

/// A node in one line.
fn line(node: &Node) -> String {
    let fact = |key: &str| node.facts.get(key).map(String::as_str);
    let mut text = node.label.clone();
    let mut notes: Vec<String> = Vec::new();
    match node.kind {
        Kind::Data => {
            if let Some(md5) = fact("md5").filter(|md5| *md5 != node.label) {
                let _ = write!(
                    text,
                    "  {}{}",
                    md5.get(..8).unwrap_or(md5),
                    if md5.ends_with(".dir") { ".dir" } else { "" }
                );
            }
            notes.extend(fact("also").map(|paths| format!("also as {paths}")));
            match (fact("recorded_in"), fact("uncommitted")) {
                (Some(commit), _) => notes.push(format!("in commit {}", short(commit))),
                (None, Some(_)) => notes.push("in no commit when it was used".into()),
                (None, None) => {}
            }
        }
        Kind::Commit => text.extend(fact("subject").map(|subject| format!("  {subject}"))),
        Kind::Stage => text.extend(fact("command").map(|command| format!("  {command}"))),
        Kind::Run => {
            let id = node.id.trim_start_matches("run:");
            let _ = write!(text, "  {}", id.get(..8).unwrap_or(id));
            notes.extend(fact("started").map(|time| time.replace('T', " ")));
            notes.extend(fact("status").filter(|status| *status != "finished").map(str::to_owned));
            notes.extend(fact("cached").map(|_| "from the run cache".to_owned()));
            notes.extend(
                fact("uncommitted_code")
                    .filter(|dirty| *dirty == "true")
                    .map(|_| "uncommitted code".to_owned()),
            );
            notes.extend(fact("gate").map(|gate| format!("gate: {gate}")));
        }
        Kind::Version => notes.extend(fact("gate").map(|gate| format!("gate: {gate}"))),
        Kind::Alias => {}
    }
    if !notes.is_empty() {
        let _ = write!(text, "  ({})", notes.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;

    fn node(id: &str, kind: Kind, label: &str) -> Node {
        Node { id: id.into(), kind, label: label.into(), facts: IndexMap::new() }
    }

    fn lineage() -> Lineage {
        let edge = |from: &str, to: &str, how| Edge { from: from.into(), to: to.into(), how };
        Lineage {
            subjects: vec!["version:m/1".into()],
            nodes: vec![
                node("version:m/1", Kind::Version, "m version 1"),
                node("run:a", Kind::Run, "pipeline run calm"),
                node("data:x", Kind::Data, "raw.csv"),
                node("commit:c", Kind::Commit, "commit c"),
                node("alias:m@champion", Kind::Alias, "m@\"champion\""),
            ],
            edges: vec![
                edge("run:a", "version:m/1", "registered"),
                edge("data:x", "run:a", "read"),
                edge("commit:c", "run:a", "code"),
                edge("version:m/1", "alias:m@champion", "alias"),
            ],
        }
    }

    #[test]
    fn both_trees_are_drawn() {
        let expected = "m version 1\n\nbehind it:\n└─ pipeline run calm  a\n   ├─ commit c\n   └─ raw.csv\n\n\
                        made from it:\n└─ m@\"champion\"";
        assert_eq!(lineage().tree(), expected);
    }

    #[test]
    fn mermaid_quotes_labels() {
        let text = lineage().mermaid();
        assert!(text.starts_with("flowchart LR\n"), "{text}");
        assert!(text.contains("n4>\"m@#quot;champion#quot;\"]"), "{text}");
        assert!(text.contains("n0 -- alias --> n4"), "{text}");
    }
}
