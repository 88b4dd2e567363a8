//! What `dvc plots show` and `dvc plots diff` have in common: charts as a page, as JSON or as a specification.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use matraz_base::value::python_json;
use matraz_base::{Failure, Map, Progress};
use matraz_data::compare::data::Snapshot;
use matraz_data::compare::plots::{self, Chart, Drawing, Moment, Request, page};
use matraz_data::stage::address::join;
use matraz_data::view::View;
use matraz_data::{Error, Repo};

use super::plots::caught;
use super::{plots_json, python_error};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::web;

/// Where the drawing goes.
#[derive(clap::Args, Debug)]
pub struct Drawn {
    /// The folder for the page and its pictures
    #[arg(short, long, value_name = "DIR")]
    out: Option<String>,
    /// Print the Vega-Lite specification of one plot
    #[arg(long)]
    show_vega: bool,
    #[arg(long, hide = true)]
    json: bool,
    #[arg(long, hide = true)]
    split: bool,
    /// Open the page in a browser
    #[arg(long)]
    open: bool,
    /// A page of your own, with `{plot_divs}` where the plots go
    #[arg(long, value_name = "PATH")]
    html_template: Option<String>,
}

/// Draws the plots of `revisions`.
pub fn draw(
    repo: &Repo,
    revisions: &[String],
    targets: Vec<String>,
    props: Map,
    drawn: &Drawn,
    app: &App,
) -> Result<Exit, Failure> {
    if let Some(problem) = refused(drawn, targets.len()) {
        let message = problem.to_owned();
        if app.grammar == Grammar::Dvc {
            app.out.error(&format!("ERROR: {message}"));
            return Ok(Exit::NO);
        }
        return Err(CliError::Usage { message, hint: None }.into());
    }
    let request = Request { cwd: app.cwd.clone(), targets, props };
    let mut moments: Vec<Moment> = Vec::new();
    for revision in revisions {
        let view = match View::at(repo, revision) {
            Ok(view) => view,
            Err(error) => return caught(error, app),
        };
        let moment = plots::moment(revision, Snapshot::take(view), &request);
        if moment.is_something() {
            moments.push(moment);
        }
    }
    let failed: Vec<&str> = moments.iter().filter(|m| m.has_errors()).map(|m| m.revision.as_str()).collect();
    if !failed.is_empty() {
        let revisions = failed.join(", ");
        app.out.error(&format!("DVC failed to load some plots for following revisions: '{revisions}'."));
    }
    if moments.is_empty() && !drawn.json {
        app.out.error("No plots were loaded, visualization file will not be created.");
    }
    let templates = repo.is_project().then(|| repo.dvc_dir().join("plots"));
    let charts = plots::charts(&moments, templates.as_deref(), &app.cwd)?;
    for (revision, error) in charts.iter().flat_map(|chart| &chart.unfit) {
        let (_, message) = python_error::describe(error, &app.cwd);
        app.out.warn(&format!("In '{revision}', {}", message.to_lowercase()));
    }
    let set = |key: &str| repo.config.get("plots", key);
    let out = drawn.out.clone().or_else(|| set("out_dir"));
    let folder = join(&app.cwd, out.as_deref().unwrap_or("dvc_plots"));
    let pictures = if drawn.json { folder.clone() } else { folder.join(page::PICTURES_FOLDER) };
    write_pictures(&charts, &pictures)?;
    if drawn.json {
        let value = plots_json::value(&charts, &moments, drawn.split, &pictures, &app.cwd)?;
        app.out.result(&python_json(&value, false));
        return Ok(Exit::OK);
    }
    if drawn.show_vega {
        let vega = charts.iter().find_map(|chart| match &chart.drawing {
            Drawing::Vega(vega) => Some(vega),
            Drawing::Pictures(_) => None,
        });
        if let Some(vega) = vega {
            app.out.result(&python_json(&vega.filled()?, false));
        }
        return Ok(Exit::OK);
    }
    if charts.is_empty() {
        return Ok(Exit::OK);
    }
    let template = html_template(repo, drawn, app)?;
    let html = match (app.grammar, web::text("plots/plots.js"), web::text("plots/plots.css")) {
        (Grammar::Dvc, ..) => page::like_dvc(&charts, template.as_deref())?,
        (Grammar::Matraz | Grammar::Mlflow, Some(script), Some(style)) => {
            let assets = page::Assets { script: &script, style: &style };
            page::self_contained(&charts, template.as_deref(), assets)?
        }
        (Grammar::Matraz | Grammar::Mlflow, ..) => {
            app.out.warn(
                "this program was built without the scripts of the page: it will load them from the net",
            );
            page::like_dvc(&charts, template.as_deref())?
        }
    };
    let file = folder.join("index.html");
    write(&file, html.as_bytes())?;
    let address = format!("file://{}", encoded(&file));
    app.out.result(&address);
    let always = repo.config.flag("plots", "auto_open", false);
    if !(drawn.open || always) {
        return Ok(Exit::OK);
    }
    if !always {
        app.out.say("To enable auto opening, you can run:\n\n\tdvc config plots.auto_open true");
    }
    if opened(&address, app) {
        return Ok(Exit::OK);
    }
    app.out.error(&format!("Failed to open {address}. Please try opening it manually."));
    Ok(Exit::NO)
}

fn refused(drawn: &Drawn, targets: usize) -> Option<&'static str> {
    match (drawn.show_vega, targets) {
        (false, _) => None,
        (true, 0) => Some("please specify a target for `--show-vega`"),
        (true, 1) if drawn.json => Some("'--show-vega' and '--json' are mutually exclusive options."),
        (true, 1) => None,
        (true, _) => Some("you can only specify one target for `--show-vega`"),
    }
}

fn write_pictures(charts: &[Chart], folder: &Path) -> Result<(), Error> {
    for chart in charts {
        if let Drawing::Pictures(images) = &chart.drawing {
            for image in images {
                write(&folder.join(image.file_name()), &image.bytes)?;
            }
        }
    }
    Ok(())
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    matraz_base::file::write(file, bytes).map_err(Error::io("write", file))
}

/// The user's own page: of the option, or of the settings, there relative to `.dvc`.
fn html_template(repo: &Repo, drawn: &Drawn, app: &App) -> Result<Option<String>, Error> {
    let path: PathBuf = match (&drawn.html_template, repo.config.get("plots", "html_template")) {
        (Some(path), _) => join(&app.cwd, path),
        (None, Some(path)) => join(&repo.dvc_dir(), &path),
        (None, None) => return Ok(None),
    };
    std::fs::read_to_string(&path).map(Some).map_err(Error::io("read", &path))
}

/// A path as a part of an address.
fn encoded(path: &Path) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().map(|&b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Asks the desktop to show an address; `BROWSER` names the program to do it with.
fn opened(address: &str, app: &App) -> bool {
    let default = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let program = app.env.browser.clone().unwrap_or_else(|| default.into());
    let quiet = Command::new(program)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}
