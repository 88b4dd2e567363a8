//! `matraz example`

use std::io::Write;

use matraz_base::Failure;

use crate::app::App;
use crate::exit::Exit;

/// Run a stage of the example project; its dvc.yaml calls this
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Which example
    #[arg(value_parser = ["obesity"])]
    name: String,
    /// The stage and its arguments; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    let result = obesity::run(&args.arguments, &mut text);
    let _ = text.flush();
    app.out.raw(&String::from_utf8_lossy(&text));
    result?;
    Ok(Exit::OK)
}
