//! Whether runs, lock files and cache agree.

use crate::lineage::pipeline;

#[test]
fn runs_lock_and_cache_agree_until_they_do_not() {
    let w = pipeline();
    w.matraz(&["verify"]).succeeds().prints(&["2 of 2 stages proven", "nothing contradicts"]);

    // Commit Y has its own run; then the lock file of commit X is put in its place.
    let old = w.read("dvc.lock");
    w.write("data.csv", "id,x\n1,10\n2,20\n3,30\n");
    w.matraz(&["repro"]).succeeds();
    w.commit("more rows");
    w.matraz(&["verify", "--json"]).succeeds();
    w.write("dvc.lock", &old);
    w.commit("the wrong lock");
    let report = w.matraz(&["verify", "--json"]).ends_with(1).json();
    let problems = report["problems"].as_array().unwrap();
    let stale = problems.iter().find(|one| one["fault"] == "stale_lock").unwrap();
    assert_eq!(stale["stage"], "clean", "{report}");
    w.matraz(&["verify"]).ends_with(1).prints(&["data.csv", "data.csv.dvc"]);
    w.git_do(&["checkout", "-q", "HEAD~1"]);

    // What a run made is gone.
    let digest = w.read("dvc.lock").split("path: clean.csv").nth(1).unwrap().split("md5: ").nth(1).unwrap()
        [..32]
        .to_owned();
    let object = w.path(&format!(".dvc/cache/files/md5/{}/{}", &digest[..2], &digest[2..]));
    std::fs::remove_file(object).unwrap();
    w.matraz(&["verify"]).ends_with(1).prints(&["clean.csv of run", "not in the cache"]);
}

#[test]
fn the_lock_of_one_commit_with_the_run_of_another_is_named() {
    let w = pipeline();
    let old = w.read("dvc.lock");
    let head = || w.git_do(&["rev-parse", "HEAD"]).trim()[..7].to_owned();
    let x = w.git_do(&["rev-parse", "HEAD~1"]).trim()[..7].to_owned();
    w.write("params.yaml", "seed: 1\nrate: 0.7\n");
    w.matraz(&["repro"]).succeeds();
    w.commit("Y");
    let y = head();
    w.matraz(&["repro", "-f"]).succeeds();
    w.write("dvc.lock", &old);
    w.commit("the lock of X");
    let report = w.matraz(&["verify", "--json"]).ends_with(1).json();
    let problems = report["problems"].as_array().unwrap();
    let other = problems.iter().find(|one| one["fault"] == "other_run").unwrap_or_else(|| panic!("{report}"));
    let said = format!(
        "commit {} has the results of stage train from a run of commit {x}; the run of commit {y} made others",
        head()
    );
    assert_eq!(other["message"], said.as_str());
    w.matraz(&["verify"]).ends_with(1).prints(&[&said]);
}

#[test]
fn a_lock_that_no_run_made_is_named() {
    let w = pipeline();
    let changed = w.read("dvc.lock").replace("rate: 0.5", "rate: 0.6");
    w.write("dvc.lock", &changed);
    w.commit("an edited lock");
    w.matraz(&["verify"])
        .ends_with(1)
        .prints(&["stage train ran with rate", "other dependencies or parameters"]);
    std::fs::remove_file(w.path("mlflow.db")).unwrap();
    w.matraz(&["verify"]).ends_with(4);
}
