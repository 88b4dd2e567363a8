"""The commands of MLflow's program: both print the same about equal stores."""

import csv
import io
import json
import re

import pytest
from click.testing import CliRunner


@pytest.fixture(scope="module")
def ids(real_server):
    client = real_server.client()
    runs = client.search_runs(["1", "2"], run_view_type=3)
    return {run.info.run_name: run.info.run_id for run in runs}


@pytest.fixture
def both(same_store, real_server, matraz, tmp_path):
    """Runs a command by both programs, each against its own server; gives exit codes and outputs."""
    from mlflow.cli import cli

    def both(*arguments):
        arguments = [str(argument) for argument in arguments]
        ours = matraz("mlflow", *arguments, cwd=tmp_path, code=None, MLFLOW_TRACKING_URI=same_store.url)
        import mlflow

        mlflow.set_tracking_uri(real_server.url)
        real = CliRunner().invoke(cli, arguments, env={"MLFLOW_TRACKING_URI": real_server.url})
        return (ours.code, ours.out), (real.exit_code, real.output)

    return both


@pytest.mark.parametrize(
    "command",
    ["experiments search", "experiments search --view all", "experiments search --view deleted_only", "experiments search --max-results 2", "experiments get --experiment-id 1", "experiments get -x 1 --output json", "experiments get --experiment-name first",
     "runs list --experiment-id 1", "runs list --experiment-id 1 --view all", "runs list --experiment-id 1 --view deleted_only"],
)  # fmt: skip
def test_listings(command, both):
    (code, found), (real_code, expected) = both(*command.split())
    assert (code, real_code) == (0, 0), (found, expected)

    def cells(text):
        """The words of each line: widths of columns differ with the terminal."""
        return [re.sub(r"[-─ ]{2,}", "  ", line).strip() for line in text.splitlines() if line.strip()]

    assert cells(found) == cells(expected)


def test_a_run_as_json(both, ids):
    (code, found), (_, expected) = both("runs", "describe", "--run-id", ids["run-0"])
    assert code == 0
    found, expected = json.loads(found), json.loads(expected)
    for side in (found, expected):
        for key in ("metrics", "params", "tags"):
            if isinstance(side["data"].get(key), list):
                side["data"][key] = sorted(side["data"][key], key=repr)
    assert found["info"] == expected["info"]
    assert found["data"] == expected["data"]


def test_an_experiment_as_csv(both, tmp_path):
    files = []
    for number in range(1):
        (code, found), (real_code, expected) = both("experiments", "csv", "--experiment-id", "1")
        assert (code, real_code) == (0, 0), (found, expected)
        files = [list(csv.DictReader(io.StringIO(text))) for text in (found, expected)]
    assert len(files[0]) == len(files[1]) == 4
    by_id = [{row["run_id"]: row for row in rows} for rows in files]
    assert by_id[0].keys() == by_id[1].keys()
    for id, expected in by_id[1].items():
        for column, value in expected.items():
            if column in ("start_time", "end_time"):
                continue
            assert by_id[0][id].get(column) == value, (id, column)


@pytest.mark.parametrize(
    "command",
    ["absent", "experiments", "experiments absent", "experiments get", "experiments get --experiment-id 999", "experiments delete", "experiments rename -x 1", "runs list", "runs describe", "runs describe --run-id 0", "runs delete --run-id 0",
     "artifacts list", "artifacts list --run-id 0", "experiments search --absent"],
)  # fmt: skip
def test_exit_codes_of_wrong_calls(command, both):
    (code, found), (real_code, expected) = both(*command.split())
    assert code == real_code, (found, expected)


def test_a_life_by_commands(server, matraz, tmp_path):
    def run(*arguments, code=0):
        return matraz("mlflow", *arguments, cwd=tmp_path, code=code, MLFLOW_TRACKING_URI=server.url).out

    client = server.client()
    run("experiments", "create", "-n", "by command")
    id = client.get_experiment_by_name("by command").experiment_id
    run("experiments", "rename", "-x", id, "-n", "by command 2")
    run("experiments", "delete", "-x", id)
    assert client.get_experiment(id).lifecycle_stage == "deleted"
    run("experiments", "restore", "-x", id)
    run("runs", "create", "--experiment-id", id, "--run-name", "made", "--tags", "a=1")
    [made] = client.search_runs([id])
    assert (made.info.run_name, made.info.status, made.data.tags["a"]) == ("made", "FINISHED", "1")
    (tmp_path / "up/deep").mkdir(parents=True)
    (tmp_path / "up/deep/a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    run("artifacts", "log-artifact", "--local-file", tmp_path / "b.txt", "--run-id", made.info.run_id, "--artifact-path", "to")
    run("artifacts", "log-artifacts", "--local-dir", tmp_path / "up", "--run-id", made.info.run_id)
    assert [entry.path for entry in client.list_artifacts(made.info.run_id)] == ["deep", "to"]
    listed = json.loads(run("artifacts", "list", "--run-id", made.info.run_id, "--artifact-path", "to"))
    assert listed == [{"path": "to/b.txt", "is_dir": False, "file_size": 1}] or listed[0]["path"] == "to/b.txt"
    down = run("artifacts", "download", "--run-id", made.info.run_id, "--artifact-path", "deep", "--dst-path", tmp_path / "down")
    assert (tmp_path / "down/deep/a.txt").read_text() == "a", down
    run("runs", "delete", "--run-id", made.info.run_id)
    assert client.get_run(made.info.run_id).info.lifecycle_stage == "deleted"
    run("runs", "restore", "--run-id", made.info.run_id)
    assert client.get_run(made.info.run_id).info.lifecycle_stage == "active"
