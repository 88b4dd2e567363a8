"""Datasets: what one tool names and locks the other reads and updates, and stages on them run for the same reasons."""

import pytest

from workspace import Workspace

STAGE = "stages:\n  use:\n    cmd: echo run\n    deps:\n    - ds://data\n    - ds://file\n"


@pytest.mark.parametrize("first, second", [("ours", "dvc"), ("dvc", "ours")])
def test_datasets_are_shared(workspace, tmp_path, matraz, dvc, first, second):
    first, second = getattr(workspace, first), getattr(workspace, second)
    other = Workspace(tmp_path / "source", matraz, dvc)
    other.dvc("init")
    other.write("data/a", "a")
    other.dvc("add", "data")
    other.commit()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_text("1")
    first("init")
    first("dataset", "add", "data", "--dvc", other.root, "--path", "data")
    first("dataset", "add", "file", "--url", "../outside/f")
    first("dataset", "add", "folder", "--url", "../outside")
    workspace.write("dvc.yaml", workspace.read("dvc.yaml") + STAGE)
    assert workspace.both("status", "--json").json() == {
        "use": [{"changed deps": {"ds://data": "new", "ds://file": "new"}}]
    }
    first("repro")
    assert workspace.both("status", "--json").json() == {}
    locked = workspace.read("dvc.lock")
    for name in ("data", "file", "folder"):
        second("dataset", "update", name)
    assert workspace.read("dvc.lock") == locked
    other.write("data/a", "b")
    other.dvc("add", "data")
    other.commit()
    second("dataset", "update", "data")
    assert workspace.both("status", "--json").json() == {
        "use": [{"changed deps": {"ds://data": "modified"}}]
    }
    second("repro")
    assert workspace.both("status", "--json").json() == {}
    workspace.write("dvc.yaml", workspace.read("dvc.yaml").replace("path: data", "path: data/a"))
    assert workspace.both("status", "--json").json() == {
        "use": [{"changed deps": {"ds://data": "not in sync"}}]
    }
