//! Data under version control: out, back, and away.

use std::fs;

use crate::workspace::Workspace;

#[test]
fn data_go_to_a_remote_and_come_back() {
    let w = Workspace::project();
    w.write("data/a.csv", "1\n2\n");
    w.write("data/sub/ünï côde.txt", "x\n");
    w.write("raw.bin", "bytes");
    w.matraz(&["add", "data", "raw.bin"]).succeeds();
    assert!(w.read(".gitignore").contains("/data"), "{}", w.read(".gitignore"));
    let remote = w.beside("remote");
    w.matraz(&["remote", "add", "-d", "storage", remote.to_str().unwrap()]).succeeds();
    w.matraz(&["push"]).succeeds().prints(&["4 files pushed"]);
    w.matraz(&["push"]).succeeds().prints(&["Everything is up to date."]);
    w.matraz(&["status", "-c"]).succeeds();

    fs::remove_dir_all(w.path(".dvc/cache")).unwrap();
    fs::remove_dir_all(w.path("data")).unwrap();
    fs::remove_file(w.path("raw.bin")).unwrap();
    w.matraz(&["pull"]).succeeds();
    assert_eq!(w.read("data/sub/ünï côde.txt"), "x\n");
    assert_eq!(w.read("raw.bin"), "bytes");
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().out.trim(), "{}");
}

#[test]
fn only_what_changed_runs() {
    let w = Workspace::project();
    w.write("in.txt", "1\n");
    w.write("params.yaml", "factor: 2\n");
    w.write(
        "dvc.yaml",
        "stages:\n  copy:\n    cmd: cp in.txt mid.txt\n    deps: [in.txt]\n    outs: [mid.txt]\n  \
         scale:\n    cmd: echo ${factor} > out.txt\n    deps: [mid.txt]\n    params: [factor]\n    outs: [out.txt]\n",
    );
    w.matraz(&["repro"]).succeeds().prints(&["Running stage 'copy'", "Running stage 'scale'"]);
    let lock = w.read("dvc.lock");
    assert!(lock.starts_with("schema: '2.0'\nstages:\n  copy:\n    cmd: cp in.txt mid.txt\n"), "{lock}");
    w.write("params.yaml", "factor: 3\n");
    w.matraz(&["repro", "--dry"]).succeeds().prints(&["'scale'"]);
    assert_eq!(w.read("out.txt"), "2\n");
    let out =
        w.matraz(&["repro"]).succeeds().prints(&["Stage 'copy' didn't change", "Running stage 'scale'"]).out;
    assert!(!out.contains("Running stage 'copy'"), "{out}");
    assert_eq!(w.read("out.txt"), "3\n");

    w.write("params.yaml", "factor: 2\n");
    w.matraz(&["repro"]).succeeds().prints(&["Stage 'scale' is cached"]);
    assert_eq!(w.read("out.txt"), "2\n");
    w.matraz(&["repro", "-f"]).succeeds().prints(&["Running stage 'copy'", "Running stage 'scale'"]);
    w.matraz(&["dag", "--dot"]).succeeds().prints(&["\"copy\" -> \"scale\";"]);
}

#[test]
fn nothing_is_stored_when_the_listing_of_the_folder_is_gone() {
    let w = Workspace::project();
    w.write("d/a", "a");
    w.matraz(&["add", "d"]).succeeds();
    fs::remove_dir_all(w.path(".dvc/cache")).unwrap();
    w.write("d/b", "b");
    w.matraz(&["dvc", "add", "d/b"]).ends_with(1);
    assert!(!w.path(".dvc/cache").exists());
}
