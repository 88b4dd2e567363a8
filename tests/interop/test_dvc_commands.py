"""The rest of DVC's commands: both tools print the same and leave the same files."""

import json
import re

import pytest

from test_data_files import assert_twins, both_do
from test_pipeline import CHANGES, PARAMS, PIPELINE, copies, reproduced  # noqa: F401


def printed(workspace, *arguments, code=0):
    """What a command that changes nothing prints, which must be the same for both tools."""
    ours, real = workspace.ours(*arguments, code=code), workspace.dvc(*arguments, code=code)
    assert ours.code == real.code, (ours, real)
    if "--json" in arguments and ours.code == 0:
        assert ours.json() == real.json(), (ours, real)
    else:
        blocks = [as_blocks(done.out) for done in (ours, real)]
        assert blocks[0] == blocks[1], (ours, real)
    return ours


def as_blocks(text):
    """Lines with the indented ones below them; real DVC lists the stages as it finds their files."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return sorted(re.split(r"\n(?!\s)", lines)) if "\tchanged" in lines else lines


@pytest.mark.parametrize(
    "change", ["a param", "the data", "a missing output", "a missing folder", "a command", "a new output", "a frozen stage", "no lock", "a stage that always runs"]
)  # fmt: skip
def test_the_text_of_status(change, reproduced, twins):
    workspace = copies(reproduced, twins)[0]
    printed(workspace, "status")
    CHANGES[change](workspace)
    printed(workspace, "status")
    printed(workspace, "status", "train")


METRICS = {
    "metrics.json": {"loss": 0.123456789, "nested": {"a": 1, "deep": {"b": 2.5}}, "name": "x", "ok": True, "list": [1], "none": None, "tiny": 1e-7, "big": 123456789.0},
}  # fmt: skip


@pytest.fixture
def measured(workspace):
    """Two commits of parameters and metrics, and a third state in the work tree."""
    workspace.dvc("init")
    workspace.write("dvc.yaml", "metrics:\n- metrics.json\n- other.yaml\nparams:\n- extra.toml\n")
    for number in range(3):
        content = METRICS["metrics.json"]
        if number:
            content = {**content, "loss": 0.1 / number, "nested": {"a": number}, "ok": False, "name": "y", "new": number}
        workspace.write("metrics.json", json.dumps(content))
        workspace.write("other.yaml", f"score: {number}.0\n" if number < 2 else "score: text\n")
        workspace.write("params.yaml", PARAMS.replace("0.1", f"0.{number + 1}") + ("more: [1, 2]\n" if number else ""))
        workspace.write("extra.toml", f"x = {number}\n")
        if number < 2:
            workspace.commit(f"number {number}")
            workspace.git("tag", f"v{number}")
    return workspace


@pytest.mark.parametrize(
    "command",
    ["metrics show", "metrics show --json", "metrics show --md", "metrics show metrics.json", "metrics show --precision 2", "metrics diff", "metrics diff --json", "metrics diff --md", "metrics diff --all",
     "metrics diff v0", "metrics diff v0 v1", "metrics diff v0 v1 --json", "metrics diff --no-path", "metrics diff --precision 2", "metrics diff --targets metrics.json", "metrics diff absent", "metrics show absent.json",
     "params diff", "params diff --json", "params diff --md", "params diff --all", "params diff v0", "params diff v0 v1", "params diff v0 v1 --json", "params diff --no-path", "params diff --targets extra.toml", "params diff absent"],
)  # fmt: skip
def test_metrics_and_params(command, measured):
    printed(measured, *command.split(), code=None)


STAGES = [
    "stage add -n a -d in.txt -o out.txt cp in.txt out.txt",
    "stage add -n b -d out.txt -p lr,net.layers -O plain.txt -m m.json -M n.json touch plain.txt m.json n.json",
    "stage add -n c --plots p.csv --plots-no-cache q.csv --outs-persist keep.txt --desc words --always-changed -w . echo 1",
    "stage add -n d -p other.yaml:x,y -p params.yaml:lr echo ${lr}",
    "stage add -n a -d in.txt -o out2.txt cp in.txt out2.txt",
    "stage add --force -n a -d in.txt -o out2.txt cp in.txt out2.txt",
    "stage add -n bad/name echo 1",
    "stage add -n e -o out2.txt echo 1",
    "stage add -n f -d x -o x echo 1",
    "freeze b",
    "freeze absent",
    "unfreeze b",
    "remove c",
    "remove absent",
]


def test_stages_are_edited_alike(twins):
    for workspace in twins:
        workspace.dvc("init")
        workspace.write("in.txt", "1")
        workspace.write("params.yaml", PARAMS)
        workspace.write("other.yaml", "x: 1\ny: 2\n")
        workspace.write("dvc.yaml", "# a comment\nstages:\n  first:   # beside\n    cmd: touch first.txt\n    outs: [first.txt]\n")
    for command in STAGES:
        ours, real = twins[0].ours(*command.split(" "), code=None), twins[1].dvc(*command.split(" "), code=None)
        assert ours.code == real.code, (ours, real)
        assert_twins(*twins)
    printed(twins[0], "stage", "list")
    printed(twins[0], "stage", "list", "--all")
    printed(twins[0], "stage", "list", "--name-only")


def test_data_are_let_go(twins):
    for workspace in twins:
        workspace.dvc("init")
        for name in ("a", "b", "c/d", "c/e"):
            workspace.write(name, name)
        workspace.dvc("config", "cache.type", "symlink")
        workspace.dvc("add", "a", "b", "c")
    both_do(twins, "unprotect", "a", "c")
    assert_twins(*twins)
    assert not twins[0].path("a").is_symlink() and not twins[0].path("c/d").is_symlink()
    both_do(twins, "remove", "a.dvc")
    assert_twins(*twins)
    both_do(twins, "remove", "--outs", "b.dvc")
    assert_twins(*twins)
    both_do(twins, "remove", "absent.dvc", code=1)
    assert_twins(*twins)


def test_small_commands(workspace):
    workspace.dvc("init")
    workspace.write(".dvcignore", "*.log\n!keep.log\nsub/\n")
    workspace.path("deep/er").mkdir(parents=True)
    for arguments in (["a.log"], ["keep.log"], ["b.txt"], ["a.log", "b.txt"], ["-d", "a.log"], ["-d", "-n", "b.txt"], ["sub/x"]):
        printed(workspace, "check-ignore", *arguments, code=None)
    printed(workspace, "root")
    for tool in (workspace.ours, workspace.dvc):
        assert tool("root", cwd=workspace.path("deep/er")).out.strip() == "../.."
    printed(workspace, "cache", "dir")
    printed(workspace, "--version")


@pytest.mark.parametrize(
    "command", ["", "absent", "add", "add --absent x", "status --json --absent", "repro a b --absent", "config", "remote", "remote add one", "push -j", "push -j x", "status absent", "checkout absent", "commit absent", "push absent"]
)  # fmt: skip
def test_exit_codes_of_wrong_calls(command, workspace):
    workspace.dvc("init")
    ours, real = workspace.ours(*command.split(), code=None), workspace.dvc(*command.split(), code=None)
    assert ours.code == real.code != 0, (ours, real)


def test_outside_of_a_project(tmp_path, matraz, dvc):
    folder = tmp_path / "nothing"
    (folder / ".git").mkdir(parents=True)
    for command in (["status"], ["repro"], ["add", "x"], ["root"], ["push"], ["dag"]):
        ours, real = matraz("dvc", *command, cwd=folder, code=None), dvc(*command, cwd=folder, code=None)
        if (tmp_path / "../../.dvc").resolve().exists():
            pytest.fail("there is a project above the folder of the tests")
        assert ours.code == real.code != 0, (ours, real)
