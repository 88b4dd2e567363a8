"""Imports: what one tool imports the other updates and brings back, and both see the same state."""

import pytest

from workspace import Workspace

TOOLS = [("ours", "dvc"), ("dvc", "ours")]


@pytest.fixture
def source(tmp_path, matraz, dvc):
    """Another repository with data, a file of git and a tag."""
    other = Workspace(tmp_path / "source", matraz, dvc)
    other.dvc("init")
    other.write("model.bin", "one")
    other.write("data/a", "a")
    other.write("data/deep/ü b", "b")
    other.write("code/run.py", "print()\n")
    other.dvc("add", "model.bin", "data")
    other.commit()
    other.git("tag", "v1")
    return other


def change(source):
    source.write("model.bin", "two")
    source.write("data/c", "c")
    source.dvc("add", "model.bin", "data")
    source.commit()


@pytest.mark.parametrize("first, second", TOOLS)
def test_import_update_pull(workspace, source, first, second):
    first, second = getattr(workspace, first), getattr(workspace, second)
    first("init")
    for path, out in (("model.bin", "model.bin"), ("data", "all"), ("data/deep", "part"), ("code", "code")):
        first("import", source.root, path, "-o", out)
    first("import", source.root, "model.bin", "--rev", "v1", "-o", "old")
    assert workspace.both("status", "--json").json() == {}
    change(source)
    available = workspace.both("status", "--json").json()
    assert set(available) == {"model.bin.dvc", "all.dvc", "part.dvc", "code.dvc"}
    second("update", "model.bin.dvc", "all.dvc")
    assert workspace.read("model.bin") == "two"
    assert workspace.read("all/c") == "c"
    assert set(workspace.both("status", "--json").json()) == {"part.dvc", "code.dvc"}
    before = workspace.tree()
    workspace.remove(".dvc/cache", "model.bin", "all", "part", "code", "old")
    first("pull")
    assert {path: was for path, was in workspace.tree().items() if not path.startswith(".dvc/")} == {
        path: was for path, was in before.items() if not path.startswith(".dvc/")
    }
    assert workspace.both("status", "--no-updates", "--json").json() == {}


@pytest.mark.parametrize("first, second", TOOLS)
def test_import_url(workspace, tmp_path, first, second):
    first, second = getattr(workspace, first), getattr(workspace, second)
    first("init")
    outside = tmp_path / "outside"
    (outside / "d").mkdir(parents=True)
    (outside / "f").write_text("1")
    (outside / "d/a").write_text("2")
    first("import-url", outside / "f")
    first("import-url", "../outside/d", "folder")
    assert workspace.both("status", "--json").json() == {}
    (outside / "f").write_text("11")
    (outside / "d/b").write_text("3")
    second("update", "f.dvc", "folder.dvc")
    assert (workspace.read("f"), workspace.read("folder/b")) == ("11", "3")
    assert workspace.both("status", "--json").json() == {}
    second("unfreeze", "f.dvc")
    (outside / "f").write_text("111")
    assert "f.dvc" in workspace.both("status", "--json").json()
    first("repro", "f.dvc")
    assert workspace.read("f") == "111"
    assert workspace.both("status", "--json").json() == {}


def test_the_same_answers(workspace, source):
    change(source)
    for arguments in (
        ["list", source.root, "--json"],
        ["list", source.root, "-R", "--json"],
        ["list", source.root, "data", "--json", "--rev", "v1"],
        ["list", source.root, "--dvc-only", "-R", "--json"],
        ["list", source.root, "nosuch", "--json"],
    ):
        workspace.both(*arguments, code=None)
    for arguments in (
        ["list", source.root, "-T", "--size", "--show-hash"],
        ["du", source.root, "data", "--rev", "v1", "-s"],
        ["get", source.root, "model.bin", "--show-url"],
    ):
        ours, real = workspace.ours(*arguments), workspace.dvc(*arguments)
        assert [line.rstrip() for line in ours.out.splitlines()] == [line.rstrip() for line in real.out.splitlines()]
