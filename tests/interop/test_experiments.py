"""Experiments that one tool made, in the hands of the other."""

import json

import pytest

TOOLS = ["ours", "dvc"]


@pytest.fixture
def project(workspace):
    """A pipeline of one stage over a tracked file, committed."""
    workspace.dvc("init")
    workspace.write("in", "1\n")
    workspace.dvc("add", "in")
    workspace.write("params.yaml", "# rates\nlr: 1   # the rate\nname: x\n")
    workspace.dvc(
        "stage", "add", "-n", "s", "-d", "in", "-p", "lr", "-o", "o", "-M", "m.json",
        'cat in params.yaml > o; echo "{\\"lr\\": $(sed -n "s/lr: \\([0-9]*\\).*/\\1/p" params.yaml)}" > m.json',
    )
    workspace.dvc("repro")
    workspace.commit("base")
    return workspace


def act(workspace, tool, *words, **options):
    return getattr(workspace, tool)(*words, **options)


def shown(workspace, tool):
    """What `exp show --json` says, without what differs from machine to machine."""
    def clean(value):
        if isinstance(value, dict):
            return {key: clean(one) for key, one in value.items() if key not in ("executor", "timestamp")}
        return [clean(one) for one in value] if isinstance(value, list) else value
    rows = clean(json.loads(act(workspace, tool, "exp", "show", "--json").out))
    for row in rows:
        (row["experiments"] or []).sort(key=lambda one: one["name"])
    return rows


@pytest.mark.parametrize("maker, user", [("ours", "dvc"), ("dvc", "ours")])
def test_experiments_of_one_tool_are_those_of_the_other(project, maker, user):
    bare = project.root.parent / "far.git"
    project.git("init", "--quiet", "--bare", bare)
    project.git("remote", "add", "origin", bare)
    project.write("in", "2\n")
    act(project, maker, "exp", "run", "-n", "two", "-S", "lr=2")
    act(project, maker, "exp", "run", "--temp", "-n", "three", "-S", "lr=3", "-S", "+new=[1,2]")
    project.write("params.yaml", "lr: 4\n")
    act(project, maker, "exp", "save", "-n", "saved")
    assert sorted(act(project, user, "exp", "list", "--name-only").out.split()) == ["saved", "three", "two"]
    assert shown(project, maker) == shown(project, user)
    act(project, user, "exp", "apply", "three")
    assert project.read("params.yaml") == "# rates\nlr: 3   # the rate\nname: x\nnew:\n- 1\n- 2\n"
    assert project.read("o").startswith("2\n# rates\nlr: 3")
    assert act(project, user, "status", "--json").json() == {}
    act(project, user, "exp", "branch", "two", "b")
    assert json.loads(project.git("show", "b:m.json")) == {"lr": 2}
    act(project, user, "exp", "diff", "two", "three", "--json")
    act(project, user, "exp", "push", "--no-cache", "origin", "two")
    act(project, user, "exp", "rename", "two", "deux")
    act(project, user, "exp", "remove", "saved")
    act(project, maker, "exp", "pull", "--no-cache", "origin", "two")
    assert sorted(act(project, maker, "exp", "list", "--name-only").out.split()) == ["deux", "three", "two"]
    act(project, maker, "exp", "run", "-n", "two", "-S", "lr=9", code=255)
    act(project, user, "gc", "-f", "-w", "--all-experiments")
    act(project, maker, "exp", "apply", "deux")
    assert project.read("o").startswith("2\n# rates\nlr: 2")


def test_a_queue_of_ours_makes_experiments_of_dvc(project):
    project.ours("exp", "run", "--queue", "-n", "q", "-S", "lr=5,6")
    assert project.dvc("exp", "list", "--name-only").out == ""
    project.ours("exp", "run", "--run-all", "-j", "2")
    assert sorted(project.dvc("exp", "list", "--name-only").out.split()) == ["q-1", "q-2"]
    project.dvc("exp", "apply", "q-2")
    assert json.loads(project.read("m.json")) == {"lr": 6}
    assert project.git("for-each-ref", "refs/exps/celery") == ""
    project.ours("queue", "remove", "--success")


@pytest.mark.parametrize("change", ["lr=0.5", "name=y z", "~name", "+a.b=[1,{c: null}]", "lr=[1,2]", "++name=true"])
def test_parameters_are_changed_alike(project, change):
    texts = []
    for number, tool in enumerate(TOOLS):
        act(project, tool, "exp", "run", "-n", f"x{number}", "-S", change)
        texts.append((project.read("params.yaml"), project.read("o")))
        project.git("checkout", "--quiet", ".")
    assert texts[0] == texts[1]
