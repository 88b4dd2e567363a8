"""Questions about the state of data, and data that change their place: both tools answer and act alike."""

import json


def both(twins, *arguments, code=0):
    """What both tools say to the same question in twin projects."""
    ours, real = twins
    return ours.ours(*arguments, code=code).out, real.dvc(*arguments, code=code).out


def in_order(value):
    """JSON whose lists have no order."""
    if isinstance(value, dict):
        return {key: in_order(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((in_order(item) for item in value), key=str)
    return value


def assert_same_json(twins, *arguments):
    found, expected = (in_order(json.loads(text)) for text in both(twins, *arguments))
    assert found == expected, arguments


def assert_same_text(twins, *arguments):
    found, expected = both(twins, *arguments)
    assert found == expected, arguments


def test_data_status_and_diff(twins):
    both(twins, "init", "-q")
    assert_same_json(twins, "diff", "--json")
    for workspace in twins:
        workspace.commit()
        workspace.write("d/a", "1\n")
        workspace.write("d/s/ü b", "2\n")
        workspace.write("f", "3\n")
        workspace.write("g", "4\n")
    both(twins, "add", "d", "f", "g")
    assert_same_json(twins, "data", "status", "--json", "--granular", "--untracked-files")
    for workspace in twins:
        workspace.commit()
        workspace.write("d/a", "11\n")
        workspace.write("d/new", "5\n")
    both(twins, "move", "f", "d2")
    both(twins, "remove", "g.dvc")
    for options in [[], ["--granular"], ["--granular", "--unchanged"], ["--unchanged", "d2"], ["--granular", "d/s"]]:
        assert_same_json(twins, "data", "status", "--json", "--not-in-remote", *options)
    for options in [[], ["--show-hash"], ["--targets", "d/a", "d2"], ["HEAD", "HEAD"], ["HEAD~1", "HEAD"]]:
        assert_same_json(twins, "diff", "--json", *options)
    for options in [[], ["--show-hash"], ["--md"], ["--md", "--show-hash"], ["--hide-missing"]]:
        assert_same_text(twins, "diff", *options)
    both(twins, "diff", "no-such-commit", code=1)
    both(twins, "diff", "--targets", "nowhere", code=255)
    for target in ["nowhere/x", "../out", ".dvc/x", "d2", "x.dvc"]:
        both(twins, "move", "d2", target, code=1)


def test_data_that_moved(twins):
    both(twins, "init", "-q")
    for workspace in twins:
        workspace.write("f", "1\n")
        workspace.write("sub/keep", "")
    both(twins, "add", "f")
    for workspace in twins:
        text = workspace.path("f.dvc").read_text()
        workspace.write("f.dvc", text + "  desc: mine\nmeta:\n  k: [1, 2]\n")
    both(twins, "move", "f", "sub")
    both(twins, "import-url", "sub/f", "imported")
    both(twins, "move", "imported", "sub/moved")
    ours, real = twins
    for name in ["sub/f.dvc", "sub/moved.dvc", "sub/.gitignore"]:
        assert ours.path(name).read_text() == real.path(name).read_text(), name
    for workspace in twins:
        workspace.commit()
        workspace.assert_clean()
    both(twins, "destroy", code=1)
    both(twins, "destroy", "-f")
    assert not ours.path(".dvc").exists() and ours.path("sub/f").read_text() == "1\n"
    assert ours.git("status", "--porcelain", "--ignored") == real.git("status", "--porcelain", "--ignored")
