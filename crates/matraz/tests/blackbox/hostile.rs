//! Repositories made to do harm: nothing outside of the project is touched, and what is refused is named.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

use matraz_data::hash::md5;

use crate::workspace::{Call, Workspace};

/// A hostile repository. In its texts `{CANARY}` stands for the folder outside that must stay as it is, `{CONTENT}` for
/// the digest of an object that the cache has, and `{LISTING}` for that of `listing`.
#[derive(Default)]
struct Case {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    links: &'static [(&'static str, &'static str)],
    listing: Option<String>,
    /// Must fail, and name all of `says`.
    refused: &'static [&'static str],
    says: &'static [&'static str],
}

const CONTENT: &str = "planted\n";

/// A `.dvc` file of one output.
fn data(path: &str) -> String {
    format!("outs:\n- md5: {{CONTENT}}\n  size: 8\n  hash: md5\n  isexec: true\n  path: {path}\n")
}

/// A `.dvc` file of the folder `data` with the listing of the case.
fn folder() -> String {
    "outs:\n- md5: {LISTING}.dir\n  size: 8\n  nfiles: 1\n  hash: md5\n  path: data\n".into()
}

fn listing(paths: &[&str]) -> Option<String> {
    let entries: Vec<String> =
        paths.iter().map(|path| format!("{{\"md5\": \"{{CONTENT}}\", \"relpath\": \"{path}\"}}")).collect();
    Some(format!("[{}]", entries.join(", ")))
}

/// A pipeline of one stage that would leave a trace.
fn stage(rest: &str) -> String {
    format!("stages:\n  a:\n    cmd: touch '{{CANARY}}/ran'\n{rest}")
}

const CHECKOUT: &[&str] = &["checkout", "--force"];
const REPRO: &[&str] = &["repro"];

fn in_data_files() -> Vec<Case> {
    let case = |name, path: &str, says| Case {
        name,
        files: vec![("x.dvc", data(path))],
        refused: CHECKOUT,
        says,
        ..Case::default()
    };
    let mut cases = vec![
        case("out above the project", "../canary/secret.txt", &["canary/secret.txt"]),
        case("out above, by a detour", "sub/../../canary/secret.txt", &["canary/secret.txt"]),
        case("absolute out", "'{CANARY}/secret.txt'", &["canary/secret.txt"]),
        case("out is the project", ".", &["project"]),
        case("out has no name", "''", &["x.dvc"]),
        case("out is a hook of git", ".git/hooks/post-checkout", &[".git/hooks/post-checkout"]),
        case("out is git's settings", "sub/../.git/config", &[".git/config"]),
        case("out is the project's settings", ".dvc/config", &[".dvc/config"]),
        case("out is the project's lock", ".dvc/tmp/lock", &[".dvc/tmp/lock"]),
        case("out with a NUL", "\"a\\0b\"", &["x.dvc"]),
    ];
    cases.push(Case {
        links: &[("link", "../canary")],
        ..case("out behind a link", "link/secret.txt", &["link"])
    });
    cases.push(Case {
        links: &[("sub/deep", "../../canary")],
        ..case("out behind a link far below", "sub/deep/secret.txt", &["sub/deep"])
    });
    let whole = |name, text: &str, says| Case {
        name,
        files: vec![("x.dvc", text.to_owned())],
        refused: CHECKOUT,
        says,
        ..Case::default()
    };
    cases.extend([
        whole("folder of work above", &format!("wdir: ../canary\n{}", data("secret.txt")), &["canary"]),
        whole("digest is a path", "outs:\n- md5: ../../../../canary/secret.txt\n  path: a\n", &["x.dvc"]),
        whole("digest is short", "outs:\n- md5: ab\n  path: a\n", &["x.dvc"]),
        whole("digest is a list", "outs:\n- md5: [a]\n  path: a\n", &["x.dvc:2"]),
        whole("size is no number", "outs:\n- md5: {CONTENT}\n  size: {}\n  path: a\n", &["x.dvc"]),
        whole("outs is a text", "outs: all\n", &["x.dvc:1"]),
        whole("a key twice", "outs:\n- path: a\n  path: b\n", &["x.dvc:3"]),
        whole(
            "one output twice",
            "outs:\n- md5: {CONTENT}\n  path: a\n- md5: {CONTENT}\n  path: ./a\n",
            &["a", "x.dvc"],
        ),
        whole("not UTF-8 and not YAML", "\u{1}\u{2}: [\n", &["x.dvc"]),
        whole("a bomb of aliases", &bomb(), &["x.dvc"]),
        whole("too deep", &format!("outs: {}", "[".repeat(100_000)), &["x.dvc"]),
        whole("deep by blocks", &"- ".repeat(100_000), &["x.dvc"]),
        whole(
            "a tag of Python",
            "outs: !!python/object/apply:os.system ['touch {CANARY}/ran']\n",
            &["x.dvc"],
        ),
    ]);
    cases
}

fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        let refs = vec![format!("*a{}", n - 1); 10].join(", ");
        text += &format!("a{n}: &a{n} [{refs}]\n");
    }
    text + "outs: *a29\n"
}

fn in_listings() -> Vec<Case> {
    let case = |name, listing: Option<String>, says| Case {
        name,
        files: vec![("data.dvc", folder())],
        listing,
        refused: CHECKOUT,
        says,
        ..Case::default()
    };
    vec![
        case("entry above", listing(&["../../canary/secret.txt"]), &["../../canary/secret.txt"]),
        case("absolute entry", listing(&["{CANARY}/secret.txt"]), &["canary/secret.txt"]),
        case("entry above, by a detour", listing(&["a/../../../canary/x"]), &["a/../../../canary/x"]),
        case("entry with an empty name", listing(&[""]), &["folder listing"]),
        case("entry with an empty part", listing(&["a//b"]), &["a//b"]),
        case("entry with a NUL", listing(&["a\\u0000b"]), &["folder listing"]),
        case("entry twice", listing(&["a", "b", "a"]), &["'a'"]),
        case("a file that is a folder too", listing(&["a", "a/b"]), &["'a"]),
        case("entry in git's folder", listing(&["repo/.git/config"]), &["repo/.git/config"]),
        case("entry in git's folder, in capitals", listing(&["repo/.GIT/config"]), &["repo/.GIT/config"]),
        case("listing is no JSON", Some("outs:\n- a\n".into()), &["folder listing"]),
        case("listing is an object", Some("{\"a\": 1}".into()), &["folder listing"]),
        case("listing of numbers", Some("[1, 2]".into()), &["folder listing"]),
        case(
            "listing with a path that is a list",
            Some("[{\"md5\": \"x\", \"relpath\": []}]".into()),
            &["folder listing"],
        ),
        case(
            "listing names a listing",
            Some("[{\"md5\": \"{CONTENT}.dir\", \"relpath\": \"a\"}]".into()),
            &["folder listing"],
        ),
        case("listing is deep", Some("[".repeat(100_000)), &["folder listing"]),
        Case {
            links: &[("data", "../canary")],
            ..case("the folder is a link", listing(&["secret.txt"]), &["data"])
        },
        Case {
            links: &[("data/sub", "../../canary")],
            ..case("a folder in it is a link", listing(&["sub/secret.txt"]), &["data/sub"])
        },
    ]
}

fn in_pipelines() -> Vec<Case> {
    let case = |name, text: String, says| Case {
        name,
        files: vec![("dvc.yaml", text)],
        refused: REPRO,
        says,
        ..Case::default()
    };
    vec![
        case(
            "stage makes something above",
            stage("    outs: [../canary/secret.txt]\n"),
            &["canary/secret.txt"],
        ),
        case("stage makes something absolute", stage("    outs: ['{CANARY}/secret.txt']\n"), &["secret.txt"]),
        case("stage makes a hook", stage("    outs: [.git/hooks/pre-commit]\n"), &[".git/hooks/pre-commit"]),
        case("stage makes the settings", stage("    outs: [.dvc/config]\n"), &[".dvc/config"]),
        case(
            "stage works above",
            stage("    wdir: ../canary\n    outs: [secret.txt]\n"),
            &["secret.txt", "'a'"],
        ),
        Case {
            links: &[("link", "../canary")],
            ..case(
                "stage makes something behind a link",
                stage("    outs: [{link/secret.txt: {persist: true}}]\n"),
                &["link"],
            )
        },
        case("two stages of one name", stage("  a:\n    cmd: x\n"), &["dvc.yaml:4"]),
        case("a stage with a path as its name", "stages:\n  ../a:\n    cmd: x\n".into(), &["../a"]),
        case("too many stages", matrix(), &["dvc.yaml"]),
        case("a bomb in dvc.yaml", bomb().replace("outs:", "stages:"), &["dvc.yaml"]),
        case("deep vars", format!("vars:\n- a: {}\n", "[".repeat(50_000)), &["dvc.yaml"]),
        Case {
            files: vec![
                ("dvc.yaml", stage("    outs: [a]\n")),
                (
                    "dvc.lock",
                    "schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs: [{path: a, md5: ../../x}]\n".into(),
                ),
            ],
            ..case("digest of the lock file is a path", String::new(), &["dvc.lock"])
        },
        Case {
            files: vec![
                ("dvc.yaml", stage("    outs: [a]\n")),
                ("dvc.lock", bomb().replace("outs:", "stages:")),
            ],
            ..case("a bomb in the lock file", String::new(), &["dvc.lock"])
        },
        Case {
            files: vec![
                ("dvc.yaml", stage("    params: [p.json: [x]]\n    outs: [a]\n")),
                ("p.json", "[".repeat(200_000)),
            ],
            ..case("deep parameters", String::new(), &["p.json"])
        },
        Case {
            files: vec![
                // It is read as a file without `x`, and a forced stage whose parameter is absent runs all the same.
                (
                    "dvc.yaml",
                    stage("    params: [p.py: [x]]\n    outs: [a]\n").replace("'{CANARY}/ran'", "made"),
                ),
                ("p.py", format!("x = {}1{}", "(".repeat(100_000), ")".repeat(100_000))),
            ],
            ..case("deep parameters in Python", String::new(), &["p.py"])
        },
        Case {
            files: vec![
                ("dvc.yaml", stage("    params: [p.toml: [x]]\n    outs: [a]\n")),
                ("p.toml", format!("x = {}", "[".repeat(100_000))),
            ],
            ..case("deep parameters in TOML", String::new(), &["p.toml"])
        },
    ]
}

/// Ten thousand million stages.
fn matrix() -> String {
    let values = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let axes: String = ["a", "b", "c", "d", "e"].map(|axis| format!("      {axis}: [{values}]\n")).concat();
    format!("stages:\n  s:\n    matrix:\n{axes}    cmd: echo ${{item.a}}\n")
}

fn in_private_places() -> Vec<Case> {
    let case = |name, links, says| Case { name, links, refused: CHECKOUT, says, ..Case::default() };
    vec![
        case("the folder of locks is a link", &[(".dvc/tmp", "../../canary")], &[".dvc/tmp"]),
        case("the lock is a link", &[(".dvc/tmp/lock", "../../../canary/secret.txt")], &[".dvc/tmp/lock"]),
        case(
            "the table of paths is a link",
            &[(".dvc/tmp/rwlock", "../../../canary/secret.txt")],
            &["rwlock"],
        ),
        case("our own folder is a link", &[(".dvc/tmp/matraz", "../../../canary")], &[".dvc/tmp/matraz"]),
        case(
            "what is known of files is a link",
            &[(".dvc/tmp/matraz/state.db", "../../../../canary/secret.txt")],
            &["state.db"],
        ),
        Case {
            name: "settings are no settings",
            files: vec![(".dvc/config", "[core\nremote = ".repeat(10_000))],
            refused: CHECKOUT,
            says: &[".dvc/config"],
            ..Case::default()
        },
        Case {
            name: "a remote of a strange kind",
            files: vec![
                ("x.dvc", data("a")),
                (
                    ".dvc/config",
                    "[core]\n    remote = r\n['remote \"r\"']\n    url = ssh://-oProxyCommand=touch%20{CANARY}/ran/x\n".into(),
                ),
            ],
            refused: &["push"],
            says: &["ssh"],
            ..Case::default()
        },
        Case {
            name: "a project of binary rubbish in .dvcignore",
            files: vec![
                (".dvcignore", "[[[[a-\n\\\n**/**/**/***/[!\n{a,b}{\n".repeat(50)),
                ("x.dvc", data("../canary/secret.txt")),
            ],
            refused: CHECKOUT,
            says: &[],
            ..Case::default()
        },
    ]
}

/// What else a user may type in such a repository. Nothing of it may touch the canary, panic, or go on for ever.
const OTHERS: &[&[&str]] = &[
    &["status"],
    &["dag"],
    &["checkout"],
    &["commit", "--force"],
    &["repro", "--force"],
    &["push"],
    &["fetch"],
    &["metrics", "show"],
    &["remove", "x.dvc"],
    &["add", "data"],
];

#[test]
fn data_files_cannot_reach_out() {
    check(in_data_files());
}

#[test]
fn listings_cannot_reach_out() {
    check(in_listings());
}

#[test]
fn pipelines_cannot_reach_out() {
    check(in_pipelines());
}

#[test]
fn private_places_cannot_reach_out() {
    check(in_private_places());
}

fn check(cases: Vec<Case>) {
    let faults: Vec<String> = cases.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn faults(case: &Case) -> Vec<String> {
    let w = Workspace::project();
    let canary = w.beside("canary");
    fs::create_dir(&canary).unwrap();
    fs::write(canary.join("secret.txt"), "secret\n").unwrap();
    w.write("sub/here", "");
    put_object(&w, CONTENT, "");
    let fill = |text: &str| {
        let text = text.replace("{CANARY}", canary.to_str().unwrap()).replace("{CONTENT}", &name_of(CONTENT));
        match &case.listing {
            None => text,
            Some(listing) => {
                let listing = listing.replace("{CANARY}", canary.to_str().unwrap());
                text.replace("{LISTING}", &name_of(&listing.replace("{CONTENT}", &name_of(CONTENT))))
            }
        }
    };
    if let Some(listing) = &case.listing {
        put_object(&w, &fill(listing), ".dir");
    }
    for (path, text) in &case.files {
        w.write(path, &fill(text));
    }
    for (path, target) in case.links {
        let path = w.path(path);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            let _ = fs::remove_file(&path);
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, &path).unwrap();
    }
    let before = look(&canary);
    let settings = fs::read(w.path(".git/config")).unwrap();
    let mut faults = Vec::new();
    for command in [case.refused].iter().chain(OTHERS) {
        let call = run(&w, command);
        let shown =
            format!("{} ({}): code {}: {}", case.name, command.join(" "), call.code, shortened(&call.err));
        if call.code == 101 || call.code < 0 || call.err.contains("panicked") {
            faults.push(format!("{shown}: it broke down"));
        }
        if look(&canary) != before {
            faults.push(format!("{shown}: it reached out: {:?}", look(&canary)));
            return faults;
        }
        if fs::read(w.path(".git/config")).unwrap() != settings || w.path(".git/hooks/post-checkout").exists()
        {
            faults.push(format!("{shown}: it wrote to git's folder"));
            return faults;
        }
        if *command == case.refused
            && (call.code == 0 || !case.says.iter().all(|word| call.err.contains(word)))
        {
            faults.push(format!("{shown}: it is not refused by name"));
        }
    }
    faults
}

fn put_object(w: &Workspace, text: &str, suffix: &str) {
    let name = name_of(text);
    w.write(&format!(".dvc/cache/files/md5/{}/{}{suffix}", &name[..2], &name[2..]), text);
}

fn name_of(text: &str) -> String {
    md5::of_bytes(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(400).collect()
}

/// Every path below a folder with its content.
fn look(folder: &std::path::Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.insert(path.display().to_string(), fs::read_to_string(&path).unwrap_or_default());
    }
    found
}

/// The program, stopped when it does not end. Four gigabytes of addresses have to do.
fn run(w: &Workspace, arguments: &[&str]) -> Call {
    let program = w.command(arguments);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -v 4000000; exec \"$@\"", "sh"])
        .arg(program.get_program())
        .args(program.get_args());
    limited.current_dir(program.get_current_dir().unwrap());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let out = fs::File::create(w.beside("out")).unwrap();
    let err = fs::File::create(w.beside("err")).unwrap();
    let mut child = limited.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            break -2;
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    let read = |name| String::from_utf8_lossy(&fs::read(w.beside(name)).unwrap()).into_owned();
    Call { code, out: read("out"), err: read("err") }
}
