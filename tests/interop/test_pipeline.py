"""Pipelines: both tools see the same changes, run the same stages and write the same `dvc.lock` and run cache."""

import re
import shutil

import pytest
import yaml

from test_data_files import assert_twins, both_do

PIPELINE = """\
stages:
  prepare:
    cmd: cut -c2- raw.txt > clean.txt
    deps:
    - raw.txt
    outs:
    - clean.txt
  train:
    cmd: mkdir -p model && cat clean.txt > model/weights && echo '{"loss":0.5,"ok":true}' > metrics.json
    deps:
    - clean.txt
    params:
    - lr
    - net.layers
    outs:
    - model
    metrics:
    - metrics.json:
        cache: false
  report:
    cmd:
    - mkdir -p plots
    - touch notes.txt
    - printf 'step,loss\\n0,1\\n1,0.5\\n' > plots/loss.csv
    deps:
    - model/weights
    outs:
    - notes.txt:
        persist: true
        cache: false
    plots:
    - plots/loss.csv:
        x: step
        y: loss
"""
PARAMS = "lr: 0.1\nnet:\n  layers: [1, 2]\n  name: a\n"


def fill(workspace):
    workspace.write("raw.txt", "aone\nbtwo\n")
    workspace.write("dvc.yaml", PIPELINE)
    workspace.write("params.yaml", PARAMS)


@pytest.fixture
def project(twins):
    """The same pipeline in two places, not yet run."""
    for workspace in twins:
        workspace.dvc("init")
        fill(workspace)
        workspace.dvc("add", "raw.txt")
        workspace.commit()
    return twins


def reproduce(twins, *arguments, code=0):
    both_do(twins, "repro", *arguments, code=code)


def logged(workspace):
    return workspace.path("log").read_text().split() if workspace.path("log").exists() else []


def test_both_write_the_same(project):
    for workspace in project:
        workspace.both("status", "--json")
    reproduce(project)
    assert_twins(*project)
    for workspace in project:
        workspace.commit()
        workspace.assert_clean()
        lock = workspace.read("dvc.lock")
        # The other tool finds nothing to do.
        workspace.ours("repro")
        workspace.dvc("repro")
        assert workspace.read("dvc.lock") == lock


def test_stages_that_run_at_once_leave_what_a_serial_run_leaves(twins):
    """The first stages end last, so that the order of the lock file and of `.gitignore` is not that of the ends."""
    stages = {
        f"s{n}": {"cmd": f"sleep 0.{5 - n} && echo {n} > o{n}", "deps": ["in"], "outs": [f"o{n}"], "meta": {"matraz": {"mutex": "odd"} if n % 2 else {"pool": "disk"}}}
        for n in range(5)
    }
    stages["join"] = {"cmd": "cat o0 o1 o2 o3 o4 > all", "deps": [f"o{n}" for n in range(5)], "outs": ["all"]}
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("in", "1\n")
        workspace.write("dvc.yaml", yaml.safe_dump({"stages": stages}, sort_keys=False))
        workspace.write("matraz.yaml", "pools: {disk: 3}\n")
    ours, real = twins
    ours.ours("repro", "-j", "4")
    real.dvc("repro")
    assert_twins(ours, real)
    assert "up to date" in ours.dvc("status").out
    lock = ours.read("dvc.lock")
    assert list(yaml.safe_load(lock)["stages"]) == list(stages)
    ours.dvc("repro")
    assert ours.read("dvc.lock") == lock


SCALARS = [
    "0.1", "1e-5", "1e5", "1e22", "1.0", "-0.0", ".inf", "-.inf", ".nan", "1_000", "0x1F", "0o14", "010", "1.", ".5", "+1", "-3", "12345678901234567890", "0.1e1", "1E3", "3.14159265358979311600",
    "yes", "no", "on", "off", "y", "n", "true", "True", "FALSE", "null", "~", "", "Null", "'null'", "'true'", "'1'", "'1e3'", "'0.1'", "'0x1F'", "'0o7'", "'1_000'", "12:30", "'12:30'", "1:30:45", "'2020-01-01'", "'='", "'<<'", "'~'", "'.'",
    "plain words", "'a: b'", "'a # b'", "'- a'", "'[a]'", "'{a}'", "'*a'", "'&a'", "'!a'", "'%a'", "'@a'", "'`a`'", "'\\\"q\\\"'", "\"it's\"", "'?'", "'? a'", "'-'", "':'", "'a:'", "' lead'", "'trail '", "''", "\"a\\nb\"", "\"a\\nb\\n\"", "\"a\\tb\"", "|\n  line 1\n  line 2", ">\n  folded\n  text",
    "ünï ☃", "😀", "\"\\u00e9\"", "\"\\x07\"", "'" + "long words " * 20 + "'", "'" + "x" * 200 + "'", "'" + "a'b " * 30 + "'", "[1, 2.0, 'three', null, true]", "{a: 1, b: [x, {y: 0.1}]}", "[]", "{}", "[[1], [2, [3]]]", "{0: zero, 2: {10: ten}}", "{a b: c, 'x: y': z}", "'.inf'", "'-'", "'#'", "'a,b'", "',a'", "'%'",
    "C:\\path", "'C:\\path'", "/usr/bin", "http://x.y/z?a=b#c", "a#b", "-a", "--", "---", "'---'", "'...'", "1.2.3", "1e", "e5", "0b11", "0x", "1__0", "0_1", "1,000", "$HOME", "${x", "a: 5",
]  # fmt: skip


def test_values_of_params(twins):
    """Numbers, texts that need quotes, lists and maps go into `dvc.lock` as they do there."""
    valid = []
    for scalar in SCALARS:
        try:
            yaml.safe_load(f"key: {scalar}\n")
        except yaml.YAMLError:
            continue
        valid.append(scalar)
    assert len(valid) > 100
    names = [f"key{number}" for number in range(len(valid))]
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("params.yaml", "".join(f"{name}: {scalar}\n" for name, scalar in zip(names, valid)))
        stage = {"stages": {"all": {"cmd": "touch out", "params": names, "outs": ["out"]}}}
        workspace.write("dvc.yaml", yaml.safe_dump(stage))
    reproduce(twins)
    found, expected = (workspace.read("dvc.lock").splitlines() for workspace in twins)
    assert found == expected
    assert_twins(*twins)
    for workspace in twins:
        # NaN equals nothing, not even itself.
        changed = workspace.both("status", "--json").json()["all"][0]["changed deps"]["params.yaml"]
        assert changed == {f"key{valid.index('.nan')}": "modified"}


def test_other_files_of_params(twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("params.yaml", "b: 2\na: 1\nz: {d: 1, c: 2}\n")
        workspace.write("conf/x.json", '{"k": {"l": [1.0, 1e-7, "t"]}, "m": null, "big": 1e400}'.replace("1e400", "1e300"))
        workspace.write("conf/y.toml", 'name = "q"\n[deep]\nn = 1_000\nf = 1e-3\nl = [1, 2]\n')
        workspace.write("conf/whole.yaml", "x: 1\ny: [a]\n")
        workspace.write("dvc.yaml", """\
stages:
  all:
    cmd: touch out
    params:
    - z
    - a
    - conf/y.toml:
      - deep.f
      - name
      - deep.n
    - conf/x.json:
      - m
      - k.l
      - big
    - conf/whole.yaml:
    outs: [out]
""")
    reproduce(twins)
    assert twins[0].read("dvc.lock") == twins[1].read("dvc.lock")
    assert_twins(*twins)
    for workspace in twins:
        workspace.write("conf/whole.yaml", "x: 2\ny: [a]\nnew: 1\n")
        workspace.write("conf/x.json", '{"k": {"l": [1, 1e-7, "t"]}, "big": 1}')
        workspace.both("status", "--json")


ODD_PATHS = """\
stages:
  odd:
    wdir: sub
    cmd: |
      printf 1 > 'ünï ☃'
      printf 2 > "a b"
      mkdir -p 'd: x/deep' 'empty dir'
      printf 3 > 'd: x/deep/😀'
      printf 4 > 'x # y'; printf '#!/bin/sh' > run.sh; chmod +x run.sh; : > empty; printf 5 > 123
    deps: ['../in put.txt', "../data"]
    outs:
    - 'ünï ☃'
    - a b
    - 'd: x'
    - 'x # y'
    - run.sh
    - empty
    - '123'
    - empty dir
"""


def test_odd_paths(twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("in put.txt", "in")
        workspace.write("data/ü/1", "1")
        workspace.write("data/x.sh", "2", executable=True)
        workspace.path("sub").mkdir()
        workspace.write("dvc.yaml", ODD_PATHS)
    reproduce(twins)
    assert twins[0].read("dvc.lock") == twins[1].read("dvc.lock")
    assert_twins(*twins)
    for workspace in twins:
        workspace.commit()
        workspace.assert_clean()
        workspace.remove("sub/d: x", "sub/empty")
        workspace.path("sub/run.sh").chmod(0o644)
        workspace.write("data/ü/1", "changed")
        workspace.both("status", "--json")
    reproduce(twins)
    assert_twins(*twins)


LONG_COMMANDS = """\
vars:
- conf.yaml
- inline: {word: 'two words', flag: true, none: null, num: 1.0, tiny: 0.00001}
stages:
  long:
    cmd: >-
      echo %s > long.txt
    outs: [long.txt]
  lines:
    cmd: |
      echo "${inline.word}" > lines.txt
      echo '${inline.flag} ${inline.none} ${inline.num} ${inline.tiny} ${lr} ${net.layers[0]} \\${plain}' >> lines.txt
    outs:
    - lines.txt
  list:
    cmd:
    - "echo 'a: b # c' > list.txt"
    - echo "${conf.name}" >> list.txt
    outs: ['list.txt']
  dict:
    cmd: echo ${inline} > dict.txt
    outs: [dict.txt]
""" % ("word " * 40)


def test_commands(twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("params.yaml", PARAMS)
        workspace.write("conf.yaml", "conf:\n  name: ünï\n")
        workspace.write("dvc.yaml", LONG_COMMANDS)
    reproduce(twins)
    assert twins[0].read("dvc.lock") == twins[1].read("dvc.lock")
    assert_twins(*twins)


MANY = """\
stages:
  each:
    foreach: [a, b, 3]
    do:
      cmd: echo ${item} > each-${item}.txt
      outs: ['each-${item}.txt']
  named:
    foreach:
      one: {n: 1}
      two: {n: 2}
    do:
      cmd: echo ${key} ${item.n} > named-${key}.txt
      outs: ['named-${key}.txt']
  grid:
    matrix:
      x: [1, 2]
      y: [p, q]
    cmd: echo ${item.x} ${item.y} ${key} > grid-${item.x}${item.y}.txt
    outs: ['grid-${item.x}${item.y}.txt']
"""


def test_stages_made_from_lists(twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("dvc.yaml", MANY)
    reproduce(twins)
    assert_twins(*twins)
    for workspace in twins:
        workspace.write("dvc.yaml", MANY.replace("[a, b, 3]", "[a, c]").replace("n: 2", "n: 5"))
        workspace.both("status", "--json")
    reproduce(twins, "each")
    assert_twins(*twins)
    reproduce(twins, "grid@1-q", "named@two")
    assert_twins(*twins)


CHANGES = {
    "a param": lambda w: w.write("params.yaml", PARAMS.replace("0.1", "0.2")),
    "an equal param": lambda w: w.write("params.yaml", PARAMS.replace("0.1", "1e-1")),
    "a param that is not used": lambda w: w.write("params.yaml", PARAMS.replace("name: a", "name: b")),
    "a param in a list": lambda w: w.write("params.yaml", PARAMS.replace("[1, 2]", "[1, 3]")),
    "a list of equal floats": lambda w: w.write("params.yaml", PARAMS.replace("[1, 2]", "[1.0, 2.0]")),
    "a missing param": lambda w: w.write("params.yaml", "net:\n  layers: [1, 2]\n"),
    "no params": lambda w: w.remove("params.yaml"),
    "the data": lambda w: w.write("raw.txt", "aone\nbtwo\ncthree\n"),
    "a dependency of no effect": lambda w: w.write("raw.txt", "xone\nytwo\n"),
    "a missing dependency": lambda w: w.remove("raw.txt"),
    "an output": lambda w: w.write("clean.txt", "changed"),
    "a missing output": lambda w: w.remove("clean.txt"),
    "a missing folder": lambda w: w.remove("model"),
    "a file more in a folder": lambda w: w.write("model/more", "1"),
    "a metric": lambda w: w.write("metrics.json", "{}"),
    "a plot": lambda w: w.write("plots/loss.csv", "x\n"),
    "a persistent output": lambda w: w.write("notes.txt", "more\n"),
    "a missing object": lambda w: shutil.rmtree(w.path(".dvc/cache/files")),
    "a command": lambda w: w.write("dvc.yaml", PIPELINE.replace("cut -c2-", "cut -c1-")),
    "a command in a list": lambda w: w.write("dvc.yaml", PIPELINE.replace("mkdir -p plots", "mkdir -p plots/")),
    "a new dependency": lambda w: w.write("dvc.yaml", PIPELINE.replace("    - raw.txt\n", "    - raw.txt\n    - params.yaml\n")),
    "a dependency less": lambda w: w.write("dvc.yaml", PIPELINE.replace("    deps:\n    - model/weights\n", "")),
    "a new param": lambda w: w.write("dvc.yaml", PIPELINE.replace("    - lr\n", "    - lr\n    - net.name\n")),
    "a param less": lambda w: w.write("dvc.yaml", PIPELINE.replace("    - lr\n", "")),
    "a new output": lambda w: w.write("dvc.yaml", PIPELINE.replace("    - clean.txt\n  train", "    - clean.txt\n    - new.txt\n  train")),
    "a new stage": lambda w: w.write("dvc.yaml", PIPELINE + "  more:\n    cmd: touch more\n    outs: [more]\n"),
    "a stage less": lambda w: w.write("dvc.yaml", PIPELINE[: PIPELINE.index("  report:")]),
    "a frozen stage": lambda w: (w.write("dvc.yaml", PIPELINE.replace("  train:\n", "  train:\n    frozen: true\n")), w.write("raw.txt", "x")),
    "a stage that always runs": lambda w: w.write("dvc.yaml", PIPELINE.replace("  train:\n", "  train:\n    always_changed: true\n")),
    "an option of an output": lambda w: w.write("dvc.yaml", PIPELINE.replace("    - model\n", "    - model:\n        desc: x\n        persist: true\n")),
    "another folder": lambda w: w.write("dvc.yaml", PIPELINE.replace("  prepare:\n", "  prepare:\n    desc: what\n    meta: {a: 1}\n")),
    "no lock": lambda w: w.remove("dvc.lock"),
    "an empty lock": lambda w: w.write("dvc.lock", ""),
}


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory, matraz, dvc):
    """A pipeline that ran, to copy."""
    from workspace import Workspace

    workspace = Workspace(tmp_path_factory.mktemp("reproduced") / "project", matraz, dvc)
    workspace.dvc("init")
    fill(workspace)
    workspace.dvc("add", "raw.txt")
    workspace.dvc("repro")
    workspace.commit()
    workspace.assert_clean()
    return workspace


def copies(reproduced, twins):
    for workspace in twins:
        shutil.rmtree(workspace.root)
        shutil.copytree(reproduced.root, workspace.root, symlinks=True)
    return twins


@pytest.mark.parametrize("change", CHANGES)
def test_both_see_the_same_change_and_act_alike(change, reproduced, twins):
    ours, real = copies(reproduced, twins)
    for workspace in twins:
        CHANGES[change](workspace)
    ours.both("status", "--json", code=None)
    done = ours.ours("repro", code=None)
    expected = real.dvc("repro", code=None)
    assert done.code == expected.code, (done, expected)

    def ran(done):
        return re.findall(r"Running stage '([^']+)'", done.out)

    assert ran(done) == ran(expected), (done, expected)
    assert_twins(ours, real)


@pytest.mark.parametrize(
    "options",
    [["--force"], ["--single-item", "train"], ["train"], ["--force", "--single-item", "train"], ["--downstream", "train"], ["--pipeline", "train"], ["--all-pipelines"], ["--no-commit"], ["--no-run-cache"],
     ["--force-downstream", "prepare"], ["--force", "train"], ["dvc.yaml:train"], ["dvc.yaml"], ["raw.txt.dvc"], ["--glob", "tr*"], ["--recursive", "."], ["absent"], ["clean.txt"]],
    ids=" ".join,
)  # fmt: skip
def test_options_of_repro(options, reproduced, twins):
    ours, real = copies(reproduced, twins)
    for workspace in twins:
        workspace.write("params.yaml", PARAMS.replace("0.1", "0.3"))
        workspace.write("raw.txt", "aone\nbtwo\nfour\n")
    done = ours.ours("repro", *options, code=None)
    expected = real.dvc("repro", *options, code=None)
    assert done.code == expected.code, (done, expected)
    assert_twins(ours, real)


@pytest.mark.parametrize("first", ["ours", "dvc"])
def test_the_run_cache_is_shared(first, reproduced, twins):
    """What one tool computed, the other one brings back instead of running it."""
    workspace = copies(reproduced, twins)[0]
    second = {"ours": "dvc", "dvc": "ours"}[first]
    workspace.write("params.yaml", PARAMS.replace("0.1", "0.7"))
    getattr(workspace, first)("repro")
    expected = workspace.tracked()
    workspace.write("params.yaml", PARAMS)
    workspace.ours("repro")
    assert workspace.tracked() != expected
    workspace.write("params.yaml", PARAMS.replace("0.1", "0.7"))
    workspace.remove("dvc.lock", "model", "metrics.json", "clean.txt", "plots")
    done = getattr(workspace, second)("repro")
    assert "Stage 'train' is cached - skipping run" in done.out, done
    assert "Running stage 'train'" not in done.out
    assert workspace.read("dvc.lock").encode() == expected[0]["dvc.lock"][0]
    assert workspace.tree("model") == {name: content for name, content in expected[0].items() if name.startswith("model/")}


def test_a_failing_stage_leaves_earlier_ones_recorded(project):
    for workspace in project:
        workspace.write("dvc.yaml", PIPELINE.replace("mkdir -p model", "echo trying && false"))
    reproduce(project, code=255)
    assert_twins(*project)
    assert "prepare" in project[0].read("dvc.lock") and "train" not in project[0].read("dvc.lock")
    for workspace in project:
        workspace.write("dvc.yaml", PIPELINE)
        workspace.both("status", "--json")
    reproduce(project)
    assert_twins(*project)


@pytest.mark.parametrize("options", [["--keep-going"], ["--ignore-errors"]], ids=" ".join)
def test_failures_that_do_not_stop(options, twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("dvc.yaml", """\
stages:
  bad: {cmd: 'false', outs: [bad.txt]}
  after: {cmd: touch after.txt, deps: [bad.txt], outs: [after.txt]}
  other: {cmd: touch other.txt, outs: [other.txt]}
""")
    reproduce(twins, *options, code=255 if options == ["--keep-going"] else 0)
    assert_twins(*twins)
    assert twins[0].path("other.txt").exists()


BROKEN = {
    "an unknown key": "stages:\n  a:\n    cmd: x\n    dep: [b]\n",
    "an unknown section": "stage:\n  a: {cmd: x}\n",
    "no command": "stages:\n  a:\n    deps: [b]\n",
    "broken YAML": "stages:\n  a: [\n",
    "a repeated key": "stages:\n  a: {cmd: x}\n  a: {cmd: y}\n",
    "a cycle": "stages:\n  a: {cmd: x, deps: [b.txt], outs: [a.txt]}\n  b: {cmd: x, deps: [a.txt], outs: [b.txt]}\n",
    "one output twice": "stages:\n  a: {cmd: x, outs: [o]}\n  b: {cmd: x, outs: [o]}\n",
    "an output in another": "stages:\n  a: {cmd: x, outs: [o]}\n  b: {cmd: x, outs: [o/p]}\n",
    "a missing dependency": "stages:\n  a: {cmd: x, deps: [absent.txt], outs: [o]}\n",
    "an output that is not made": "stages:\n  a: {cmd: 'true', outs: [o]}\n",
    "a missing variable": "stages:\n  a: {cmd: 'echo ${absent}'}\n",
    "a number as dependency": "stages:\n  a: {cmd: x, deps: [1]}\n",
    "its own dependency": "stages:\n  a: {cmd: x, deps: [o], outs: [o]}\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_pipelines_are_refused_alike(case, twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("dvc.yaml", BROKEN[case])
    for command in (["repro"], ["status"], ["status", "--json"]):
        ours, real = twins[0].ours(*command, code=None), twins[1].dvc(*command, code=None)
        assert ours.code == real.code, (ours, real)
        if ours.code:
            assert re.search(r"^(ERROR|error): ", ours.err, re.M), ours
    assert_twins(*twins)


def test_an_output_outside_is_refused(twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("dvc.yaml", "stages:\n  a: {cmd: 'touch ../outside.txt', outs: [../outside.txt]}\n")
    reproduce(twins, code=255)
    assert_twins(*twins)


def test_a_syntax_error_is_shown_where_it_is(workspace):
    workspace.matraz("init")
    workspace.write("dvc.yaml", "stages:\n  a:\n    cmd: x\n    dep: [b]\n")
    done = workspace.matraz("repro", code=None)
    assert done.code != 0
    assert "dvc.yaml:4" in done.err and "dep: [b]" in done.err and "^" in done.err, done


@pytest.mark.parametrize("options", [["--dot"], ["--mermaid"], ["--md"], ["--dot", "--outs"], ["--dot", "train"], ["--dot", "--full", "train"]], ids=" ".join)
def test_graphs(options, reproduced):
    ours, real = reproduced.ours("dag", *options), reproduced.dvc("dag", *options)
    lines = [sorted(done.out.splitlines()) if "--dot" in options else done.out for done in (ours, real)]
    assert lines[0] == lines[1]


def test_pipelines_in_folders(twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("dvc.yaml", "stages:\n  top: {cmd: cat sub/low.txt > top.txt, deps: [sub/low.txt], outs: [top.txt]}\n")
        workspace.write("sub/dvc.yaml", "stages:\n  low: {cmd: 'echo ${word} > low.txt', params: [word], outs: [low.txt]}\n")
        workspace.write("sub/params.yaml", "word: hello\n")
    reproduce(twins)
    assert_twins(*twins)
    for workspace in twins:
        workspace.write("sub/params.yaml", "word: bye\n")
        workspace.both("status", "--json")
        for tool in (workspace.ours, workspace.dvc):
            assert "low" in tool("status", "--json", cwd=workspace.root / "sub").json()
    for workspace, tool in zip(twins, ("ours", "dvc")):
        getattr(workspace, tool)("repro", cwd=workspace.root / "sub")
    assert_twins(*twins)
