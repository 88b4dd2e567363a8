//! `dvc du`, `matraz du`

use matraz_base::Failure;
use matraz_data::source::list;
use serde_json::json;

use super::source::{SettingsArgs, columns, human_size};
use crate::app::App;
use crate::cli::only_in_matraz;
use crate::exit::Exit;

/// Show how much the files and data of a repository take
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The repository: a folder, or an address that git can clone
    url: String,
    /// A file or folder there
    path: Option<String>,
    /// The revision: a commit, branch or tag
    #[arg(long, value_name = "REVISION", num_args = 0..=1)]
    rev: Option<Option<String>>,
    /// Only the sum
    #[arg(short, long)]
    summarize: bool,
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--json", args.json)?;
    let request = args.settings.request(&args.url, args.rev)?;
    let path = args.path.as_deref();
    let found = list::usage(&request, path, args.summarize, &app.cwd, &app.places())?;
    if args.json {
        let rows = found.iter().map(|(path, bytes)| json!({"path": path, "size": bytes}));
        app.out.json(&rows.collect());
        return Ok(Exit::OK);
    }
    let rows: Vec<_> = found.into_iter().map(|(path, bytes)| vec![human_size(bytes), path]).collect();
    app.out.always(&format!("{}\n", columns(&rows, false)));
    Ok(Exit::OK)
}
