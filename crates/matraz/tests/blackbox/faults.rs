//! What the world does to a project: no permission to write, full disks, clocks that jump, others at work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::gate::with_accuracy;
use crate::workspace::{Call, Workspace};

/// A call of the program in a name space of its own, in which `prepare` was run by a shell; `$1` is the project. `None`
/// where the system does not allow that.
fn in_own_mounts(w: &Workspace, prepare: &str, arguments: &[&str]) -> Option<Call> {
    let can = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        return None;
    }
    let program = w.command(arguments);
    let script = format!("set -e\n{prepare}\ncd \"$1\"; shift; exec \"$@\"");
    let mut own = Command::new("unshare");
    own.args(["-rm", "sh", "-c", &script, "sh"]).arg(w.root());
    own.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => own.env(name, value),
            None => own.env_remove(name),
        };
    }
    Some(Call::of(own.current_dir("/").stdin(Stdio::null()).output().unwrap()))
}

const READ_ONLY: &str = "mount --bind \"$1\" \"$1\"; mount -o remount,ro,bind \"$1\"";

#[test]
fn a_project_that_can_only_be_read_is_read() {
    let w = with_accuracy("0.9");
    w.write("data/a", "1\n");
    w.matraz(&["add", "data"]).succeeds();
    w.commit("data");
    w.write("params.yaml", "accuracy: 0.7\n");
    let before = w.files();
    let read = |arguments: &[&str]| in_own_mounts(&w, READ_ONLY, arguments);
    if read(&["status"]).is_none() {
        return; // No name spaces here: there is no way to take the right to write from root.
    }
    let read = |arguments: &[&str]| read(arguments).unwrap();
    read(&["status"]).succeeds().prints(&["params.yaml", "modified"]);
    read(&["dvc", "status", "--json"]).succeeds().prints(&["changed deps"]);
    read(&["dag", "--dot"]).succeeds().prints(&["train"]);
    read(&["metrics", "show"]).succeeds().prints(&["0.9"]);
    read(&["params", "diff"]).succeeds().prints(&["0.7"]);
    read(&["stage", "list"]).succeeds().prints(&["train"]);
    let runs = read(&["runs", "list", "--json"]).succeeds().json();
    assert_eq!(runs[0]["status"], "FINISHED");
    read(&["gate"]).succeeds().prints(&["passes the gate"]).says(&["not kept", "can only be read"]);
    // What has to write says where, and why not.
    read(&["add", "params.yaml"]).says(&[".dvc/tmp", "hint:"]).fails();
    read(&["repro"]).says(&[".dvc/tmp"]).fails();
    assert_eq!(w.files(), before);
}

#[test]
fn readers_do_not_wait_for_a_reproduction() {
    let w = Workspace::project();
    w.write("data/a", "1\n");
    w.matraz(&["add", "data"]).succeeds();
    w.write(
        "dvc.yaml",
        "stages:\n  a:\n    cmd: touch started; sleep 300\n    deps: [data]\n    outs: [a.txt]\n",
    );
    w.commit("first");
    // Another program that holds the project's lock for as long as it likes.
    let lock = fs::File::options().write(true).open(w.path(".dvc/tmp/lock")).unwrap();
    lock.lock().unwrap();
    for reader in READERS {
        w.matraz(reader).succeeds();
    }
    drop(lock);
    let mut repro = w.start(&["repro"]);
    wait_for(|| w.path("started").exists());
    for reader in READERS {
        w.matraz(reader).succeeds();
    }
    // The next command does not wait for a dead owner, but for a command of it that still writes.
    repro.kill().unwrap();
    repro.wait().unwrap();
    for reader in READERS {
        w.matraz(reader).succeeds();
    }
    w.write("dvc.yaml", "stages:\n  a:\n    cmd: cp data/a a.txt\n    deps: [data]\n    outs: [a.txt]\n");
    let mut second = w.start(&["repro"]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(second.try_wait().unwrap().is_none(), "it did not wait for the command of the dead");
    end_commands_in(&w);
    let second = Call::of(second.wait_with_output().unwrap()).succeeds();
    assert!(
        format!("{}{}", second.out, second.err).contains("it was killed"),
        "{}{}",
        second.out,
        second.err
    );
    assert_eq!(w.read("a.txt"), "1\n");
}

const READERS: &[&[&str]] = &[
    &["status"],
    &["dag"],
    &["metrics", "show"],
    &["params", "diff"],
    &["stage", "list"],
    &["config", "--list"],
    &["root"],
    &["remote", "list"],
    &["data", "status"],
    &["diff"],
    &["list", "."],
    &["why", "a"],
    &["gc", "-w", "--dry"],
];

#[test]
fn the_owner_of_the_lock_is_named() {
    let w = Workspace::project();
    w.write("a", "1\n");
    let lock =
        fs::File::options().write(true).create(true).truncate(false).open(w.path(".dvc/tmp/lock")).unwrap();
    lock.lock().unwrap();
    fs::write(w.path(".dvc/tmp/lock"), format!(" {}\n", std::process::id())).unwrap();
    let mut add = w.start(&["add", "a"]);
    std::thread::sleep(Duration::from_millis(400));
    assert!(add.try_wait().unwrap().is_none());
    drop(lock);
    let call = Call::of(add.wait_with_output().unwrap()).succeeds();
    assert!(call.err.contains(&format!("PID {}", std::process::id())), "{}", call.err);
    // A note that a dead owner left says nothing about the next one.
    let note = r#"{"pid": 1, "cmd": "matraz push", "host": "h", "since": 1, "mark": "x"}"#;
    fs::write(w.path(".dvc/tmp/matraz/lock-holder.json"), note).unwrap();
    w.write("b", "1\n");
    let call = w.matraz(&["add", "b"]).succeeds();
    assert_eq!(call.err, "");
}

#[test]
fn a_killed_reproduction_is_a_killed_run() {
    let w = with_accuracy("0.9");
    w.write("train.sh", "touch started\nsleep 300\n");
    let mut repro = w.start(&["repro"]);
    wait_for(|| w.path("started").exists());
    let runs = |w: &Workspace| w.matraz(&["runs", "list", "--all", "--json"]).succeeds().json();
    assert_eq!(runs(&w)[0]["status"], "RUNNING", "a run that goes on was ended");
    repro.kill().unwrap();
    repro.wait().unwrap();
    let all = runs(&w);
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 4);
    assert!(all[..2].iter().all(|run| run["status"] == "KILLED"), "{all:?}");
    assert!(all[2..].iter().all(|run| run["status"] == "FINISHED"));
    assert_eq!(all[0]["tags"]["matraz.error"], "the process was killed");
    assert_eq!(fs::read_dir(w.path(".dvc/tmp/matraz/recordings")).unwrap().count(), 0);
    end_commands_in(&w);
}

/// Ends the commands that a killed reproduction left behind.
fn end_commands_in(w: &Workspace) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let program = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if cwd == w.root() && program.trim() != "matraz" {
            let pid = entry.file_name().into_string().unwrap();
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    }
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let w = Workspace::project();
    fs::create_dir_all(w.path("data")).unwrap();
    for n in 0..20 {
        fs::write(w.path("data").join(format!("f{n}")), vec![n as u8; 200_000]).unwrap();
    }
    // The cache is on a disk that takes half of the data.
    let small = "mkdir -p \"$1/.dvc/cache\"; mount -t tmpfs -o size=2m none \"$1/.dvc/cache\"";
    let Some(call) = in_own_mounts(&w, small, &["add", "data"]) else { return };
    call.says(&["space", ".dvc/cache"]).fails();
    assert!(!w.path("data.dvc").exists() && !w.path(".gitignore").exists());
    w.matraz(&["add", "data"]).succeeds();
    // And now the workspace: what is there is whole, and the next try completes.
    fs::remove_dir_all(w.path("data")).unwrap();
    let small = "mkdir -p \"$1/data\"; mount -t tmpfs -o size=2m none \"$1/data\"";
    in_own_mounts(&w, small, &["checkout"]).unwrap().says(&["space", "data/f"]).fails();
    w.matraz(&["checkout"]).succeeds();
    assert_eq!(fs::read_dir(w.path("data")).unwrap().count(), 20);
    // And the remote.
    let remote = w.beside("remote");
    w.matraz(&["remote", "add", "-d", "r", remote.to_str().unwrap()]).succeeds();
    let small = format!("mkdir -p '{0}'; mount -t tmpfs -o size=1m none '{0}'", remote.display());
    in_own_mounts(&w, &small, &["push"]).unwrap().says(&["space", "remote"]).fails();
    w.matraz(&["push"]).succeeds();
    w.matraz(&["status", "-c"]).succeeds().prints(&["in sync"]);
}

#[test]
fn files_that_may_not_be_read_or_written_are_named() {
    let w = Workspace::project();
    w.write("data/open", "1\n");
    w.write("data/closed", "2\n");
    fs::set_permissions(w.path("data/closed"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(w.path("data/closed")).is_ok() {
        // Root reads everything: a file that stops being one is as bad.
        fs::remove_file(w.path("data/closed")).unwrap();
        std::os::unix::fs::symlink("closed", w.path("data/closed")).unwrap();
    }
    w.matraz(&["add", "data"]).says(&["data/closed"]).fails();
    assert!(!w.path("data.dvc").exists());
    fs::remove_file(w.path("data/closed")).unwrap();
    let made = Command::new("mkfifo").arg(w.path("data/pipe")).status().unwrap();
    assert!(made.success());
    w.matraz(&["add", "data"]).says(&["data/pipe"]).fails();
    fs::remove_file(w.path("data/pipe")).unwrap();
    w.matraz(&["add", "data"]).succeeds();
    // A cache that may only be read serves.
    fs::remove_dir_all(w.path("data")).unwrap();
    let closed =
        "mount --bind \"$1/.dvc/cache\" \"$1/.dvc/cache\"; mount -o remount,ro,bind \"$1/.dvc/cache\"";
    if let Some(call) = in_own_mounts(&w, closed, &["checkout"]) {
        call.succeeds();
        assert_eq!(w.read("data/open"), "1\n");
        w.write("more", "3\n");
        in_own_mounts(&w, closed, &["add", "more"]).unwrap().says(&[".dvc/cache"]).fails();
        in_own_mounts(&w, closed, &["status"]).unwrap().succeeds().prints(&["up to date"]);
    }
}

#[test]
fn an_edit_that_leaves_no_trace_in_time_and_size_is_seen() {
    let w = Workspace::project();
    for round in 0..8u8 {
        w.write("a", &format!("{round}\n"));
        w.write("d/b", &format!("{round}\n"));
        w.matraz(&["add", "a", "d"]).succeeds();
        // The same size, and at once.
        w.write("a", &format!("{}\n", round + 1));
        w.write("d/b", &format!("{}\n", round + 1));
        w.matraz(&["status"]).succeeds().prints(&["a.dvc", "d.dvc"]);
    }
}

#[test]
fn clocks_that_jump_change_nothing() {
    let w = Workspace::project();
    let year = Duration::from_secs(365 * 24 * 3600);
    for (n, time) in [SystemTime::UNIX_EPOCH, SystemTime::now() - 20 * year, SystemTime::now() + 50 * year]
        .into_iter()
        .enumerate()
    {
        let name = format!("f{n}");
        w.write(&name, "1\n");
        let file = fs::File::options().write(true).open(w.path(&name)).unwrap();
        file.set_modified(time).unwrap();
        w.matraz(&["add", &name]).succeeds();
        w.matraz(&["status"]).succeeds().prints(&["up to date"]);
        // Other content of the same size that claims to be as old.
        w.write(&name, "2\n");
        fs::File::options().write(true).open(w.path(&name)).unwrap().set_modified(time).unwrap();
        let out = w.matraz(&["status"]).succeeds().out;
        if time > SystemTime::now() {
            assert!(out.contains(&name), "a time in the future was trusted: {out}");
        }
        w.matraz(&["checkout", "--force"]).succeeds();
        fs::remove_file(w.path(&name)).unwrap();
        w.matraz(&["checkout"]).succeeds();
        assert_eq!(w.read(&name), "1\n");
    }
}

#[test]
fn files_that_change_or_vanish_while_they_are_read_do_not_deceive() {
    let w = Workspace::project();
    fs::create_dir(w.path("data")).unwrap();
    let big = vec![b'x'; 24 << 20];
    for n in 0..3 {
        fs::write(w.path("data").join(format!("f{n}")), &big).unwrap();
    }
    let mut add = w.start(&["add", "data"]);
    let mut round = 0u64;
    while add.try_wait().unwrap().is_none() {
        round += 1;
        use std::os::unix::fs::FileExt;
        let file = fs::File::options().write(true).open(w.path(&format!("data/f{}", round % 3))).unwrap();
        file.write_all_at(format!("{round:08}").as_bytes(), (round * 7_919) % (23 << 20)).unwrap();
    }
    // Whatever came of it, each object is what its name says, and what differs from it now is seen to differ.
    check_objects(&w);
    w.matraz(&["add", "data"]).succeeds();
    w.matraz(&["status"]).succeeds().prints(&["up to date"]);
    check_objects(&w);
    fs::remove_dir_all(w.path("data")).unwrap();
    fs::create_dir(w.path("data")).unwrap();
    for n in 0..600 {
        fs::write(w.path("data").join(format!("g{n}")), vec![b'y'; 3_000]).unwrap();
    }
    let mut add = w.start(&["add", "data"]);
    for n in (0..600).rev() {
        let _ = fs::remove_file(w.path("data").join(format!("g{n}")));
        if add.try_wait().unwrap().is_some() {
            break;
        }
    }
    let call = Call::of(add.wait_with_output().unwrap());
    assert!(call.code == 0 || call.err.contains("data/g"), "{}", call.err);
    check_objects(&w);
}

fn check_objects(w: &Workspace) {
    let root = w.path(".dvc/cache/files/md5");
    for folder in fs::read_dir(&root).into_iter().flatten() {
        let folder = folder.unwrap().path();
        for object in fs::read_dir(&folder).into_iter().flatten() {
            let object = object.unwrap().path();
            let name = object.strip_prefix(&root).unwrap().to_str().unwrap().replace('/', "");
            let digest = matraz_data::hash::md5::of_bytes(&fs::read(&object).unwrap());
            let is: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(is, name.trim_end_matches(".dir"));
        }
    }
}

#[test]
fn several_at_once_do_not_disturb_one_another() {
    let w = Workspace::project();
    w.write("params.yaml", "n: 1\n");
    w.write(
        "dvc.yaml",
        "stages:\n  a:\n    cmd: cp params.yaml a.txt; sleep 0.2\n    params: [n]\n    outs: [a.txt]\n  \
         b:\n    cmd: cat a.txt > b.txt\n    deps: [a.txt]\n    outs: [b.txt]\n",
    );
    for n in 0..6 {
        fs::create_dir(w.path(&format!("d{n}"))).unwrap();
        for m in 0..40 {
            w.write(&format!("d{n}/f{m}"), &format!("{m}"));
        }
    }
    let remote = w.beside("remote");
    w.matraz(&["remote", "add", "-d", "r", remote.to_str().unwrap()]).succeeds();
    fs::create_dir(w.path("early")).unwrap();
    w.write("early/f", "early\n");
    w.matraz(&["add", "early"]).succeeds();
    let commands: [&[&str]; 10] = [
        &["add", "d0"],
        &["repro"],
        &["add", "d1", "d2"],
        &["push"],
        &["add", "d3"],
        &["repro"],
        &["status"],
        &["add", "d4", "d5"],
        &["checkout", "early"],
        &["push"],
    ];
    let started: Vec<_> = commands.iter().map(|command| (command, w.start(command))).collect();
    for (command, child) in started {
        let call = Call::of(child.wait_with_output().unwrap());
        assert_eq!(call.code, 0, "{command:?}: {}{}", call.out, call.err);
    }
    w.matraz(&["status"]).succeeds().prints(&["up to date"]);
    for n in 0..6 {
        assert!(w.path(&format!("d{n}.dvc")).exists());
        assert!(w.read(".gitignore").contains(&format!("/d{n}\n")));
    }
    assert_eq!(w.read("b.txt"), "n: 1\n");
    w.matraz(&["push"]).succeeds();
    w.matraz(&["status", "-c"]).succeeds().prints(&["in sync"]);
}

#[test]
fn wrong_bytes_from_a_remote_are_named_and_not_used() {
    let w = Workspace::project();
    w.write("data/a", "right\n");
    w.write("data/b", "also right\n");
    w.matraz(&["add", "data"]).succeeds();
    let remote = w.beside("remote");
    w.matraz(&["remote", "add", "-d", "r", remote.to_str().unwrap()]).succeeds();
    w.matraz(&["push"]).succeeds();
    let digest = matraz_data::hash::md5::of_bytes(b"right\n");
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let object = remote.join("files/md5").join(&name[..2]).join(&name[2..]);
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
    for wrong in ["wrong\n", ""] {
        fs::write(&object, wrong).unwrap();
        let _ = fs::remove_dir_all(w.path(".dvc/cache"));
        let _ = fs::remove_dir_all(w.path("data"));
        w.matraz(&["pull"]).says(&[&name[2..]]).fails();
        assert!(!w.path("data/a").exists());
        assert!(!w.path(".dvc/cache/files/md5").join(&name[..2]).join(&name[2..]).exists());
    }
}

fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..600 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not happen within 30 s");
}
