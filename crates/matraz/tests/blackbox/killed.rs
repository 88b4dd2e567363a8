//! A command that is killed at any moment leaves nothing that is not what it seems, and the next try completes.
//!
//! `MATRAZ_FAULT_ROUNDS` says how often each command is killed; `make bench-faults` sets it high.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use matraz_data::hash::md5;
use matraz_data::hash::tree::Tree;

use crate::workspace::Workspace;

/// How often each command is killed.
fn rounds() -> u32 {
    std::env::var("MATRAZ_FAULT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

/// The same numbers in every run of the test.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between 0 and 1.
    fn share(&mut self) -> f64 {
        (self.next() % 10_000) as f64 / 10_000.0
    }
}

/// A project with a folder of data and a remote.
struct Scene {
    w: Workspace,
    data: BTreeMap<String, Vec<u8>>,
}

impl Scene {
    fn new() -> Self {
        let w = Workspace::project();
        let mut data = BTreeMap::new();
        for n in 0..240usize {
            let size = if n % 80 == 79 { 1_500_000 } else { n * 37 % 5_000 };
            let content: Vec<u8> = (0..size).map(|at| (at * (n + 7) / 3) as u8).collect();
            data.insert(format!("{}/f{n}", n % 5), content);
        }
        let scene = Self { w, data };
        scene.write_data();
        let remote = scene.w.beside("remote");
        scene.w.matraz(&["remote", "add", "-d", "store", remote.to_str().unwrap()]).succeeds();
        scene
    }

    fn write_data(&self) {
        for (name, content) in &self.data {
            let path = self.w.path("data").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    fn cache(&self) -> PathBuf {
        self.w.path(".dvc/cache")
    }

    fn remote(&self) -> PathBuf {
        self.w.beside("remote")
    }

    fn forget(&self, names: &[&str]) {
        for name in names {
            remove(&self.w.path(name));
        }
    }

    /// All of the data are in the workspace.
    #[track_caller]
    fn data_are_whole(&self) {
        for (name, content) in &self.data {
            assert_eq!(&fs::read(self.w.path("data").join(name)).unwrap(), content, "{name}");
        }
        assert_eq!(files_below(&self.w.path("data")).len(), self.data.len());
    }

    /// What is in the workspace is whole, whether or not all is there.
    #[track_caller]
    fn no_half_data(&self) {
        for path in files_below(&self.w.path("data")) {
            let name = path.strip_prefix(self.w.path("data")).unwrap().to_str().unwrap();
            if !is_temporary(&path) {
                assert_eq!(fs::read(&path).unwrap(), self.data[name], "{name}");
            }
        }
    }

    /// Every object is what its name says, and a listing on the remote names objects that are there. In a cache a listing
    /// comes first: it says what else to fetch.
    #[track_caller]
    fn objects_are_right(&self) {
        for store in [self.cache(), self.remote()] {
            let objects = store.join("files/md5");
            for path in files_below(&objects) {
                if is_temporary(&path) {
                    continue;
                }
                let key = path.strip_prefix(&objects).unwrap().to_str().unwrap().replace('/', "");
                let bytes = fs::read(&path).unwrap();
                let is = hex(&md5::of_bytes(&bytes));
                assert_eq!(is, key.trim_end_matches(".dir"), "{}", path.display());
                if key.ends_with(".dir") && store == self.remote() {
                    for entry in Tree::parse(&bytes).unwrap().entries() {
                        let there = store.join(entry.digest.key());
                        assert!(
                            there.exists(),
                            "{} names {}, which is not there",
                            path.display(),
                            entry.path
                        );
                    }
                }
            }
        }
    }

    /// No temporary file is left anywhere.
    #[track_caller]
    fn no_litter(&self) {
        for folder in [self.w.root(), self.cache(), self.remote()] {
            let litter: Vec<PathBuf> = files_below(&folder).into_iter().filter(|p| is_temporary(p)).collect();
            assert!(litter.is_empty(), "{litter:?}");
        }
    }

    /// Kills a command again and again, each time at another moment, and lets it complete after that.
    fn torture(
        &self,
        seed: u64,
        command: &[&str],
        reset: impl Fn(),
        after_kill: impl Fn(),
        after_end: impl Fn(),
    ) {
        let mut dice = Dice(seed);
        reset();
        let start = Instant::now();
        self.w.matraz(command).succeeds();
        let whole = start.elapsed();
        after_end();
        for _ in 0..rounds() {
            reset();
            // At times the second try is killed as well.
            for _ in 0..1 + dice.next() % 2 {
                let mut child =
                    self.w.command(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                std::thread::sleep(whole.mul_f64(dice.share()).min(Duration::from_secs(5)));
                child.kill().unwrap();
                child.wait().unwrap();
                self.objects_are_right();
                after_kill();
            }
            self.w.matraz(command).succeeds();
            self.objects_are_right();
            self.no_litter();
            after_end();
        }
    }
}

#[test]
fn add() {
    let scene = Scene::new();
    let whole = || {
        assert_eq!(scene.w.matraz(&["status", "--json"]).succeeds().out.trim(), "{}");
        scene.data_are_whole();
        assert_eq!(scene.w.read(".gitignore"), "/data\n");
    };
    let reset = || scene.forget(&[".dvc/cache", "data.dvc", ".gitignore", ".dvc/tmp"]);
    scene.torture(11, &["add", "data"], reset, || scene.data_are_whole(), whole);
}

#[test]
fn checkout() {
    let scene = Scene::new();
    scene.w.matraz(&["add", "data"]).succeeds();
    let reset = || scene.forget(&["data"]);
    scene.torture(12, &["checkout"], reset, || scene.no_half_data(), || scene.data_are_whole());
}

#[test]
fn push() {
    let scene = Scene::new();
    scene.w.matraz(&["add", "data"]).succeeds();
    let reset = || remove(&scene.remote());
    let whole = || assert_eq!(scene.w.matraz(&["status", "-c", "--json"]).succeeds().out.trim(), "{}");
    scene.torture(13, &["push"], reset, || (), whole);
}

#[test]
fn pull() {
    let scene = Scene::new();
    scene.w.matraz(&["add", "data"]).succeeds();
    scene.w.matraz(&["push"]).succeeds();
    let reset = || scene.forget(&["data", ".dvc/cache"]);
    scene.torture(14, &["pull"], reset, || scene.no_half_data(), || scene.data_are_whole());
}

#[test]
fn repro() {
    let scene = Scene::new();
    scene.w.matraz(&["add", "data"]).succeeds();
    // Each stage leaves a mark outside of its outputs when its command is through.
    let mut text = "stages:\n".to_owned();
    for n in 0..4 {
        let dep = if n == 0 { "data".to_owned() } else { format!("out{}", n - 1) };
        text += &format!(
            "  s{n}:\n    cmd: rm -f ended{n}; cp -r {dep} out{n} && echo {n} > out{n}/new && sleep 0.03; \
             touch ended{n}\n    deps: [{dep}]\n    outs: [out{n}]\n"
        );
    }
    scene.w.write("dvc.yaml", &text);
    let stages = ["s0", "s1", "s2", "s3"];
    let outs = ["out0", "out1", "out2", "out3", "ended0", "ended1", "ended2", "ended3", "dvc.lock"];
    let reset = || {
        scene.forget(&outs);
        scene.forget(&[".dvc/cache/runs"]);
    };
    let only_ended = || {
        let lock = fs::read_to_string(scene.w.path("dvc.lock")).unwrap_or_default();
        for (n, stage) in stages.iter().enumerate() {
            let recorded = lock.contains(&format!("\n  {stage}:\n"));
            assert!(!recorded || scene.w.path(&format!("ended{n}")).exists(), "{stage}: {lock}");
        }
        // What is recorded can be read, and can be brought back.
        let changed = scene.w.matraz(&["status", "--json"]).succeeds().json();
        for (n, stage) in stages.iter().enumerate() {
            if lock.contains(&format!("\n  {stage}:\n")) && scene.w.path(&format!("out{n}")).exists() {
                let text = changed[stage].to_string();
                assert!(!text.contains("not in cache"), "{stage}: {text}");
            }
        }
    };
    let whole = || {
        assert_eq!(scene.w.matraz(&["status", "--json"]).succeeds().out.trim(), "{}");
        for n in 0..4 {
            assert_eq!(files_below(&scene.w.path(&format!("out{n}"))).len(), scene.data.len() + 1);
        }
    };
    scene.torture(15, &["repro"], reset, only_ended, whole);
}

#[test]
fn gc() {
    let scene = Scene::new();
    scene.w.matraz(&["add", "data"]).succeeds();
    let in_use: Vec<PathBuf> = files_below(&scene.cache().join("files"));
    let reset = || {
        for n in 0..300 {
            scene.w.write(&format!("old/{n}"), &format!("old {n}\n"));
        }
        scene.w.matraz(&["add", "old"]).succeeds();
        scene.forget(&["old", "old.dvc"]);
    };
    // What is in use is there all the time; what is not is in the cache or in the trash.
    let nothing_lost = || in_use.iter().for_each(|object| assert!(object.exists(), "{}", object.display()));
    let whole = || {
        nothing_lost();
        assert_eq!(files_below(&scene.cache().join("files")).len(), in_use.len());
        scene.w.matraz(&["gc", "--empty-trash"]).succeeds();
    };
    scene.torture(16, &["gc", "-w", "-f"], reset, nothing_lost, whole);
}

fn remove(path: &Path) {
    let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    assert!(gone.is_ok() || !path.exists(), "{}", path.display());
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with(".matraz-")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
