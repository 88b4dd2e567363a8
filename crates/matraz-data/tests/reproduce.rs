//! Reproduction of small pipelines, by the library alone.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made must fail the test")]

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use matraz_base::process::Interrupt;
use matraz_base::progress::{Silent, Task, Unit};
use matraz_base::{Explain, Kind, Progress};
use matraz_data::pipeline::logs::{self, Status};
use matraz_data::pipeline::{
    self, OnFailure, Outcome, Piece, Pools, Request, RunOptions, RunReport, Watcher,
};
use matraz_data::repo::InitOptions;
use matraz_data::stage::Stage;
use matraz_data::{Error, Places, Repo};

struct Project {
    _folder: tempfile::TempDir,
    repo: Repo,
}

/// Notes what became of every stage.
#[derive(Default)]
struct Notes(RefCell<Vec<String>>);

impl Watcher for Notes {
    fn stage_started(&self, stage: &Stage) -> Vec<(String, String)> {
        vec![("FROM_WATCHER".into(), stage.address.name.clone().unwrap_or_default())]
    }

    fn stage_ended(&self, stage: &Stage, outcome: &Outcome) {
        let word = match outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Frozen => "frozen",
            Outcome::Restored { .. } => "restored",
            Outcome::Ran { .. } => "ran",
            Outcome::Failed { interrupted: true, .. } => "interrupted",
            Outcome::Failed { .. } => "failed",
            Outcome::Planned => "planned",
        };
        self.0.borrow_mut().push(format!("{} {word}", stage.address.name.clone().unwrap_or_default()));
    }
}

impl Project {
    fn new(dvc_yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("project");
        fs::create_dir(&root).unwrap();
        let places = Places {
            global_config_dir: folder.path().join("global"),
            system_config_dir: folder.path().join("system"),
            site_cache_dir: folder.path().join("site"),
            home: None,
            lists_projects: false,
        };
        let repo =
            Repo::init(&root, InitOptions { no_scm: true, ..InitOptions::default() }, &places).unwrap();
        let project = Self { _folder: folder, repo };
        project.write("dvc.yaml", dvc_yaml);
        project
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.repo.root.join(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.repo.root.join(path)).unwrap_or_default()
    }

    fn repro(&self, change: impl FnOnce(&mut RunOptions<'_>)) -> (Result<RunReport, Error>, Vec<String>) {
        self.repro_until(&Interrupt::new(), change)
    }

    fn repro_until(
        &self,
        interrupt: &Interrupt,
        change: impl FnOnce(&mut RunOptions<'_>),
    ) -> (Result<RunReport, Error>, Vec<String>) {
        self.repro_telling(interrupt, &Silent, change)
    }

    fn repro_telling(
        &self,
        interrupt: &Interrupt,
        progress: &dyn Progress,
        change: impl FnOnce(&mut RunOptions<'_>),
    ) -> (Result<RunReport, Error>, Vec<String>) {
        let show = |_: &Piece<'_>| {};
        let mut options = RunOptions {
            request: Request { cwd: self.repo.root.clone(), ..Request::default() },
            force: false,
            force_downstream: false,
            dry: false,
            no_commit: false,
            run_cache: true,
            allow_missing: false,
            pull: false,
            jobs: 1,
            pools: Pools::new(),
            on_failure: OnFailure::Stop,
            confirm: None,
            fail_as_dvc: false,
            shell: "/bin/sh".into(),
            env: Vec::new(),
            show: &show,
        };
        change(&mut options);
        let notes = Notes::default();
        let report = pipeline::run(&self.repo, &options, &notes, progress, interrupt);
        (report, notes.0.into_inner())
    }
}

const LINEAR: &str = "\
stages:
  prepare:
    cmd: mkdir -p data && cp in data/a && echo $FROM_WATCHER > data/b
    deps: [in]
    outs: [data]
  train:
    cmd: cat data/a > model && echo ${lr} >> model
    deps: [data]
    params: [lr]
    outs: [model]
  evaluate:
    cmd: wc -c < model > size.txt
    deps: [model]
    metrics: [{size.txt: {cache: false}}]
";

fn linear() -> Project {
    let project = Project::new(LINEAR);
    project.write("in", "1\n");
    project.write("params.yaml", "lr: 0.1\nother: 1\n");
    project
}

#[test]
fn only_what_changed_runs_and_equal_runs_come_back() {
    let project = linear();
    let (report, notes) = project.repro(|_| {});
    assert_eq!(report.unwrap().reproduced.len(), 3);
    assert_eq!(notes, ["prepare ran", "train ran", "evaluate ran"]);
    assert_eq!(project.read("data/b"), "prepare\n");
    let lock = project.read("dvc.lock");

    let (report, notes) = project.repro(|_| {});
    assert!(report.unwrap().reproduced.is_empty());
    assert_eq!(notes, ["prepare unchanged", "train unchanged", "evaluate unchanged"]);

    project.write("params.yaml", "lr: 0.25\nother: 2\n");
    let (report, notes) = project.repro(|_| {});
    report.unwrap();
    assert_eq!(notes, ["prepare unchanged", "train ran", "evaluate ran"]);
    assert_eq!(project.read("model"), "1\n0.25\n");

    project.write("params.yaml", "lr: 0.1\n");
    let (report, notes) = project.repro(|_| {});
    report.unwrap();
    assert_eq!(notes, ["prepare unchanged", "train restored", "evaluate restored"]);
    assert_eq!(project.read("model"), "1\n0.1\n");
    assert_eq!(project.read("dvc.lock"), lock);

    let (report, notes) = project.repro(|options| options.force = true);
    report.unwrap();
    assert_eq!(notes, ["prepare ran", "train ran", "evaluate ran"]);
    assert_eq!(project.read("dvc.lock"), lock);
}

#[test]
fn an_unchanged_result_stops_what_follows() {
    let project = linear();
    project.repro(|_| {}).0.unwrap();
    // The command differs and the data do not.
    project.write("dvc.yaml", &LINEAR.replace("cp in data/a", "cat in > data/a"));
    let (report, notes) = project.repro(|_| {});
    report.unwrap();
    assert_eq!(notes, ["prepare ran", "train unchanged", "evaluate unchanged"]);
}

#[test]
fn a_dry_run_touches_nothing() {
    let project = linear();
    let (report, notes) = project.repro(|options| {
        options.dry = true;
        options.request.targets = vec!["train".into()];
    });
    report.unwrap();
    assert_eq!(notes, ["prepare planned", "train planned"]);
    assert!(!project.repo.root.join("dvc.lock").exists() && !project.repo.root.join("data").exists());
}

#[test]
fn a_failure_keeps_what_was_done_and_its_output() {
    let project = linear();
    let broken = LINEAR.replace("cat data/a > model && echo ${lr} >> model", "echo why it fails >&2; exit 3");
    project.write("dvc.yaml", &broken);
    let (report, notes) = project.repro(|_| {});
    let error = report.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to reproduce 'train': failed to run: echo why it fails >&2; exit 3, exited with 3"
    );
    let Error::ReproFailed { cause: Some(cause), .. } = &error else { panic!("{error:?}") };
    assert!(matches!(cause.as_ref(), Error::CommandFailed { code: 3, .. }), "{cause:?}");
    let log = &logs::of_stage(&project.repo, "train").unwrap()[0].log;
    assert!(fs::read_to_string(log).unwrap().ends_with("\nwhy it fails\n"));
    assert_eq!(notes, ["prepare ran", "train failed"]);
    assert!(project.read("dvc.lock").contains("prepare") && !project.read("dvc.lock").contains("train"));

    let (report, notes) = project.repro(|options| options.on_failure = OnFailure::KeepGoing);
    assert!(report.is_err());
    assert_eq!(notes, ["prepare unchanged", "train failed"]);
}

#[test]
fn missing_things_are_named() {
    let project = linear();
    let cases: [(&str, &dyn Fn(), &str); 3] = [
        (
            "in",
            &|| fs::remove_file(project.repo.root.join("in")).unwrap(),
            "dependency 'in' does not exist (stage 'prepare')",
        ),
        ("params.yaml", &|| project.write("params.yaml", "lr: 1\n"), ""),
        (
            "dvc.yaml",
            &|| project.write("dvc.yaml", "stages:\n  s: {cmd: 'true', outs: [nothing]}\n"),
            "output 'nothing' does not exist (stage 's')",
        ),
    ];
    for (name, breaks, message) in cases {
        breaks();
        let (report, _) = project.repro(|_| {});
        match report {
            Err(Error::ReproFailed { cause: Some(cause), .. }) => {
                assert_eq!(cause.to_string(), message, "{name}")
            }
            Ok(_) => assert!(message.is_empty(), "{name}"),
            Err(other) => panic!("{name}: {other}"),
        }
        project.write("in", "1\n");
    }
    project.write("dvc.yaml", "stages:\n  s: {cmd: 'true', params: [a.b], outs: [o]}\n");
    let (report, _) = project.repro(|_| {});
    let Err(Error::ReproFailed { cause: Some(cause), .. }) = report else { panic!("{report:?}") };
    assert_eq!(cause.to_string(), "Parameters 'a.b' are missing from 'params.yaml' (stage 's')");
}

#[test]
fn an_interrupt_ends_the_command_and_keeps_earlier_stages() {
    let project = linear();
    let slow = LINEAR.replace("cat data/a > model", "echo up > started; sleep 60; cat data/a > model");
    project.write("dvc.yaml", &slow);
    let interrupt = Interrupt::new();
    let raiser = {
        let (interrupt, started) = (interrupt.clone(), project.repo.root.join("started"));
        std::thread::spawn(move || {
            while !started.exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            interrupt.raise();
        })
    };
    let (report, notes) = project.repro_until(&interrupt, |_| {});
    raiser.join().unwrap();
    assert_eq!(report.unwrap_err().kind(), Kind::Interrupted);
    assert_eq!(notes, ["prepare ran", "train interrupted"]);
    assert!(project.read("dvc.lock").contains("prepare"));
    assert_eq!(project.read(".dvc/tmp/rwlock").trim(), "{}");
    // The project's lock is free again.
    project.write("dvc.yaml", LINEAR);
    assert_eq!(project.repro(|_| {}).1, ["prepare unchanged", "train ran", "evaluate ran"]);
}

/// Ends the use of all paths by others as soon as it hears of the waiting.
struct Frees {
    table: PathBuf,
    heard: Mutex<Vec<String>>,
}

impl Progress for Frees {
    fn begin(&self, _: &str, _: u64, _: Unit) -> Task {
        Task(0)
    }
    fn advance(&self, _: Task, _: u64) {}
    fn end(&self, _: Task) {}
    fn say(&self, _: &str) {}
    fn warn(&self, line: &str) {
        self.heard.lock().unwrap().push(line.to_owned());
        fs::write(&self.table, "{}").unwrap();
    }
}

#[test]
fn paths_in_use_are_waited_for() {
    let project = linear();
    let path = project.repo.root.join("model");
    let other = std::os::unix::process::parent_id();
    let table =
        format!("{{\"write\": {{\"{}\": {{\"pid\": {other}, \"cmd\": \"dvc repro\"}}}}}}", path.display());
    project.write(".dvc/tmp/rwlock", &table);
    let progress = Frees { table: project.repo.root.join(".dvc/tmp/rwlock"), heard: Mutex::default() };
    let (report, notes) = project.repro_telling(&Interrupt::new(), &progress, |_| {});
    report.unwrap();
    assert_eq!(notes, ["prepare ran", "train ran", "evaluate ran"]);
    let heard = progress.heard.into_inner().unwrap();
    assert_eq!(heard, [format!("waiting for dvc repro (PID {other}), which uses '{}'", path.display())]);
}

#[test]
fn outputs_outside_the_project_are_not_removed() {
    let project = linear();
    let outside = project.repo.root.parent().unwrap().join("precious");
    fs::write(&outside, "data").unwrap();
    project.write("dvc.yaml", "stages:\n  s: {cmd: echo 1 > ../precious, outs: [../precious]}\n");
    let (report, _) = project.repro(|_| {});
    let Err(Error::ReproFailed { cause: Some(cause), .. }) = report else { panic!("{report:?}") };
    assert!(matches!(*cause, Error::OutsideOutput { .. }), "{cause}");
    assert_eq!(fs::read_to_string(outside).unwrap(), "data");
}

#[test]
fn commands_of_a_list_have_shells_of_their_own() {
    let project = Project::new(
        "stages:\n  s:\n    cmd:\n    - X=1; export X; cd /\n    - echo \"[$X]\" $DVC_STAGE > o\n    outs: [o]\n  \
         t:\n    cmd: |\n      Y=2\n      echo \"[$Y]\" > p\n    outs: [p]\n",
    );
    project.repro(|_| {}).0.unwrap();
    assert_eq!((project.read("o").as_str(), project.read("p").as_str()), ("[] s\n", "[]\n"));
    let kept = &logs::of_stage(&project.repo, "s").unwrap()[0];
    assert_eq!((kept.status, kept.exit_code, kept.cmd.len()), (Status::Succeeded, Some(0), 2));
    let mut text = Vec::new();
    logs::read(kept, &mut |piece| text.extend_from_slice(piece)).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "> X=1; export X; cd /\n> echo \"[$X]\" $DVC_STAGE > o\n");
}
