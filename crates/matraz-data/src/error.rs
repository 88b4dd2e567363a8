//! Everything that can go wrong with data and pipelines.

use std::io;
use std::path::{Path, PathBuf};

use matraz_base::{Explain, Kind, Place};

/// Why an operation on a project failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to act on a path.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The verb: `read`, `write`, `link` …
        action: &'static str,
        /// What it was about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No folder from here upwards is a project.
    #[error("you are not inside of a DVC repository (checked up to mount point '{}')", checked.display())]
    NotInProject {
        /// The last folder that was looked at.
        checked: PathBuf,
    },
    /// The project is not in a git repository, and was not made to be without one.
    #[error("{} is not in a git repository", root.display())]
    NotInGit {
        /// The root of the project.
        root: PathBuf,
    },
    /// `init` cannot make a project here.
    #[error("failed to initiate DVC - {reason}")]
    Init {
        /// Why not, and what to do.
        reason: String,
    },
    /// A configuration file or a request to change it is wrong.
    #[error("config file error: {message}")]
    Config {
        /// What is wrong.
        message: String,
        /// Where, when it is in a file.
        place: Option<Place>,
    },
    /// A project file (`dvc.yaml`, `dvc.lock`, a `.dvc` file, a parameters file) is wrong.
    #[error("{}{message}", fault_preamble(fault, place))]
    Definition {
        /// Which rule it breaks.
        fault: Fault,
        /// What is wrong.
        message: String,
        /// Where.
        place: Box<Place>,
        /// How to mend it.
        hint: Option<String>,
    },
    /// An output or dependency without a path.
    #[error("{what} has no `path`")]
    NoPath {
        /// `an output` or `a dependency`.
        what: &'static str,
        /// Where.
        place: Box<Place>,
    },
    /// Something that DVC can and Matraz cannot yet.
    #[error("{what} is not supported yet")]
    NotYet {
        /// The key, option or feature.
        what: String,
        /// Where it was asked for, when in a file.
        place: Option<Box<Place>>,
    },
    /// A pattern in a `.dvcignore` file cannot be understood.
    #[error("the pattern is not understood: {message}")]
    IgnorePattern {
        /// The line.
        place: Place,
        /// What is wrong with it.
        message: String,
    },
    /// A folder of data holds a `.dvcignore` file.
    #[error(".dvcignore file should not be in collected dir path: '{}'", folder.display())]
    IgnoreFileInData {
        /// The folder with the file.
        folder: PathBuf,
    },
    /// A name that is not UTF-8 cannot be written into DVC's files.
    #[error("the name '{}' is not UTF-8", path.display())]
    NotUnicode {
        /// The file.
        path: PathBuf,
    },
    /// A socket, device or the like among the data.
    #[error("'{}' is neither a file nor a folder", path.display())]
    NotData {
        /// Where it is.
        path: PathBuf,
    },
    /// A file that was asked for, or that another file names, is not there.
    #[error("'{}' does not exist", path.display())]
    NoSuchFile {
        /// Where it should be.
        path: PathBuf,
    },
    /// A pipeline file has no stage of that name.
    #[error("Stage '{name}' not found inside '{file}' file")]
    NoSuchStage {
        /// The name that was asked for.
        name: String,
        /// The file as the user sees it.
        file: String,
        /// The names that the file has.
        known: Vec<String>,
    },
    /// A pipeline file where one stage was asked for.
    #[error("stage name not provided, please specify the name as: `{file}:stage_name`")]
    NoStageName {
        /// The file as the user sees it.
        file: String,
    },
    /// A target that is neither a stage nor a file that defines stages.
    #[error("'{target}' is not a stage")]
    NotAStage {
        /// The target as it was given.
        target: String,
    },
    /// Data of a stage are ignored by `.dvcignore`.
    #[error("path '{}' is ignored by {pattern}", path.display())]
    IgnoredOutput {
        /// The output.
        path: PathBuf,
        /// The file, line and pattern.
        pattern: String,
    },
    /// A project file that git ignores would be lost.
    #[error("'{}' is git-ignored", path.display())]
    GitIgnoredFile {
        /// The file.
        path: PathBuf,
    },
    /// Stages need one another in a circle.
    #[error("Pipeline has a cycle involving: {}", stages.join(", "))]
    Cycle {
        /// The stages of the circle, in order.
        stages: Vec<String>,
    },
    /// Two stages make the same output.
    #[error("output '{}' is {}", path.display(), match stages.as_slice() {
        [one] => format!("already specified in stage: '{one}'"),
        all => format!("specified in: {}", all.join(", ")),
    })]
    DuplicateOutput {
        /// The output.
        path: PathBuf,
        /// The stages that make it.
        stages: Vec<String>,
    },
    /// An output lies inside another one.
    #[error("the output paths '{}' ({}) and '{}' ({}) overlap", outer.display(), outer_stage, inner.display(), inner_stage)]
    OverlappingOutputs {
        /// The folder.
        outer: PathBuf,
        /// Its stage.
        outer_stage: String,
        /// What lies inside.
        inner: PathBuf,
        /// Its stage.
        inner_stage: String,
    },
    /// The file of a stage lies inside an output.
    #[error("{stage} is within an output '{}' of another stage", output.display())]
    StageInsideOutput {
        /// The stage.
        stage: String,
        /// The output.
        output: PathBuf,
    },
    /// What a stage reads is not there.
    #[error("{} {} not exist (stage '{stage}')", if paths.len() > 1 { "dependencies" } else { "dependency" }, does(paths))]
    MissingDependency {
        /// The stage.
        stage: String,
        /// The paths as the stage names them.
        paths: Vec<String>,
    },
    /// What a `.dvc` file or a frozen stage stands for is not there.
    #[error("missing data '{}': {}", if paths.len() > 1 { "sources" } else { "source" }, paths.join(", "))]
    MissingData {
        /// The stage.
        stage: String,
        /// What it lacks.
        paths: Vec<String>,
    },
    /// What a stage should have made, or what a data file tracks, is not there.
    #[error("output{} {} does not exist (stage '{stage}')", if paths.len() > 1 { "s" } else { "" }, named(paths))]
    StageOutputMissing {
        /// The stage.
        stage: String,
        /// The paths as the stage names them.
        paths: Vec<String>,
    },
    /// Parameters of a stage are not in their file.
    #[error("Parameters {} are missing from '{file}' (stage '{stage}')", keys.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", "))]
    MissingParams {
        /// The stage.
        stage: String,
        /// The file as the stage names it.
        file: String,
        /// The dotted names.
        keys: Vec<String>,
    },
    /// The command of a stage failed.
    #[error("failed to run: {cmd}, exited with {code}")]
    CommandFailed {
        /// The stage.
        stage: String,
        /// The command.
        cmd: String,
        /// Its exit code.
        code: i32,
    },
    /// The command of a stage could not be run.
    #[error("failed to run: {cmd}")]
    CommandNotRun {
        /// The command.
        cmd: String,
        /// Why.
        source: matraz_base::process::ProcessError,
    },
    /// Git tracks an output that the cache should keep.
    #[error("output '{}' is already tracked by SCM (e.g. Git)", path.display())]
    GitTrackedOutput {
        /// The output.
        path: PathBuf,
    },
    /// The cache keeps only data of the project.
    #[error("cached output '{path}' of stage '{stage}' is outside of the project")]
    OutsideOutput {
        /// The output as the stage names it.
        path: String,
        /// The stage.
        stage: String,
    },
    /// A name that git does not know.
    #[error("unknown Git revision '{revision}'")]
    NoSuchRevision {
        /// The name.
        revision: String,
    },
    /// A repository could not be cloned.
    #[error("failed to clone repo '{url}': {message}")]
    CloneFailed {
        /// Its address.
        url: String,
        /// What git said.
        message: String,
    },
    /// A path that a repository does not have.
    #[error("no such file or directory: '{path}' in '{source_url}'")]
    NoSuchPath {
        /// The path.
        path: String,
        /// The repository as the user named it.
        source_url: String,
    },
    /// Data of a repository that neither its caches nor its remotes have.
    #[error("no storage of '{url}' has '{path}'")]
    NotInSource {
        /// The path there.
        path: String,
        /// The repository as the user named it.
        url: String,
    },
    /// Imports that lead from repository to repository without an end.
    #[error("the imports that lead to '{url}' have no end")]
    TooManyImports {
        /// The last repository.
        url: String,
    },
    /// A `.dvc` file or `dvc.yaml` where data are asked for.
    #[error("the given path is a DVC file, you must specify a data file or a directory")]
    DvcFileAsData,
    /// What is to be imported is not there.
    #[error("dependency '{path}' does not exist")]
    NoSuchDependency {
        /// The path as the user sees it.
        path: String,
    },
    /// A repository has no artifact of that name, version or stage.
    #[error("unable to find artifact '{name}' in that version or stage")]
    NoSuchArtifact {
        /// The name.
        name: String,
    },
    /// A place that keeps no older versions of its data.
    #[error("'{url}' keeps no versions of its data: --version-aware is for clouds that do")]
    NotVersioned {
        /// The address.
        url: String,
    },
    /// A file with settings together with a remote and its options.
    #[error("can't specify config path together with both remote and remote_config")]
    ConfigAndRemote,
    /// An option for imports on data that are none.
    #[error("{option} can't be used with '{stage}', which is not an import")]
    NotAnImport {
        /// The stage.
        stage: String,
        /// The option.
        option: &'static str,
    },
    /// Data of another repository are not ours to send on.
    #[error("data imported from other DVC or Git repositories can't be updated with --to-remote")]
    RepoToRemote,
    /// Nothing is at an address.
    #[error("the path '{url}' does not exist")]
    NothingAtUrl {
        /// The address.
        url: String,
    },
    /// A file that must be text is not UTF-8.
    #[error("'{}' is not text in UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A file that is part of an output and that neither the workspace nor the cache has.
    #[error("'{}' is neither in the workspace nor in the cache", path.display())]
    NotAvailable {
        /// The file.
        path: PathBuf,
    },
    /// A dataset that no `dvc.yaml` defines.
    #[error("dataset not found: '{name}'")]
    NoSuchDataset {
        /// The name.
        name: String,
        /// The nearest known name.
        close: Option<String>,
    },
    /// A dataset that is not locked as `dvc.yaml` has it now.
    #[error("dataset information of '{name}' is not in sync")]
    DatasetOutOfStep {
        /// Its name.
        name: String,
    },
    /// A dataset that cannot be made, read or changed so.
    #[error("{message}")]
    BadDataset {
        /// Why not.
        message: String,
    },
    /// A stage that cannot be made or changed so.
    #[error("stage '{name}': {message}")]
    BadStage {
        /// Its name.
        name: String,
        /// Why not.
        message: String,
    },
    /// A folder where a file must be.
    #[error("'{}' is a directory, expected a file", path.display())]
    NotAFile {
        /// The folder.
        path: PathBuf,
    },
    /// A metrics file that holds no text.
    #[error("binary file '{}' cannot be used as metrics", path.display())]
    BinaryMetrics {
        /// The file.
        path: PathBuf,
    },
    /// A stage could not be frozen or let go.
    #[error("failed to {verb} '{target}' - {cause}")]
    FreezeFailed {
        /// `freeze` or `unfreeze`.
        verb: &'static str,
        /// What the user wrote.
        target: String,
        /// Why; part of the message.
        cause: Box<Error>,
    },
    /// The user said no.
    #[error("reproduction aborted by the user")]
    Declined,
    /// Stages failed while others were kept going.
    #[error("failed to reproduce{} {}{}", if stages.len() > 1 { " stages:" } else { "" }, named(stages), reason(cause.as_deref()))]
    ReproFailed {
        /// The stages.
        stages: Vec<String>,
        /// Why, when one failure ended the run; part of the message.
        cause: Option<Box<Error>>,
    },
    /// A target is neither an output nor a stage.
    #[error("'{target}' does not exist as an output or a stage name in 'dvc.yaml'")]
    NoSuchTarget {
        /// What the user wrote.
        target: String,
    },
    /// Patterns that match nothing.
    #[error("the patterns {} match nothing", patterns.join(", "))]
    NoMatch {
        /// What the user wrote.
        patterns: Vec<String>,
    },
    /// A pattern that cannot be understood.
    #[error("the pattern '{pattern}' is not understood: {reason}")]
    BadPattern {
        /// What the user wrote.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A path that must be below the project's root is not.
    #[error("'{}' is outside of DVC project", path.display())]
    OutsideProject {
        /// The path.
        path: PathBuf,
    },
    /// Nothing is where data should be.
    #[error("output '{}' does not exist", path.display())]
    NothingThere {
        /// The path.
        path: PathBuf,
    },
    /// Changed data are not committed without a yes.
    #[error("unable to commit changed stage: '{stage}'")]
    CommitDeclined {
        /// The address of the stage.
        stage: String,
    },
    /// A path that nothing tracks as an output of its own.
    #[error("unable to find DVC file with output '{path}'")]
    NotAnOutput {
        /// What the user wrote.
        path: String,
    },
    /// A folder that something should go into is not there.
    #[error("the folder '{}' does not exist", path.display())]
    NoSuchFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Data could not be moved.
    #[error("failed to move '{from}' -> '{to}'")]
    Move {
        /// What the user wrote.
        from: String,
        /// Where to.
        to: String,
        /// Why not.
        source: Box<Error>,
    },
    /// A copy would replace something.
    #[error("the file '{}' already exists locally", path.display())]
    InTheWay {
        /// What is there.
        path: PathBuf,
    },
    /// Options of a remote without its address.
    #[error("remote '{name}' has no 'url'")]
    RemoteWithoutUrl {
        /// Its name.
        name: String,
    },
    /// A command needs a remote, and none is named or set as the default.
    #[error("no remote specified")]
    NoRemote {
        /// The remotes of the settings.
        known: Vec<String>,
    },
    /// The settings have no such remote.
    #[error("remote '{name}' doesn't exist")]
    NoSuchRemote {
        /// What the user wrote.
        name: String,
    },
    /// Some objects could not be copied to or from a remote.
    #[error("{count} files failed to {verb}")]
    TransferFailed {
        /// How many.
        count: usize,
        /// `upload` or `download`.
        verb: &'static str,
    },
    /// What a commit or the workspace uses cannot be told.
    #[error("failed to collect '{revision}'")]
    CollectFailed {
        /// The name of the commit, or `workspace`.
        revision: String,
        /// Why.
        source: Box<Error>,
    },
    /// Nobody has the listing of a folder, so its files cannot be told from garbage.
    #[error("unable to fully collect used cache without cache for directory '{}' ({revision})", folder.display())]
    UnknownFolder {
        /// The folder in the workspace.
        folder: PathBuf,
        /// The name of the commit, or `workspace`.
        revision: String,
    },
    /// A file of which Matraz cannot tell how two versions go together.
    #[error("'{}' is neither a `dvc.lock` nor a `.dvc` file", path.display())]
    NotMergeable {
        /// The file.
        path: PathBuf,
    },
    /// A git hook of the user would be replaced.
    #[error("Hook '{name}' already exists")]
    HookExists {
        /// Its name.
        name: String,
    },
    /// The trash has no removal of that name.
    #[error("the trash has no removal '{name}'")]
    NoSuchRemoval {
        /// What the user wrote.
        name: String,
        /// The removals that there are.
        known: Vec<String>,
    },
    /// There is nothing to undo.
    #[error("the trash is empty")]
    EmptyTrash,
    /// The journal of a removal cannot be read.
    #[error("the journal of a removal, '{}', is not understood: {reason}", path.display())]
    BadJournal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A `.dvc` file or `dvc.yaml` as data.
    #[error("DVC file '{}' cannot be an output", path.display())]
    StageFileAsOutput {
        /// The file.
        path: PathBuf,
    },
    /// A path inside `.dvc/` as data.
    #[error("'{}' belongs to the project's own files", path.display())]
    InternalPath {
        /// The path.
        path: PathBuf,
    },
    /// Data that a stage makes cannot be added.
    #[error("cannot update '{}': it overlaps with an output of the stage '{stage}'", path.display())]
    StageOutput {
        /// The path.
        path: PathBuf,
        /// The address of the stage.
        stage: String,
    },
    /// A path below a file.
    #[error("'{}' cannot be added: '{}' is tracked as a file", path.display(), file.display())]
    InsideFile {
        /// The path.
        path: PathBuf,
        /// The tracked file.
        file: PathBuf,
    },
    /// The cache has not the listing of a folder that is to be changed.
    #[error("the cache has no listing of '{}' ({})", folder.display(), path.display())]
    MissingTree {
        /// The folder.
        folder: PathBuf,
        /// Where the listing should be.
        path: PathBuf,
    },
    /// A path below a symbolic link to a folder.
    #[error("'{}' lies behind the link '{}'", path.display(), link.display())]
    ThroughLink {
        /// The path.
        path: PathBuf,
        /// The link on the way to it.
        link: PathBuf,
    },
    /// Data are to be added below a symbolic link to a folder.
    #[error("Cannot add files inside symlinked directories to DVC: '{}' lies behind the link '{}'", path.display(), link.display())]
    AddThroughLink {
        /// The data.
        path: PathBuf,
        /// The link.
        link: PathBuf,
    },
    /// A file that Matraz or DVC keeps for itself is a link, through which something else would be overwritten.
    #[error("'{}' is a symbolic link, and nothing is written through it", link.display())]
    PrivateLink {
        /// The link.
        link: PathBuf,
    },
    /// Files would be lost that the cache does not have.
    #[error("Can't remove the following unsaved files without confirmation: {}", list(paths))]
    UnsavedData {
        /// The files.
        paths: Vec<PathBuf>,
    },
    /// Outputs whose content the cache does not have.
    #[error("Checkout failed for following targets: {}", list(paths))]
    CheckoutFailed {
        /// The outputs.
        paths: Vec<PathBuf>,
    },
    /// Stored bytes are not what their name says.
    #[error("{} is corrupted: its content is not what its name says", path.display())]
    Corrupted {
        /// The object.
        path: PathBuf,
    },
    /// None of the configured kinds of links works between the cache and the workspace.
    #[error("no possible cache link types for '{}'", path.display())]
    NoLinkKind {
        /// A file that was to be linked.
        path: PathBuf,
    },
    /// The listing of a folder has the right digest and makes no sense.
    #[error("the folder listing {} cannot be used: {reason}", path.display())]
    BadTree {
        /// The object.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tuple among the values that are read from a Python file.
    #[error("'{key}' in '{}' is a tuple, which cannot be compared on its own", path.display())]
    TupleParam {
        /// The file.
        path: PathBuf,
        /// The name.
        key: String,
    },
    /// A plot of a kind of file that holds no rows.
    #[error("'{}' cannot be plotted: only JSON, YAML, CSV and TSV are", path.display())]
    NotAPlotFile {
        /// The file.
        path: PathBuf,
    },
    /// A table that cannot be read.
    #[error("'{}' is not a table: {message}", path.display())]
    PlotTable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A value where rows should be.
    #[error("the data of a plot are a {found}, not rows")]
    PlotNoRows {
        /// What is there.
        found: &'static str,
    },
    /// A list without rows.
    #[error("the data of a plot are an empty list")]
    PlotEmptyList,
    /// Data with a column to draw and no row.
    #[error("the data of a plot have no row")]
    PlotNoFirstRow,
    /// A column that the rows do not have.
    #[error("could not find provided field ('{column}') in data fields ('{}')", found.join(", "))]
    NoPlotColumn {
        /// The column.
        column: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A column that no row has.
    #[error("field '{column}' does not exist in provided data")]
    NoPlotField {
        /// The column.
        column: String,
    },
    /// Files that do not go together.
    #[error("cannot have different number of x and y data sources: found {x} x and {y} y data sources")]
    PlotSources {
        /// Files with the horizontal axis.
        x: usize,
        /// Files with the vertical axis.
        y: usize,
    },
    /// Columns of different length.
    #[error("cannot join '{x}' from '{x_file}' and '{y}' from '{y_file}': they have to have same length")]
    PlotJoin {
        /// The column of the horizontal axis.
        x: String,
        /// Its file.
        x_file: String,
        /// The column of the vertical axis.
        y: String,
        /// Its file.
        y_file: String,
    },
    /// The same column twice in one plot.
    #[error("the column '{column}' of one file is drawn twice in a plot")]
    PlotSameSeries {
        /// The column.
        column: String,
    },
    /// A template that is neither a file nor built in.
    #[error("template '{name}' not found")]
    NoTemplate {
        /// What the user wrote.
        name: String,
    },
    /// A built-in template that there is not.
    #[error("unexpected template: {name}")]
    NoBuiltInTemplate {
        /// What the user wrote.
        name: String,
    },
    /// A template that cannot be used.
    #[error("the template '{name}' cannot be used: {reason}")]
    BadTemplate {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A page that has no place for the plots.
    #[error("the HTML template has to contain '{placeholder}'")]
    NoPlaceholder {
        /// What is missing.
        placeholder: &'static str,
    },
    /// Properties are taken away from what is no plot.
    #[error("'{}' is not a known plot", path.display())]
    NotAPlot {
        /// The output.
        path: PathBuf,
    },
    /// A property that the plot has not.
    #[error("display properties '{property}' not found in plot '{}'", path.display())]
    NoPlotProperty {
        /// The property.
        property: String,
        /// The plot.
        path: PathBuf,
    },
    /// No stage makes this file.
    #[error("unable to find DVC file with output '{}'", path.display())]
    NoSuchOutput {
        /// The file.
        path: PathBuf,
    },
    /// A place outside the project failed.
    #[error(transparent)]
    Store(#[from] matraz_store::Error),
    /// Another process is at work.
    #[error(transparent)]
    Lock(#[from] matraz_base::lock::LockError),
    /// Experiments.
    #[error(transparent)]
    Experiment(#[from] crate::experiment::ExperimentError),
    /// The user interrupted the work.
    #[error("interrupted")]
    Interrupted,
    /// `git` or its repository refused.
    #[error("cannot {action}: {message}")]
    Git {
        /// The verb.
        action: &'static str,
        /// What git said.
        message: String,
    },
}

/// Which rule a project file breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Those of its format: YAML, JSON, TOML or Python.
    Format,
    /// Those for what may stand in a `dvc.yaml`, `dvc.lock` or `.dvc` file.
    Schema,
    /// Those for templates: the file is fine, and a `${…}` or what it names is not.
    Template {
        /// The part of the file, as `stages.train.cmd`.
        entry: String,
        /// The file with the template.
        file: PathBuf,
    },
}

impl Error {
    /// The fault of a file as one of the templates in the part `entry` of the pipeline file `file`.
    pub(crate) fn in_template(self, entry: impl Into<String>, file: &Path) -> Self {
        match self {
            Self::Definition { fault: Fault::Schema, message, place, hint } => {
                let fault = Fault::Template { entry: entry.into(), file: file.to_path_buf() };
                Self::Definition { fault, message, place, hint }
            }
            other => other,
        }
    }

    /// Of an output that is specified twice, the stages that had it before those that are `new`.
    pub(crate) fn without_new(self, new: &[String]) -> Self {
        match self {
            Self::DuplicateOutput { path, stages } if stages.iter().any(|stage| !new.contains(stage)) => {
                let stages = stages.into_iter().filter(|stage| !new.contains(stage)).collect();
                Self::DuplicateOutput { path, stages }
            }
            other => other,
        }
    }

    /// For `map_err`: an error about `path` while doing `action`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_path_buf(), source }
    }

    /// A wrong configuration without a place in a file.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config { message: message.into(), place: None }
    }
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Kind::Missing,
                io::ErrorKind::PermissionDenied => Kind::Denied,
                io::ErrorKind::AlreadyExists => Kind::Exists,
                io::ErrorKind::Interrupted => Kind::Interrupted,
                _ => Kind::Failed,
            },
            Self::NotInProject { .. } => Kind::Outside,
            Self::NotInGit { .. } => Kind::Missing,
            Self::IgnorePattern { .. } => Kind::Config,
            Self::IgnoreFileInData { .. } => Kind::Unusable,
            Self::NotUnicode { .. } | Self::NotData { .. } => Kind::Conflict,
            Self::NoSuchFile { .. } | Self::NoSuchStage { .. } | Self::NotAStage { .. } => Kind::Missing,
            Self::NoStageName { .. } => Kind::Missing,
            Self::MissingDependency { .. }
            | Self::MissingData { .. }
            | Self::StageOutputMissing { .. }
            | Self::MissingParams { .. } => Kind::Missing,
            Self::IgnoredOutput { .. } | Self::GitIgnoredFile { .. } | Self::Cycle { .. } => Kind::Config,
            Self::DuplicateOutput { .. } | Self::OverlappingOutputs { .. } => Kind::Config,
            Self::StageInsideOutput { .. } | Self::OutsideOutput { .. } => Kind::Config,
            Self::FreezeFailed { cause, .. } => cause.kind(),
            Self::CommandFailed { .. } | Self::CommandNotRun { .. } => Kind::Failed,
            Self::ReproFailed { cause, .. } => match cause {
                Some(cause) if cause.kind() == Kind::Interrupted => Kind::Interrupted,
                _ => Kind::Failed,
            },
            Self::GitTrackedOutput { .. } | Self::Declined => Kind::Conflict,
            Self::NotAFile { .. } | Self::BinaryMetrics { .. } | Self::NotText { .. } => Kind::Config,
            Self::BadStage { .. } | Self::BadDataset { .. } | Self::DatasetOutOfStep { .. } => Kind::Conflict,
            Self::NoSuchDataset { .. } => Kind::Missing,
            Self::NoSuchRevision { .. } | Self::NotAvailable { .. } => Kind::Missing,
            Self::CloneFailed { .. } => Kind::Unreachable,
            Self::NoSuchPath { .. } | Self::NotInSource { .. } | Self::NothingAtUrl { .. } => Kind::Missing,
            Self::TooManyImports { .. } | Self::DvcFileAsData | Self::ConfigAndRemote => Kind::Conflict,
            Self::NotAnImport { .. } | Self::RepoToRemote | Self::NotVersioned { .. } => Kind::Conflict,
            Self::NoSuchDependency { .. } | Self::NoSuchArtifact { .. } => Kind::Missing,
            Self::NoLinkKind { .. } => Kind::Conflict,
            Self::NotAPlotFile { .. } | Self::PlotTable { .. } | Self::PlotNoRows { .. } => Kind::Config,
            Self::PlotEmptyList | Self::PlotNoFirstRow | Self::PlotSameSeries { .. } => Kind::Config,
            Self::PlotSources { .. } | Self::PlotJoin { .. } | Self::BadTemplate { .. } => Kind::Config,
            Self::NoPlaceholder { .. } | Self::TupleParam { .. } => Kind::Config,
            Self::NoPlotColumn { .. } | Self::NoPlotField { .. } | Self::NoTemplate { .. } => Kind::Missing,
            Self::NoBuiltInTemplate { .. } | Self::NoPlotProperty { .. } | Self::NoSuchOutput { .. } => {
                Kind::Missing
            }
            Self::NotAPlot { .. } => Kind::Conflict,
            Self::NoSuchTarget { .. } | Self::NoMatch { .. } | Self::CheckoutFailed { .. } => Kind::Missing,
            Self::MissingTree { .. } | Self::NothingThere { .. } => Kind::Missing,
            Self::NoRemote { .. } | Self::NoSuchRemote { .. } => Kind::Missing,
            Self::CommitDeclined { .. } => Kind::Conflict,
            Self::NotAnOutput { .. } | Self::NoSuchFolder { .. } => Kind::Missing,
            Self::Move { source, .. } => source.kind(),
            Self::InTheWay { .. } => Kind::Exists,
            Self::RemoteWithoutUrl { .. } => Kind::Config,
            Self::TransferFailed { .. } => Kind::Failed,
            Self::CollectFailed { source, .. } => source.kind(),
            Self::UnknownFolder { .. } | Self::NotMergeable { .. } => Kind::Conflict,
            Self::HookExists { .. } => Kind::Exists,
            Self::NoSuchRemoval { .. } | Self::EmptyTrash => Kind::Missing,
            Self::BadJournal { .. } => Kind::Corrupt,
            Self::StageFileAsOutput { .. } | Self::InternalPath { .. } | Self::InsideFile { .. } => {
                Kind::Conflict
            }
            Self::StageOutput { .. } => Kind::Conflict,
            Self::BadPattern { .. } => Kind::Conflict,
            Self::OutsideProject { .. }
            | Self::ThroughLink { .. }
            | Self::AddThroughLink { .. }
            | Self::PrivateLink { .. } => Kind::Denied,
            Self::UnsavedData { .. } => Kind::Conflict,
            Self::Corrupted { .. } | Self::BadTree { .. } => Kind::Corrupt,
            Self::Store(error) => error.kind(),
            Self::Lock(error) => error.kind(),
            Self::Experiment(error) => error.kind(),
            Self::Interrupted => Kind::Interrupted,
            Self::Init { .. } => Kind::Exists,
            Self::Config { .. } => Kind::Settings,
            Self::Definition { .. } => Kind::Config,
            Self::NoPath { .. } => Kind::Unusable,
            // A file that says so is as unusable as one whose remote cannot be reached.
            Self::NotYet { place: Some(_), .. } => Kind::Unusable,
            Self::NotYet { place: None, .. } => Kind::Usage,
            Self::Git { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Experiment(error) => error.hint(),
            Self::NotInProject { .. } => Some("go into a project, or make one with `matraz init`".into()),
            Self::Definition { hint, .. } => hint.clone(),
            Self::NoSuchStage { known, .. } if !known.is_empty() => {
                Some(format!("its stages: {}", known.join(", ")))
            }
            Self::NotAStage { .. } => {
                Some("give the name of a stage, `file:name`, or a `dvc.yaml` or `.dvc` file".into())
            }
            Self::IgnoredOutput { .. } => Some("change the pattern, or move the data".into()),
            Self::GitIgnoredFile { .. } => Some("take it out of `.gitignore`: git must keep it".into()),
            Self::NoSuchFile { path } if path.ends_with(crate::stage::PIPELINE_FILE) => Some(
                "name a stage, or a `dvc.yaml` or `.dvc` file, or go to a folder with a `dvc.yaml`; `repro -P` takes all"
                    .into(),
            ),
            Self::MissingDependency { .. } | Self::MissingData { .. } => Some("make it, or fetch it with `matraz pull`".into()),
            Self::MissingParams { .. } => Some("add them, or take them out of the stage".into()),
            Self::CommandFailed { stage, .. } => Some(format!("its output is kept: `matraz logs {stage}`")),
            Self::CommandNotRun { source, .. } => source.hint(),
            Self::GitTrackedOutput { path } => {
                Some(format!("run `git rm -r --cached '{0}'` and commit, then try again", path.display()))
            }
            Self::OutsideOutput { .. } => Some("say `cache: false` for it".into()),
            Self::Move { source, .. } => match &**source {
                // `move` has no `--force`.
                Self::InTheWay { .. } => Some("take it away first".into()),
                other => other.hint(),
            },
            Self::FreezeFailed { cause, .. } => cause.hint(),
            Self::ReproFailed { cause: Some(cause), .. } => cause.hint(),
            Self::IgnoreFileInData { .. } => {
                Some("move its patterns to the .dvcignore beside the tracked folder".into())
            }
            Self::UnsavedData { .. } => {
                Some("add or commit them to keep them, or use `--force` to lose them".into())
            }
            Self::CheckoutFailed { .. } => {
                Some("the cache has not all of them: run `pull` to fetch them from a remote".into())
            }
            Self::DuplicateOutput { stages, .. } => stages
                .last()
                .map(|stage| format!("run `remove {stage}` to stop tracking the overlapping output")),
            Self::ThroughLink { .. } | Self::AddThroughLink { .. } => Some("track the folder that the link leads to instead".into()),
            Self::PrivateLink { .. } => Some("remove the link, if you did not make it for a reason".into()),
            Self::OutsideProject { .. } => Some("only data below the project's root can be tracked".into()),
            Self::StageOutput { .. } => Some("run the pipeline, or `commit` the stage".into()),
            Self::MissingTree { .. } => Some("run `fetch` to get it from a remote".into()),
            Self::InTheWay { .. } => Some("use `--force` to replace it".into()),
            Self::CommitDeclined { .. } => Some("use `-f` to commit without being asked".into()),
            Self::NoRemote { known } if known.is_empty() => {
                Some("add one with `remote add -d NAME URL`".into())
            }
            Self::NoRemote { known } => {
                Some(format!("name one of them with `-r` or `remote default`: {}", known.join(", ")))
            }
            Self::NoLinkKind { .. } => Some("add 'copy' to the setting cache.type".into()),
            Self::CollectFailed { source, .. } => source.hint().or_else(|| {
                Some("mend it, or leave out commits that cannot be read with `--skip-failed`".into())
            }),
            Self::HookExists { .. } => Some("remove it, or call `git-hook` with its name from it".into()),
            Self::UnknownFolder { .. } => Some("fetch it, or use `-f` to give its files up".into()),
            Self::NoSuchRemoval { known, .. } if !known.is_empty() => {
                Some(format!("there are: {}", known.join(", ")))
            }
            Self::NotInSource { .. } => {
                Some("have it pushed there, or name the remote that has it with `--remote`".into())
            }
            Self::NotInGit { .. } => Some("run `git init`, or set `core.no_scm` to true".into()),
            Self::NoSuchDataset { close, .. } => close.as_ref().map(|name| format!("did you mean? {name}")),
            Self::DatasetOutOfStep { name } => Some(format!("run `dataset update {name}` to sync")),
            Self::TupleParam { .. } => Some("write a list".into()),
            Self::NotAPlot { .. } => Some("turn it into one with `plots modify`".into()),
            Self::NoTemplate { .. } | Self::NoBuiltInTemplate { .. } => Some(format!(
                "templates: {}",
                crate::compare::plots::template::names().collect::<Vec<_>>().join(", ")
            )),
            _ => None,
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::Config { place, .. } => place.as_ref(),
            Self::IgnorePattern { place, .. } => Some(place),
            Self::Definition { place, .. } | Self::NoPath { place, .. } => Some(place),
            Self::ReproFailed { cause: Some(cause), .. } => cause.place(),
            Self::CollectFailed { source, .. } => source.place(),
            Self::NotYet { place, .. } => place.as_deref(),
            _ => None,
        }
    }
}

/// What comes before the message about a fault: which file it is in, and what is wrong with it in general.
fn fault_preamble(fault: &Fault, place: &Place) -> String {
    let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    match fault {
        Fault::Format => format!("'{}' is invalid: ", name(&place.path)),
        Fault::Schema => format!("'{}' validation failed: ", name(&place.path)),
        Fault::Template { entry, file } => format!("failed to parse {entry} in '{}': ", name(file)),
    }
}

/// The first paths of a list, one a line when there are several.
fn list(paths: &[PathBuf]) -> String {
    const SHOWN: usize = 20;
    let mut lines: Vec<String> =
        paths.iter().take(SHOWN).map(|path| format!("'{}'", path.display())).collect();
    if paths.len() > SHOWN {
        lines.push(format!("and {} more", paths.len() - SHOWN));
    }
    if lines.len() == 1 { lines.swap_remove(0) } else { format!("\n  {}", lines.join("\n  ")) }
}

/// The names with their verb.
fn does(names: &[String]) -> String {
    format!("{} {}", named(names), if names.len() > 1 { "do" } else { "does" })
}

/// `'a', 'b' and 'c'`.
fn named(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

/// What follows the message of a failure: all that led to it.
fn reason(cause: Option<&Error>) -> String {
    let mut text = String::new();
    let mut next = cause.map(|cause| cause as &dyn std::error::Error);
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}
