"""Remotes in a folder: what one tool pushes the other pulls, and both see the same differences."""

import re
import shutil

import pytest

from test_data_files import assert_twins, both_do, odd_folder
from test_pipeline import PARAMS, PIPELINE, fill

TOOLS = [("ours", "dvc"), ("dvc", "ours")]


def remote(workspace):
    """The folder that the workspace pushes to."""
    return workspace.root.parent / "remote"


def set_up(workspace, tool):
    getattr(workspace, tool)("init")
    getattr(workspace, tool)("remote", "add", "--default", "far", "../remote")


def objects(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), oct(path.stat().st_mode)) for path in files}


def fill_all(workspace, tool):
    """A folder, a file and a pipeline, all tracked and run."""
    fill(workspace)
    odd_folder(workspace)
    workspace.remove("data/empty folder")
    # Nothing records which files of a folder can be run.
    workspace.path("data/run.sh").chmod(0o644)
    workspace.write("one.bin", bytes(range(256)) * 5000)
    getattr(workspace, tool)("add", "raw.txt", "data", "one.bin")
    getattr(workspace, tool)("repro")
    workspace.commit()


def test_settings(twins):
    def sections(workspace, name):
        """The sections of a file; their order means nothing."""
        text = workspace.read(name) if workspace.path(name).exists() else ""
        return sorted(re.split(r"^(?=\[)", text, flags=re.M))

    def set(*arguments, code=0):
        both_do(twins, *arguments, code=code)
        for name in (".dvc/config", ".dvc/config.local"):
            assert sections(twins[0], name) == sections(twins[1], name), arguments

    both_do(twins, "init")
    set("remote", "add", "far", "../far")
    set("remote", "add", "-d", "abs", "/tmp/some where")
    set("remote", "add", "--local", "mine", "~/x")
    set("remote", "add", "far", "../other", code=251)
    set("remote", "add", "-f", "far", "../other")
    set("remote", "modify", "far", "jobs", "3")
    set("remote", "modify", "far", "verify", "true")
    set("remote", "modify", "absent", "jobs", "3", code=251)
    set("remote", "modify", "far", "nonsense", "3", code=251)
    set("remote", "modify", "-u", "far", "verify")
    set("remote", "default", "far")
    set("remote", "rename", "far", "further")
    set("remote", "default", "-u")
    set("remote", "remove", "abs")
    set("remote", "remove", "abs", code=251)
    set("config", "core.autostage", "true")
    set("config", "core.nonsense", "true", code=251)
    set("config", "cache.type", "reflink,copy")
    set("config", "cache.dir", "../shared-cache")
    set("config", "--local", "core.checksum_jobs", "2")
    set("config", "core.checksum_jobs", "two", code=251)
    set("config", "-u", "cache.type")
    set("config", "-u", "core.absent", code=251)
    for arguments in (["config", "core.autostage"], ["config", "--list"], ["config", "--list", "--show-origin"], ["config", "core.remote"], ["remote", "list"], ["remote", "default"]):
        ours, real = twins[0].ours(*arguments, code=None), twins[0].dvc(*arguments, code=None)
        assert (ours.code, sorted(ours.out.splitlines())) == (real.code, sorted(real.out.splitlines())), arguments


@pytest.mark.parametrize(("first", "second"), TOOLS)
def test_one_pushes_and_the_other_pulls(workspace, first, second):
    set_up(workspace, first)
    fill_all(workspace, first)
    getattr(workspace, first)("push", "--run-cache")
    for tool in (workspace.ours, workspace.dvc):
        assert tool("status", "-c", "--json").json() == {}
        assert "Everything is up to date." in tool("push").out

    clone = workspace.clone()
    getattr(clone, second)("pull")
    tracked = {name: content for name, content in workspace.tree().items() if not name.startswith(".dvc")}
    assert {name: content for name, content in clone.tree().items() if not name.startswith(".dvc")} == tracked
    clone.assert_clean()
    # Nothing has to run there.
    getattr(clone, second)("repro")
    assert clone.read("dvc.lock") == workspace.read("dvc.lock")


def test_both_push_the_same(twins):
    for workspace, tool in zip(twins, TOOLS[0]):
        set_up(workspace, tool)
        fill_all(workspace, tool)
        getattr(workspace, tool)("push", "--run-cache")
    assert objects(remote(twins[0])) == objects(remote(twins[1]))
    assert any(name.startswith("runs/") for name in objects(remote(twins[0])))


def test_both_see_what_is_missing(workspace):
    set_up(workspace, "dvc")
    fill_all(workspace, "dvc")

    def compared(*targets):
        ours, real = (tool("status", "-c", "--json", *targets).json() for tool in (workspace.ours, workspace.dvc))
        # Of files with equal content real DVC names one, whichever comes.
        assert real.items() <= ours.items() and set(ours.values()) == set(real.values())
        return ours

    missing = compared()
    assert missing["one.bin"] == "new" and "data" in missing
    compared("data")
    workspace.dvc("push", "one.bin", "train")
    assert "one.bin" not in compared()
    workspace.both("status", "-c", "-q", code=1)
    workspace.ours("push")
    assert compared() == {}
    shutil.rmtree(workspace.path(".dvc/cache/files"))
    assert compared()["one.bin"] == "deleted"
    workspace.ours("fetch")
    assert compared() == {}
    workspace.assert_clean()


@pytest.mark.parametrize("targets", [["one.bin.dvc"], ["data"], ["data/a/x"], ["train"], ["clean.txt"], ["dvc.yaml"], ["dvc.yaml:train"], ["--with-deps", "train"], ["--recursive", "."], ["absent"]], ids=" ".join)  # fmt: skip
def test_targets_of_pull(workspace, targets):
    set_up(workspace, "dvc")
    fill_all(workspace, "dvc")
    workspace.dvc("push")
    ours, real = workspace.clone("ours"), workspace.clone("real")
    done, expected = ours.ours("pull", *targets, code=None), real.dvc("pull", *targets, code=None)
    assert done.code == expected.code, (done, expected)
    assert_twins(ours, real)


def test_the_run_cache_goes_through_the_remote(workspace):
    set_up(workspace, "ours")
    fill(workspace)
    # Metrics that are not cached do not travel.
    workspace.write("dvc.yaml", PIPELINE.replace("    - metrics.json:\n        cache: false\n", "    - metrics.json\n"))
    workspace.ours("add", "raw.txt")
    workspace.ours("repro")
    workspace.commit()
    workspace.write("params.yaml", PARAMS.replace("0.1", "0.9"))
    workspace.ours("repro")
    lock = workspace.read("dvc.lock")
    workspace.ours("push", "--run-cache")
    workspace.git("checkout", "--quiet", "--", "dvc.lock", "params.yaml")
    for name, tool in (("for-dvc", "dvc"), ("for-ours", "ours")):
        clone = workspace.clone(name)
        getattr(clone, tool)("pull", "--run-cache")
        clone.write("params.yaml", PARAMS.replace("0.1", "0.9"))
        done = getattr(clone, tool)("repro", "--pull")
        assert "Running stage" not in done.out, done
        assert clone.read("dvc.lock") == lock


def test_what_the_remote_lacks(twins):
    for workspace in twins:
        set_up(workspace, "dvc")
        workspace.write("a", "a")
        workspace.write("data/b", "b")
        workspace.write("data/c", "c")
        workspace.dvc("add", "a", "data")
        workspace.dvc("push")
        shutil.rmtree(workspace.path(".dvc/cache"))
        workspace.remove("a", "data")
        (remote(workspace) / "files/md5/0c/c175b9c0f1b6a831c399e269772661").unlink()
    ours, real = twins[0].ours("fetch", code=None), twins[1].dvc("fetch", code=None)
    assert ours.code == real.code, (ours, real)
    ours, real = twins[0].ours("pull", code=None), twins[1].dvc("pull", code=None)
    assert ours.code == real.code, (ours, real)
    assert_twins(*twins)
    ours, real = twins[0].ours("pull", "--allow-missing", code=None), twins[1].dvc("pull", "--allow-missing", code=None)
    assert ours.code == real.code, (ours, real)


def test_a_damaged_object_of_the_remote_is_not_taken(workspace):
    set_up(workspace, "ours")
    workspace.write("a", "the true content")
    workspace.ours("add", "a")
    workspace.ours("push")
    [stored] = [path for path in remote(workspace).rglob("*") if path.is_file()]
    stored.chmod(0o644)
    stored.write_text("something else!!")
    shutil.rmtree(workspace.path(".dvc/cache"))
    workspace.remove("a")
    workspace.ours("config", "remote.far.verify", "true")
    done = workspace.ours("pull", code=None)
    assert done.code != 0, done
    assert not workspace.path("a").exists()


def test_without_a_remote(workspace):
    workspace.dvc("init")
    workspace.write("a", "a")
    workspace.dvc("add", "a")
    for command in (["push"], ["pull"], ["fetch"], ["status", "-c"], ["push", "-r", "absent"]):
        workspace.both(*command, code=None)


def test_outputs_that_are_not_pushed(twins):
    for workspace, tool in zip(twins, TOOLS[0]):
        set_up(workspace, tool)
        getattr(workspace, tool)("remote", "add", "other", "../other")
        workspace.write("dvc.yaml", """\
stages:
  a:
    cmd: echo 1 > kept; echo 2 > there; echo 3 > all
    outs:
    - kept: {push: false}
    - there: {remote: other}
    - all
""")
        getattr(workspace, tool)("repro")
        getattr(workspace, tool)("push")
    assert_twins(*twins)
    for place in ("remote", "other"):
        found, expected = (objects(w.root.parent / place) for w in twins)
        assert found == expected and len(found) == 1, place
