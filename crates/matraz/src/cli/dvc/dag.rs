//! `dvc dag`, `matraz dag`

use matraz_base::Failure;
use matraz_data::pipeline::dag::{self, DagOptions};
use matraz_data::{Index, Repo};

use crate::app::App;
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
    #[arg(long, conflicts_with = "outs")]
    collapse_foreach_matrix: bool,
    /// The whole pipeline of the target
    #[arg(long)]
    full: bool,
    /// Outputs instead of stages
    #[arg(short, long)]
    outs: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    let index = Index::load(&repo)?;
    let options = DagOptions {
        target: args.target,
        full: args.full,
        outs: args.outs,
        collapse: args.collapse_foreach_matrix,
    };
    let dag = dag::dag(&repo, &index, &options, &app.cwd)?;
    let text = match (args.dot, args.mermaid, args.md) {
        (true, ..) => dag.to_dot(),
        (_, _, true) => format!("```mermaid\n{}\n```", dag.to_mermaid()),
        (_, true, _) => dag.to_mermaid(),
        _ => dag.to_boxes(),
    };
    app.out.result(&text);
    Ok(Exit::OK)
}
