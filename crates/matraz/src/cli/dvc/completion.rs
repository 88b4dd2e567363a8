//! `dvc completion`

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use matraz_base::Failure;

use crate::app::App;
use crate::exit::Exit;

/// Print the completion script of a shell
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell
    #[arg(short, long, default_value = "bash")]
    shell: Supported,
}

/// The shells that DVC knows.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let shell = match args.shell {
        Supported::Bash => Shell::Bash,
        Supported::Zsh => Shell::Zsh,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "dvc", &mut script);
    app.out.always(&String::from_utf8_lossy(&script));
    Ok(Exit::OK)
}
