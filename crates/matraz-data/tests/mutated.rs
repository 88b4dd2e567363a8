//! Feeds the readers of project files with files that went wrong: mutations of good ones, the same in every run.
//! `MATRAZ_FUZZ_ROUNDS` says how many of each kind.

#[path = "../../../fuzz/harness.rs"]
mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};

const SEEDS: [(&str, &str); 12] = [
    ("yaml", "# c\na: &x {b: [1, 2.5e-3, ~, 'it''s', \"t\\t\"]}\nc: *x\n<<: {d: |-\n  x\n   y\n}\n"),
    ("yaml", "k: >+\n  folded\n\n  text\nd: 2020-01-01\n? q\n: - - 1\n    - true\n  - !!str 3\n"),
    ("yaml", "{a: ' #', \"b: \": -.inf, c: 0o17, d: 0x1F, e: 1_000, f: '', g: null, h: [], i: {}}\n"),
    (
        "pipeline",
        "vars:\n- m: {x: [1, 2], y: {z: w}}\nstages:\n  a:\n    foreach: ${a.b}\n    do:\n      cmd: run ${item} \
         ${m.x[0]} \\${no}\n      deps: [d]\n      params: [p, {o.json: [q.r]}]\n      outs:\n      - o: {cache: \
         false, desc: '${c}'}\n  b:\n    matrix: {i: [1, 2], j: '${a.b}'}\n    cmd: [x '${item.i}', '${m}']\n    \
         frozen: true\nplots:\n- p: {x: a, y: {f: b}}\nartifacts: {m: {path: x, type: model}}\n",
    ),
    (
        "pipeline",
        "stages:\n  t:\n    wdir: ${a.c}\n    cmd: x\n    metrics: [m.json: {cache: false}]\n---\na: {c: s, b: [y]}\n",
    ),
    (
        "data_file",
        "wdir: ..\nmd5: 0123456789abcdef0123456789abcdef\nfrozen: true\ndeps:\n- path: /e/x\n  md5: \
         0123456789abcdef0123456789abcdef\n  size: 3\nouts:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  size: 12\n  \
         nfiles: 2\n  hash: md5\n  path: d\n  desc: t\n  labels: [a]\n  meta: {a: 1}\n",
    ),
    (
        "lock",
        "schema: '2.0'\nstages:\n  a@1:\n    cmd:\n    - x\n    - y\n    deps:\n    - path: d\n      hash: md5\n      md5: \
         0123456789abcdef0123456789abcdef\n      size: 1\n    params:\n      p.yaml:\n        a.b: [1, {c: 1e-05}]\n    \
         outs:\n    - path: o\n      md5: 0123456789abcdef0123456789abcdef.dir\n      nfiles: 1\n      isexec: true\n",
    ),
    (
        "listing",
        "[{\"md5\": \"0123456789abcdef0123456789abcdef\", \"relpath\": \"a/b\"}, {\"md5\": \
         \"0123456789abcdef0123456789abcdef\", \"relpath\": \"a/\\u00fc \\n\\\"\"}]",
    ),
    (
        "config",
        "# s\n[core]\n    remote = x ; y\n['remote \"A b\"']\n    url = \"s3://b/p\"\n[cache]\ntype = a, 'b'\n",
    ),
    ("ignore", "# c\n*.log\n!keep.log\n/a/**/b[!x-z]\\ \n[[:alpha:]]?\nd/\n\\#x\n**/ü\n"),
    ("params", "a:\n  b: 1\n# c\n[t]\nx = 1\n"),
    ("params", "import os\na = {'b': [1, -2.5, (3, None)], \"c\": 'x' \"y\"}\nclass A:\n    x: int = 0x1F\n"),
];

/// Pieces that mean something to one reader or another.
const PIECES: [&str; 26] = [
    "${",
    "}",
    "[",
    "]",
    "{",
    "&a ",
    "*a",
    "<<: ",
    "!!",
    "'",
    "\"",
    "\\",
    "\n",
    "\n  ",
    "\t",
    ": ",
    "- ",
    "? ",
    "|",
    "\u{0}",
    "\u{feff}",
    "../",
    "/",
    "~",
    "1e999",
    "99999999999999999999",
];

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    fn mutated(&mut self, seed: &str, other: &str) -> Vec<u8> {
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(12)).min(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part.repeat(1 + self.below(20)));
                }
                3 if at < bytes.len() => bytes[at] = (32 + self.below(96)) as u8,
                4 => {
                    let from = self.below(other.len());
                    bytes.splice(at..end, other.as_bytes()[from..].iter().copied());
                }
                _ => drop(bytes.splice(at..end.min(at + 2), PIECES[self.below(PIECES.len())].bytes())),
            }
        }
        bytes
    }
}

#[test]
fn mutated_files_are_read_or_refused() {
    let rounds = std::env::var("MATRAZ_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1500);
    let mut faults = Vec::new();
    for (name, target) in harness::TARGETS {
        let seeds: Vec<&str> = SEEDS.iter().filter(|(of, _)| *of == name).map(|(_, seed)| *seed).collect();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for seed in &seeds {
            target(seed.as_bytes());
        }
        for _ in 0..rounds {
            let (one, two) = (dice.below(seeds.len()), dice.below(SEEDS.len()));
            let bytes = dice.mutated(seeds[one], SEEDS[two].1);
            if catch_unwind(AssertUnwindSafe(|| target(&bytes))).is_err() {
                faults.push(format!("{name}: {:?}", String::from_utf8_lossy(&bytes)));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults, such as\n{}",
        faults.len(),
        faults[..faults.len().min(12)].join("\n")
    );
}

#[test]
fn what_grows_fast_is_bounded() {
    let deep = |open: &str, count: usize| open.repeat(count);
    let wide = format!("a: [{}]\n", "x, ".repeat(20_000));
    let long = format!("a: {}\n", "x".repeat(60_000));
    let stars = format!("{}b\n", "*a".repeat(2_000));
    let inputs = [
        deep("[", 60_000),
        deep("- ", 30_000),
        deep("{a: ", 15_000),
        deep("(", 60_000),
        deep("a[", 30_000),
        wide,
    ]
    .into_iter()
    .chain([
        long,
        stars,
        deep("${", 20_000),
        deep("a:\n ", 10_000),
        deep("&a *a ", 9_000),
        deep("? ", 30_000),
    ]);
    for input in inputs {
        for (_, target) in harness::TARGETS {
            target(input.as_bytes());
        }
    }
}
