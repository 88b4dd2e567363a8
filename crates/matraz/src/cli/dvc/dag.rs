//! `dvc dag`, `matraz dag`

use matraz_base::{Failure, Kind};
use matraz_data::pipeline::dag::{self, DagOptions};
use matraz_data::{Index, Repo};
use serde_json::json;

use crate::app::App;
use crate::cli::{CliError, only_in_matraz};
use crate::exit::Exit;

/// Show which stage needs which
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A stage or output: it and what it needs [default: everything]
    target: Option<String>,
    /// Print Graphviz's notation
    #[arg(long)]
    dot: bool,
    /// Print Mermaid's notation
    #[arg(long)]
    mermaid: bool,
    /// Print Mermaid's notation in a Markdown block
    #[arg(long)]
    md: bool,
    /// Each `foreach` or `matrix` group as one node
    #[arg(long)]
    collapse_foreach_matrix: bool,
    /// The whole pipeline of the target
    #[arg(long)]
    full: bool,
    /// Outputs instead of stages
    #[arg(short, long)]
    outs: bool,
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long, conflicts_with_all = ["dot", "mermaid", "md"])]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--json", args.json)?;
    if args.outs && args.collapse_foreach_matrix {
        let message = "`--outs` and `--collapse-foreach-matrix` are mutually exclusive".into();
        return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
    }
    let repo = Repo::open(&app.cwd, &app.places())?;
    let index = Index::load(&repo)?;
    let options = DagOptions {
        target: args.target,
        full: args.full,
        outs: args.outs,
        collapse: args.collapse_foreach_matrix,
    };
    let dag = dag::dag(&repo, &index, &options, &app.cwd)?;
    if args.json {
        let name = |n: usize| &dag.nodes[n];
        let edges: Vec<_> = dag.edges.iter().map(|&(a, b)| json!({"from": name(a), "to": name(b)})).collect();
        app.out.json(&json!({"nodes": dag.nodes, "edges": edges}));
        return Ok(Exit::OK);
    }
    let text = match (args.dot, args.mermaid, args.md) {
        (true, ..) => dag.to_dot(),
        (_, _, true) => format!("```mermaid\n{}\n```", dag.to_mermaid()),
        (_, true, _) => dag.to_mermaid(),
        _ => dag.to_boxes(),
    };
    app.out.result(&text);
    Ok(Exit::OK)
}
