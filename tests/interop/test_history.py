"""What accumulates over commits: garbage, data of old versions, and branches that are merged."""

import subprocess

import pytest

from test_remote import TOOLS, objects


def remote(workspace):
    """The folder that the workspace pushes to."""
    return workspace.root.parent / f"remote of {workspace.root.name}"


def set_up(workspace, tool):
    getattr(workspace, tool)("init")
    # Absolute: at commits, real DVC takes a relative one from the root of the filesystem.
    getattr(workspace, tool)("remote", "add", "--default", "far", remote(workspace))


def grow(workspace, tool):
    """Three versions of a file and a folder: two of them committed, the first with a tag."""
    act = getattr(workspace, tool)
    for number in (1, 2, 3):
        workspace.write("one", f"{number}\n")
        workspace.write("data/changed", f"{number} of a folder\n")
        workspace.write("data/same", "same\n")
        act("add", "one", "data")
        if number < 3:
            workspace.commit(str(number))
            workspace.git("tag", f"v{number}")


SCOPES = [
    ["-T", "-w"],
    ["--rev", "v2", "-n", "5"],
    ["-w", "--not-in-remote"],
    ["-w", "-c"],
]


@pytest.mark.parametrize("scope", SCOPES, ids=" ".join)
def test_both_keep_the_same(twins, scope):
    for workspace, tool in zip(twins, ("ours", "dvc")):
        set_up(workspace, tool)
        grow(workspace, tool)
        getattr(workspace, tool)("push", "-T")
        dry = getattr(workspace, tool)("gc", *scope, "-f", "--dry")
        done = getattr(workspace, tool)("gc", *scope, "-f")
        removed = [line for line in dry.out.splitlines() if not line.startswith("Removing ")]
        assert removed == done.out.splitlines()
        workspace.said = removed
    assert twins[0].said == twins[1].said
    assert objects(twins[0].path(".dvc/cache")) == objects(twins[1].path(".dvc/cache"))
    assert objects(remote(twins[0])) == objects(remote(twins[1]))


@pytest.mark.parametrize("pusher, puller", TOOLS)
def test_one_tool_gets_the_old_versions_that_the_other_pushed(workspace, pusher, puller):
    set_up(workspace, pusher)
    grow(workspace, pusher)
    getattr(workspace, pusher)("push", "-A")
    cache = objects(workspace.path(".dvc/cache"))
    workspace.remove(".dvc/cache")
    getattr(workspace, puller)("fetch", "-A")
    assert objects(workspace.path(".dvc/cache")) == cache
    assert workspace.both("status", "-c", "-A", "--json").json() == {}


def test_what_came_back_from_the_trash_is_good_for_dvc(workspace):
    set_up(workspace, "dvc")
    grow(workspace, "dvc")
    workspace.commit("3")
    cache = objects(workspace.path(".dvc/cache"))
    workspace.matraz("gc", "-w", "-f")
    workspace.assert_clean()
    # Neither tool takes the trash for a part of the cache.
    workspace.dvc("gc", "-w", "-f")
    workspace.matraz("gc", "--undo")
    assert objects(workspace.path(".dvc/cache")) == cache
    workspace.git("checkout", "--quiet", "--force", "v1")
    workspace.dvc("checkout")
    assert workspace.read("one") == "1\n"
    workspace.assert_clean()


def merge(workspace, branch):
    arguments = ["git", "merge", "--no-edit", branch]
    return subprocess.run(arguments, cwd=workspace.root, env=workspace._matraz.environment, capture_output=True, text=True)


def test_dvc_finds_a_merged_project_clean(workspace):
    workspace.matraz("init")
    workspace.remove("matraz.yaml")
    workspace.write("common", "0\n")
    for name in ("left", "right"):
        workspace.write(f"{name}.in", "0\n")
        workspace.dvc("stage", "add", "-n", name, "-d", f"{name}.in", "-d", "common", "-o", name, f"cat {name}.in common > {name}")
    workspace.write("data/a", "a\n")
    workspace.dvc("add", "data")
    workspace.dvc("repro")
    workspace.commit("base")
    workspace.git("checkout", "--quiet", "-b", "side")
    workspace.write("left.in", "1\n")
    workspace.write("data/b", "b\n")
    workspace.dvc("add", "data")
    workspace.dvc("repro")
    workspace.commit("side")
    workspace.git("checkout", "--quiet", "main")
    workspace.dvc("checkout")
    workspace.write("right.in", "1\n")
    workspace.write("data/c", "c\n")
    workspace.dvc("add", "data")
    workspace.dvc("repro")
    workspace.commit("main")
    done = merge(workspace, "side")
    assert done.returncode == 0, done
    workspace.dvc("checkout")
    workspace.assert_clean()
    assert sorted(path.name for path in workspace.path("data").iterdir()) == ["a", "b", "c"]
    assert "didn't change" in workspace.dvc("repro").out


def test_dvc_works_in_a_clone_that_knows_nothing_of_the_merge(workspace):
    workspace.matraz("init")
    workspace.remove("matraz.yaml")
    workspace.write("data/a", "a\n")
    workspace.dvc("add", "data")
    workspace.commit("base")
    clone = workspace.clone()
    clone.git("checkout", "--quiet", "-b", "side")
    clone.write("x.txt", "x\n")
    clone.commit("side")
    clone.git("checkout", "--quiet", "main")
    clone.write("y.txt", "y\n")
    clone.commit("main")
    assert merge(clone, "side").returncode == 0
    clone.dvc("install")
    assert clone.git("config", "merge.dvc.driver").startswith("dvc git-hook merge-driver")
