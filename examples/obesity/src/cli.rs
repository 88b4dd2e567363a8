//! The commands of the example: `matraz example obesity <stage>`.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::error::Error;
use crate::params::Params;
use crate::table::write_bytes;
use crate::{evaluate, features, prepare, schema, synthetic, train};

/// The stages of the example project: a random forest that tells levels of obesity from habits.
#[derive(Debug, Parser)]
#[command(name = "matraz example obesity", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(Debug, Subcommand)]
enum Stage {
    /// Write the synthetic table and a README that says so.
    Generate(Generate),
    /// Clean the raw table: drop repeated rows and rows with impossible values, and report them.
    Prepare(Prepare),
    /// Split the clean table by class and fit the encoder to the training rows.
    Features(Features),
    /// Grow the forest; write the model directory and the importance of the columns.
    Train(Train),
    /// Run the saved model on the test rows; write metrics, confusion and predictions.
    Evaluate(Evaluate),
}

#[derive(Debug, Args)]
struct Generate {
    /// The folder for obesity.csv and README.md.
    #[arg(default_value = "data")]
    folder: PathBuf,
    /// How many rows.
    #[arg(long, default_value_t = synthetic::ROWS, value_name = "N")]
    rows: usize,
    /// Which table: the same number gives the same rows.
    #[arg(long, default_value_t = synthetic::SEED, value_name = "N")]
    seed: u64,
}

#[derive(Debug, Args)]
struct Prepare {
    /// The raw table.
    #[arg(default_value = "data/obesity.csv")]
    raw: PathBuf,
    /// The clean table to write.
    #[arg(long, default_value = "data/clean.csv", value_name = "FILE")]
    out: PathBuf,
    /// The data-quality report to write.
    #[arg(long, default_value = "data/quality.json", value_name = "FILE")]
    report: PathBuf,
    /// The parameters; used: max_dropped.
    #[arg(long, default_value = "params.yaml", value_name = "FILE")]
    params: PathBuf,
}

#[derive(Debug, Args)]
struct Features {
    /// The clean table.
    #[arg(default_value = "data/clean.csv")]
    clean: PathBuf,
    /// The folder for train.csv, test.csv and encoder.json.
    #[arg(long, default_value = "features", value_name = "FOLDER")]
    out: PathBuf,
    /// The parameters; used: test_size, seed.
    #[arg(long, default_value = "params.yaml", value_name = "FILE")]
    params: PathBuf,
}

#[derive(Debug, Args)]
struct Train {
    /// The folder with train.csv and encoder.json.
    #[arg(default_value = "features")]
    features: PathBuf,
    /// The model directory to write.
    #[arg(long, default_value = "model", value_name = "FOLDER")]
    out: PathBuf,
    /// The folder for importance.csv.
    #[arg(long, default_value = "plots", value_name = "FOLDER")]
    plots: PathBuf,
    /// The parameters; used: n_estimators, max_depth, min_samples_leaf, max_features, class_weight, seed.
    #[arg(long, default_value = "params.yaml", value_name = "FILE")]
    params: PathBuf,
    /// How many threads [default: one for each processor]. The forest does not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
struct Evaluate {
    /// The model directory.
    #[arg(default_value = "model")]
    model: PathBuf,
    /// The test rows.
    #[arg(default_value = "features/test.csv")]
    test: PathBuf,
    /// The metrics to write.
    #[arg(long, default_value = "metrics.json", value_name = "FILE")]
    metrics: PathBuf,
    /// The folder for confusion.csv.
    #[arg(long, default_value = "plots", value_name = "FOLDER")]
    plots: PathBuf,
    /// The table of predictions to write.
    #[arg(long, default_value = "predictions.csv", value_name = "FILE")]
    predictions: PathBuf,
}

/// Runs one command; `args` start with the name of the stage. What a person should read goes to `out`.
pub fn run(args: &[String], out: &mut dyn Write) -> Result<(), Error> {
    let words = std::iter::once("matraz example obesity").chain(args.iter().map(String::as_str));
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, out),
    };
    let text = match cli.stage {
        Stage::Generate(args) => generate(&args)?,
        Stage::Prepare(args) => {
            let params = Params::read(&args.params)?;
            let cleaned = prepare::run(&args.raw, &args.out, &args.report, params.max_dropped)?;
            format!(
                "{} rows read, {} dropped ({}), {} kept",
                cleaned.rows,
                cleaned.dropped(),
                cleaned.reasons(),
                cleaned.people.len()
            )
        }
        Stage::Features(args) => {
            let params = Params::read(&args.params)?;
            let split = features::run(&args.clean, &args.out, params.test_size, params.forest.seed)?;
            format!("{} training rows, {} test rows", split.train.len(), split.test.len())
        }
        Stage::Train(args) => {
            let params = Params::read(&args.params)?;
            let threads = args.threads.or_else(|| std::thread::available_parallelism().ok());
            let threads = threads.map_or(1, NonZeroUsize::get);
            let trained = train::run(&args.features, &args.out, &args.plots, &params.forest, threads)?;
            format!("{} trees with {} nodes", trained.forest.trees.len(), trained.forest.n_nodes())
        }
        Stage::Evaluate(args) => {
            let outputs = evaluate::Outputs {
                metrics: &args.metrics,
                plots: &args.plots,
                predictions: &args.predictions,
            };
            let metrics = evaluate::run(&args.model, &args.test, &outputs)?;
            format!("accuracy {:.4}, f1_macro {:.4}", metrics.accuracy, metrics.f1_macro)
        }
    };
    writeln!(out, "{text}").map_err(|source| Error::Output { source })
}

fn generate(args: &Generate) -> Result<String, Error> {
    let table = args.folder.join("obesity.csv");
    write_bytes(&table, synthetic::table(args.rows, args.seed).as_bytes())?;
    write_bytes(&args.folder.join("README.md"), synthetic::readme().as_bytes())?;
    Ok(format!("{}: {} synthetic rows of {} classes", table.display(), args.rows, schema::CLASSES.len()))
}

/// Help is output; everything else that clap says is an error of the caller.
fn explain(error: &clap::Error, out: &mut dyn Write) -> Result<(), Error> {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return out.write_all(text.as_bytes()).map_err(|source| Error::Output { source });
    }
    let first = text.lines().next().unwrap_or_default();
    Err(Error::Usage {
        message: first.strip_prefix("error: ").unwrap_or(first).to_owned(),
        usage: "`matraz example obesity --help` lists the stages, `… <stage> --help` their arguments"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(args: &[&str]) -> Result<String, Error> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut out = Vec::new();
        run(&args, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn help_is_output() {
        let help = output(&["--help"]).unwrap();
        for stage in ["generate", "prepare", "features", "train", "evaluate"] {
            assert!(help.contains(stage), "{help}");
            assert!(output(&[stage, "--help"]).unwrap().contains("Usage: matraz example obesity"), "{stage}");
        }
        assert!(output(&[]).unwrap().contains("Usage:"));
    }

    #[test]
    fn wrong_arguments_are_errors() {
        for args in [&["bake"][..], &["train", "--speed", "9"], &["train", "--threads", "0"]] {
            let error = output(args).unwrap_err();
            assert!(matches!(error, Error::Usage { .. }), "{error}");
            assert!(!error.to_string().starts_with("error"), "{error}");
        }
    }

    #[test]
    fn the_table_is_generated_where_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let said = output(&["generate", path.to_str().unwrap(), "--rows", "50"]).unwrap();
        assert!(said.contains("50 synthetic rows"), "{said}");
        assert_eq!(std::fs::read_to_string(path.join("obesity.csv")).unwrap().lines().count(), 51);
        assert!(path.join("README.md").exists());
    }
}
