"""Data that are added: both tools write the same `.dvc` files, `.gitignore` lines and cache, byte for byte."""

import os

import pytest

FILES = [
    "plain.csv", "a b.txt", "ünï ☃.txt", "😀.txt", "quote'.txt", 'double".txt', "#hash", "- dash", "a: b", "[x].txt", "{y}", "star*.txt", "quest?ion", "yes", "no", "null", "123", "1e3", "0x1F", "12:30", "~",
    "!bang", "&amp", "%percent", "@at", "`tick`", "a, b", "a #b", "back\\slash", ".hidden", "x" * 120, "word " * 30 + "end", "2020-01-01", "true", "-", "=", "e\u0301", "\u00e9",
]  # fmt: skip


def assert_twins(ours, real):
    """Two workspaces with the same files, cache and permissions."""
    found, expected = ours.tracked(), real.tracked()
    for name, content in expected[0].items():
        assert found[0].get(name, "missing") == content, name
    assert found[0].keys() == expected[0].keys()
    assert found[1] == expected[1]


def both_do(twins, *arguments, code=0):
    ours, real = twins
    ours.ours(*arguments, code=code)
    real.dvc(*arguments, code=code)


def test_a_new_project(twins):
    both_do(twins, "init")
    assert_twins(*twins)
    staged = [workspace.git("diff", "--cached", "--name-only") for workspace in twins]
    assert staged[0] == staged[1] != ""
    both_do(twins, "init", code=1)
    both_do(twins, "init", "--force")
    assert_twins(*twins)


@pytest.mark.parametrize("option", ["--no-scm", "--subdir"])
def test_other_new_projects(twins, option):
    for workspace, tool in zip(twins, ("ours", "dvc")):
        workspace.path("sub").mkdir()
        if option == "--no-scm":
            workspace.remove(".git")
        getattr(workspace, tool)("init", option, cwd=workspace.root / "sub")
    assert_twins(*twins)


def test_odd_files(twins):
    both_do(twins, "init")
    for workspace in twins:
        for number, name in enumerate(FILES):
            workspace.write(name, f"{number}: {name}\r\n" * (number % 3))
        workspace.write("run.sh", "#!/bin/sh\n", executable=True)
        workspace.write("sub/deep/big.bin", bytes(range(256)) * 8000)
    both_do(twins, "add", "run.sh", "sub/deep/big.bin", *(f"./{name}" for name in FILES))
    assert_twins(*twins)
    for workspace in twins:
        workspace.commit()
        workspace.assert_clean()
        ignored = workspace.git("status", "--porcelain", "--ignored", "-z").split("\0")
        assert set(FILES) <= {line[3:] for line in ignored}


def odd_folder(workspace, name="data"):
    for number, file in enumerate(FILES):
        workspace.write(f"{name}/{file}", f"{number}\n")
    workspace.write(f"{name}/ünter/😀/empty", "")
    workspace.write(f"{name}/a-b/x", "1")
    workspace.write(f"{name}/a/x", "2")
    workspace.write(f"{name}/a.txt", "2")
    workspace.write(f"{name}/run.sh", "#!/bin/sh\n", executable=True)
    workspace.path(f"{name}/empty folder/below").mkdir(parents=True)


def test_an_odd_folder(twins):
    both_do(twins, "init")
    for workspace in twins:
        odd_folder(workspace)
    both_do(twins, "add", "data")
    assert_twins(*twins)
    for workspace in twins:
        workspace.commit()
        workspace.assert_clean()
        workspace.write("data/a/x", "changed")
        workspace.write("data/new", "new")
        workspace.remove("data/a.txt")
        workspace.both("status", "--json")
        workspace.both("status", "-q", code=1)
    both_do(twins, "add", "data")
    assert_twins(*twins)


def test_an_empty_folder(twins):
    both_do(twins, "init")
    for workspace in twins:
        workspace.path("nothing/below").mkdir(parents=True)
    both_do(twins, "add", "nothing")
    assert_twins(*twins)
    assert "d751713988987e9331980363e24189ce.dir" in twins[0].read("nothing.dvc")


def test_a_folder_of_many(twins):
    both_do(twins, "init")
    for workspace in twins:
        for number in range(600):
            workspace.write(f"many/{number % 7}/{number}", os.urandom(0) + str(number).encode() * (number % 5))
    both_do(twins, "add", "many")
    assert_twins(*twins)


def test_what_dvcignore_names_is_left_out(twins):
    both_do(twins, "init")
    for workspace in twins:
        workspace.write(".dvcignore", "*.log\n!keep.log\n/data/tmp/\ndata/**/x?\n# a comment\n\\#odd\n")
        for name in ("a.log", "keep.log", "tmp/x", "deep/tmp/y", "deep/x1", "deep/x10", "#odd", "b"):
            workspace.write(f"data/{name}", name)
        workspace.write("data/deep/empty", "")
    both_do(twins, "add", "data")
    assert_twins(*twins)


def test_links_inside_a_folder_are_followed(twins):
    both_do(twins, "init")
    for workspace in twins:
        workspace.write("outside.txt", "outside")
        workspace.write("data/a", "a")
        workspace.path("data/link").symlink_to("../outside.txt")
    both_do(twins, "add", "data")
    assert_twins(*twins)


def test_options_of_add(twins):
    both_do(twins, "init")
    for workspace in twins:
        for name in ("a1.csv", "a2.csv", "b.csv", "deep/c1.csv"):
            workspace.write(name, name)
        workspace.write("outside.txt", "outside")
    both_do(twins, "add", "--glob", "a*.csv")
    assert_twins(*twins)
    both_do(twins, "add", "--no-commit", "b.csv")
    assert_twins(*twins)
    both_do(twins, "commit", "b.csv.dvc")
    assert_twins(*twins)
    both_do(twins, "add", "deep/c1.csv", "outside.txt")
    assert_twins(*twins)
    both_do(twins, "add", "--out", "copy.csv", "deep/c1.csv")
    assert_twins(*twins)
    both_do(twins, "add", "absent", code=1)
    assert_twins(*twins)


def test_comments_and_extra_fields_stay(twins):
    both_do(twins, "init")
    for workspace in twins:
        workspace.write("data.csv", "1")
    both_do(twins, "add", "data.csv")
    text = twins[0].read("data.csv.dvc")
    edited = "# above\n" + text.replace("  path:", "  desc: what it is   # beside\n  path:")
    edited += "  meta:\n    owner: ana\n    list: [1, 2]\nmeta: {who: me}   # flow\n# below\n"
    for workspace in twins:
        workspace.write("data.csv.dvc", edited)
        workspace.write("data.csv", "something longer")
    both_do(twins, "add", "data.csv")
    assert_twins(*twins)
    assert "# beside" in twins[0].read("data.csv.dvc")
    for workspace in twins:
        workspace.write("data.csv", "again")
    both_do(twins, "commit", "-f")
    assert_twins(*twins)


def test_a_change_inside_a_folder_is_added(twins):
    both_do(twins, "init")
    for workspace in twins:
        for name in ("a", "b", "sub/c"):
            workspace.write(f"data/{name}", name)
    both_do(twins, "add", "data")
    for workspace in twins:
        workspace.write("data/sub/c", "changed")
        workspace.write("data/sub/d", "new")
    both_do(twins, "add", "data/sub/c")
    assert_twins(*twins)


def test_checkout_goes_back_and_forth(twins):
    both_do(twins, "init")
    for workspace in twins:
        odd_folder(workspace)
        workspace.remove("data/empty folder")
        workspace.write("one", "1")
    both_do(twins, "add", "data", "one")
    for workspace in twins:
        workspace.commit("first")
        workspace.write("one", "2")
        workspace.write("data/a/x", "2")
        workspace.remove("data/ünter")
    both_do(twins, "add", "data", "one")
    for workspace in twins:
        workspace.commit("second")
        workspace.git("checkout", "--quiet", "HEAD~1")
    both_do(twins, "checkout")
    assert_twins(*twins)
    assert twins[0].read("one") == "1"
    for workspace in twins:
        workspace.git("checkout", "--quiet", "main")
        workspace.remove("one", "data/run.sh")
    both_do(twins, "checkout")
    assert_twins(*twins)
    for workspace in twins:
        workspace.assert_clean()


def test_files_of_both_tools_in_one_project(workspace):
    """Each tool adds to what the other one made."""
    workspace.dvc("init")
    tools = [workspace.ours, workspace.dvc]
    for turn in range(4):
        workspace.write("data/shared", f"turn {turn}")
        workspace.write(f"file{turn}", f"turn {turn}")
        tools[turn % 2]("add", "data", f"file{turn}")
        workspace.commit()
        workspace.assert_clean()
    workspace.write("data/shared", "unsaved")
    workspace.ours("checkout", code=255)
    workspace.dvc("checkout", code=255)
    assert workspace.read("data/shared") == "unsaved"
    workspace.dvc("checkout", "--force")
    assert workspace.read("data/shared") == "turn 3"
    workspace.write("data/shared", "unsaved")
    workspace.ours("checkout", "--force")
    assert workspace.read("data/shared") == "turn 3"


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink", "hardlink,copy"])
def test_kinds_of_links(twins, link):
    both_do(twins, "init")
    both_do(twins, "config", "cache.type", link)
    for workspace in twins:
        workspace.write("data/a", "a")
        workspace.write("one", "1")
    both_do(twins, "add", "data", "one")
    assert_twins(*twins)
    kinds = []
    for workspace in twins:
        for name in ("one", "data/a"):
            path = workspace.path(name)
            kinds.append((workspace is twins[0], name, path.is_symlink(), path.stat().st_nlink, oct(path.stat().st_mode)))
    assert [kind[1:] for kind in kinds if kind[0]] == [kind[1:] for kind in kinds if not kind[0]]


def test_a_damaged_object_is_named_and_not_used(workspace):
    workspace.dvc("init")
    workspace.write("data.csv", "1,2\n")
    workspace.ours("add", "data.csv")
    [cached] = [path for path in workspace.path(".dvc/cache/files").rglob("*") if path.is_file()]
    cached.chmod(0o644)
    cached.write_text("damaged")
    workspace.remove("data.csv")
    done = workspace.ours("checkout", code=255)
    assert "data.csv" in done.err
    assert not workspace.path("data.csv").exists()


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", ".git/config", ".dvc/config"])
def test_paths_that_leave_the_project_are_refused(workspace, path):
    workspace.dvc("init")
    (workspace.root.parent / "outside").write_text("x")
    before = workspace.tracked()
    workspace.ours("add", path, code=1)
    assert workspace.tracked() == before
    target = workspace.root.parent / "outside.dvc"
    assert not target.exists()
