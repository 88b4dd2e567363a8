"""Reproductions are runs: what `matraz repro` records, read with MLflow's client, and the model it registers."""

import hashlib
import json
import os
import re
import shutil
import signal
import threading

import pandas
import pytest
import requests
import yaml

from workspace import Workspace

TARGET = "NObeyesdad"


def pipeline_runs(client, experiment="obesity"):
    """The pipeline runs, oldest first."""
    id = client.get_experiment_by_name(experiment).experiment_id
    return client.search_runs([id], "tags.matraz.kind = 'pipeline'", order_by=["start_time ASC"])


def stage_runs(client, pipeline, kind="stage"):
    """The runs below a run, by their stage."""
    found = client.search_runs(
        [pipeline.info.experiment_id],
        f"tags.mlflow.parentRunId = '{pipeline.info.run_id}' AND tags.matraz.kind = '{kind}'",
    )
    return {run.data.tags["matraz.stage"]: run for run in found}


def inputs(run, context):
    """The data that a run read (`input`) or made (`output`): name to digest."""
    return {
        entry.dataset.name: entry.dataset.digest
        for entry in run.inputs.dataset_inputs
        if {tag.key: tag.value for tag in entry.tags}["mlflow.data.context"] == context
    }


def artifact(client, run, path, folder):
    folder.mkdir(exist_ok=True)
    return open(client.download_artifacts(run.info.run_id, path, str(folder)), encoding="utf-8").read()


def in_lock(workspace, stage, kind):
    entry = yaml.safe_load(workspace.read("dvc.lock"))["stages"][stage]
    return {item["path"]: item["md5"] for item in entry.get(kind, [])}


@pytest.fixture(scope="module")
def project(tmp_path_factory, matraz, dvc):
    """The example, reproduced with 300 and then with 500 trees, each registered as a version."""
    workspace = Workspace(tmp_path_factory.mktemp("example") / "project", matraz, dvc)
    workspace.matraz("init", "--example", "obesity")
    workspace.matraz("add", "data/obesity.csv")
    workspace.commit("example")
    workspace.first = workspace.matraz("repro")
    workspace.first_lock = workspace.read("dvc.lock")
    workspace.commit("300 trees")
    workspace.matraz("models", "register")
    workspace.write("params.yaml", workspace.read("params.yaml").replace("n_estimators: 300", "n_estimators: 500"))
    workspace.second = workspace.matraz("repro")
    workspace.commit("500 trees")
    workspace.matraz("models", "register")
    return workspace


@pytest.fixture(scope="module")
def ui(project, start_server, tmp_path_factory):
    """`matraz ui` in the project: it finds the store by itself."""
    return start_server(project.root, command=("ui",), log=tmp_path_factory.mktemp("ui") / "log")


@pytest.fixture(scope="module")
def stored(ui):
    return ui.client()


def test_a_reproduction_is_a_run(project, stored, tmp_path):
    run = pipeline_runs(stored)[0]
    assert run.info.status == "FINISHED" and run.info.end_time >= run.info.start_time
    expected = {key: str(value) for key, value in yaml.safe_load(project.read("params.yaml")).items()}
    assert run.data.params == {**expected, "n_estimators": "300"}
    metrics = json.loads(project.git("show", "HEAD~1:metrics.json"))
    flat = {"accuracy": metrics["accuracy"], "f1_macro": metrics["f1_macro"]}
    flat |= {f"{kind}.{name}": value for kind in ("precision", "recall") for name, value in metrics[kind].items()}
    assert run.data.metrics == flat and len(flat) == 2 + 2 * 7
    tags = run.data.tags
    assert tags["mlflow.source.git.commit"] == project.git("rev-parse", "HEAD~2").strip()
    assert (tags["mlflow.source.git.branch"], tags["matraz.git.dirty"]) == ("main", "false")
    assert (tags["mlflow.source.name"], tags["mlflow.user"]) == ("matraz repro", "tester")
    assert re.search(rf"Recorded run {run.info.run_name} in experiment obesity: accuracy 0\.\d+", project.first.out)
    assert inputs(run, "input") == {"data/obesity.csv": hashlib.md5(project.path("data/obesity.csv").read_bytes()).hexdigest()}
    assert inputs(run, "output")["metrics.json"] == hashlib.md5(project.git("show", "HEAD~1:metrics.json").encode()).hexdigest()
    assert artifact(stored, run, "dvc.lock", tmp_path) == project.first_lock


def test_stages_are_runs_below(project, stored, tmp_path):
    run = pipeline_runs(stored)[0]
    stages = stage_runs(stored, run)
    assert stages.keys() == {"prepare", "features", "train", "evaluate"}
    first = yaml.safe_load(project.first_lock)["stages"]
    for name, stage in stages.items():
        assert (stage.info.status, stage.info.run_name) == ("FINISHED", name)
        params = first[name].get("params", {}).get("params.yaml", {})
        assert stage.data.params == {key: str(value) for key, value in params.items()}
        assert inputs(stage, "input") == {item["path"]: item["md5"] for item in first[name]["deps"]}
        assert inputs(stage, "output") == {item["path"]: item["md5"] for item in first[name]["outs"]}
        assert float(stage.data.tags["matraz.wall_seconds"]) >= 0
        # A command that is over at once may not have been looked at.
        assert int(stage.data.tags.get("matraz.peak_memory_bytes", 1)) > 0
        assert re.fullmatch("[0-9a-f]{64}", stage.data.tags["matraz.run_cache"])
        assert yaml.safe_load(artifact(stored, stage, "matraz/lock.yaml", tmp_path / name)) == first[name]
    assert "rows read" in artifact(stored, stages["prepare"], "matraz/stage.log", tmp_path / "log")
    assert stages["evaluate"].data.metrics == run.data.metrics
    assert stored.get_parent_run(stages["train"].info.run_id).info.run_id == run.info.run_id


def test_only_what_changed_runs_again(project, stored, tmp_path):
    first, second = pipeline_runs(stored)
    assert stage_runs(stored, second).keys() == {"train", "evaluate"}
    assert (second.data.params["n_estimators"], second.data.params["test_size"]) == ("500", "0.3")
    assert second.data.metrics != first.data.metrics
    assert second.data.tags["matraz.git.dirty"] == "true"
    assert "+n_estimators: 500" in artifact(stored, second, "matraz/uncommitted.diff", tmp_path)
    rows = json.loads(artifact(stored, second, "matraz/stages.json", tmp_path))
    assert {row["stage"]: row["status"] for row in rows} == {
        "prepare": "unchanged", "features": "unchanged", "train": "ran", "evaluate": "ran",
    }  # fmt: skip
    assert re.findall(r"Running stage '(\w+)'", project.second.out) == ["train", "evaluate"]
    project.assert_clean()
    assert "Running" not in project.dvc("repro").out


def test_plots_are_artifacts(project, stored, tmp_path):
    run = pipeline_runs(stored)[1]
    plots = {plot["id"]: plot for plot in json.loads(artifact(stored, run, "matraz/plots.json", tmp_path))}
    assert plots.keys() == {"plots/confusion.csv", "plots/importance.csv"}
    confusion = plots["plots/confusion.csv"]
    assert (confusion["template"], confusion["x"], confusion["y"]) == ("confusion", "predicted", "actual")
    assert plots["plots/importance.csv"]["template"] == "bar_horizontal"
    for plot in plots.values():
        assert artifact(stored, run, plot["file"], tmp_path) == project.read(plot["id"])


def test_outputs_are_not_stored_twice(project, stored):
    run = stage_runs(stored, pipeline_runs(stored)[1])["train"]
    folder = project.root / "mlartifacts" / run.info.experiment_id / run.info.run_id / "artifacts/model"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == len([path for path in project.path("model").rglob("*") if path.is_file()]) > 3
    assert all(path.stat().st_nlink > 1 for path in files)


def test_the_search_of_the_web_app(stored):
    id = stored.get_experiment_by_name("obesity").experiment_id
    found = stored.search_runs([id], "metrics.accuracy > 0.5 AND params.n_estimators = '500' AND tags.matraz.kind = 'pipeline'")
    assert [run.info.run_id for run in found] == [pipeline_runs(stored)[1].info.run_id]
    data = stored.search_runs([id], "dataset.name = 'data/obesity.csv' AND dataset.context = 'input'")
    assert {run.data.tags["matraz.kind"] for run in data} == {"pipeline", "stage"}


@pytest.mark.parametrize("version", [1, 2])
def test_the_registered_model_answers_alike_everywhere(version, project, ui, stored, matraz, start_server, tmp_path):
    """MLflow's pyfunc with onnxruntime, our server without Python, and what `evaluate` wrote."""
    import mlflow

    run = pipeline_runs(stored)[version - 1]
    registered = stored.get_model_version("obesity", version)
    assert registered.run_id == run.info.run_id
    rows = pandas.read_csv(project.path("features/test.csv"), keep_default_na=False, na_values=[""]).drop(columns=TARGET)
    if version == 2:
        expected = pandas.read_csv(project.path("predictions.csv"))
    else:
        evaluated = stage_runs(stored, run)["evaluate"]
        expected = pandas.read_csv(stored.download_artifacts(evaluated.info.run_id, "predictions.csv", str(tmp_path)))
    classes = [name for name in expected.columns if name not in ("actual", "predicted")]

    mlflow.set_tracking_uri(ui.url)
    mlflow.set_registry_uri(ui.url)
    model = mlflow.pyfunc.load_model(f"models:/obesity/{version}")
    assert model.metadata.signature.inputs.input_names() == list(rows.columns)
    answers = model.predict(rows)
    assert list(answers["label"]) == list(expected["predicted"])
    probabilities = pandas.DataFrame(list(answers["probabilities"]))[classes].astype("float32")
    assert probabilities.equals(expected[classes].astype("float32"))

    serving = start_server(project.root, "-m", f"models:/obesity/{version}", command=("models", "serve"), log=tmp_path / "serve.log")
    assert requests.get(f"{serving.url}/ping").status_code == 200
    body = {"dataframe_split": json.loads(rows.to_json(orient="split", index=False))}
    answer = requests.post(f"{serving.url}/invocations", json=body)
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    assert predictions["label"] == list(expected["predicted"])
    served = pandas.DataFrame(predictions["probabilities"])[classes].astype("float32")
    assert served.equals(expected[classes].astype("float32"))
    csv = requests.post(f"{serving.url}/invocations", data=rows.to_csv(index=False), headers={"content-type": "text/csv"})
    assert csv.json()["predictions"]["label"] == predictions["label"]
    wrong = requests.post(f"{serving.url}/invocations", json={"dataframe_split": {"columns": ["Age"], "data": [[20]]}})
    assert (wrong.status_code, wrong.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    serving.stop()


def test_promote_and_roll_back(project, stored):
    project.matraz("promote", "obesity", "--version", "1")
    assert int(stored.get_model_version_by_alias("obesity", "champion").version) == 1
    project.matraz("promote", "obesity", "--version", "2")
    assert int(stored.get_model_version_by_alias("obesity", "champion").version) == 2
    project.matraz("rollback", "obesity")
    assert int(stored.get_model_version_by_alias("obesity", "champion").version) == 1
    run = stored.get_run(stored.get_model_version("obesity", 2).run_id)
    assert run.data.tags["matraz.gate"] == "pass"


def test_a_stage_from_the_run_cache_points_at_its_origin(project, stored, tmp_path):
    """Last of those that look at the project: it adds a run."""
    first, second = pipeline_runs(stored)[:2]
    changed = project.read("params.yaml")
    project.write("params.yaml", changed.replace("n_estimators: 500", "n_estimators: 300"))
    done = project.matraz("repro")
    assert "Stage 'train' is cached - skipping run" in done.out
    run = pipeline_runs(stored)[2]
    stages = stage_runs(stored, run)
    assert stages.keys() == {"train", "evaluate"}
    for name, stage in stages.items():
        origin = stage_runs(stored, first)[name]
        assert stage.data.tags["matraz.cached"] == "true"
        assert stage.data.tags["matraz.cached.run_id"] == origin.info.run_id
        assert stage.data.tags["matraz.cached.saved_seconds"] == origin.data.tags["matraz.wall_seconds"]
        assert stage.data.metrics == origin.data.metrics
        assert inputs(stage, "output") == inputs(origin, "output")
    assert run.data.metrics == first.data.metrics
    assert {row["status"] for row in json.loads(artifact(stored, run, "matraz/stages.json", tmp_path))} == {"unchanged", "cached"}
    # The same again is no run at all.
    assert "Recorded" not in project.matraz("repro").out
    assert len(pipeline_runs(stored)) == 3


@pytest.fixture
def small(workspace):
    """A project with one quick stage, whose runs are recorded."""
    workspace.matraz("init")
    workspace.write("matraz.yaml", "tracking:\n  experiment: small\n")
    return workspace


def store_of(workspace):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{workspace.root}/mlflow.db")


def test_a_failing_stage_is_a_failed_run(small, tmp_path):
    small.write("dvc.yaml", """\
stages:
  good: {cmd: echo fine > good.txt, outs: [good.txt]}
  bad: {cmd: echo 'some words' && echo 'other words' >&2 && exit 3, deps: [good.txt], outs: [bad.txt]}
  after: {cmd: touch after.txt, deps: [bad.txt], outs: [after.txt]}
""")
    done = small.matraz("repro", code=None)
    assert done.code not in (0, 101), done
    assert "bad" in done.err and "some words" in done.out, done
    client = store_of(small)
    [run] = pipeline_runs(client, "small")
    stages = stage_runs(client, run)
    assert (run.info.status, stages["good"].info.status, stages["bad"].info.status) == ("FAILED", "FINISHED", "FAILED")
    assert "after" not in stages
    assert stages["bad"].data.tags["matraz.exit_code"] == "3"
    log = small.path(f"mlartifacts/{run.info.experiment_id}/{stages['bad'].info.run_id}/artifacts/matraz/stage.log").read_text()
    assert "some words" in log and "other words" in log
    assert in_lock(small, "good", "outs") and "bad" not in yaml.safe_load(small.read("dvc.lock"))["stages"]
    small.write("dvc.yaml", small.read("dvc.yaml").replace("exit 3", "touch bad.txt"))
    small.matraz("repro")
    small.commit()
    small.assert_clean()
    assert [run.info.status for run in pipeline_runs(client, "small")] == ["FAILED", "FINISHED"]


WAITS = """\
stages:
  quick: {cmd: echo 1 > quick.txt, outs: [quick.txt]}
  waits:
    cmd: sh wait.sh
    deps: [quick.txt]
    outs: [waited.txt]
"""
# A child of the shell does the waiting, so that only the end of the whole tree ends it.
WAIT_SCRIPT = """\
mkfifo fifo
cat fifo > waited.txt &
echo $! > child.pid
echo ready
wait
"""


def start_waiting(workspace):
    workspace.write("dvc.yaml", WAITS)
    workspace.write("wait.sh", WAIT_SCRIPT)
    process = workspace.start("repro")
    for line in process.stdout:
        if line.strip() == "ready":
            return process
    raise AssertionError(f"ended with {process.wait()}")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as status:
            return status.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_interrupted_stage_is_a_killed_run(small):
    process = start_waiting(small)
    child = int(small.read("child.pid"))
    assert is_running(child)
    process.send_signal(signal.SIGINT)
    output = process.stdout.read()
    assert process.wait() not in (0, 101), output
    assert "panicked" not in output
    assert not is_running(child)
    client = store_of(small)
    [run] = pipeline_runs(client, "small")
    stages = stage_runs(client, run)
    assert (run.info.status, stages["quick"].info.status, stages["waits"].info.status) == ("KILLED", "FINISHED", "KILLED")
    assert "quick" in small.read("dvc.lock") and "waits" not in small.read("dvc.lock")
    # Nothing is locked: both tools go on at once.
    small.write("wait.sh", "echo 1 > waited.txt\n")
    small.matraz("repro")
    small.commit()
    small.assert_clean()


def test_a_second_one_waits_and_says_for_whom(small):
    first = start_waiting(small)
    second = small.start("repro")
    lines = []
    for line in second.stdout:
        lines.append(line)
        if str(first.pid) in line:
            break
    else:
        raise AssertionError(f"it did not say what it waits for: {lines}")
    with small.path("fifo").open("w") as fifo:
        fifo.write("done\n")
    rest = [first.stdout, second.stdout]
    readers = [threading.Thread(target=stream.read) for stream in rest]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert (first.wait(), second.wait()) == (0, 0)
    assert small.read("waited.txt") == "done\n"


def test_runs_go_to_the_server_that_the_environment_names(small, server):
    small.write("dvc.yaml", "stages:\n  a: {cmd: 'env > seen.txt', outs: [seen.txt]}\n")
    small.matraz("repro", MLFLOW_TRACKING_URI=server.url, MLFLOW_EXPERIMENT_NAME="elsewhere")
    assert not small.path("mlflow.db").exists()
    client = server.client()
    [run] = pipeline_runs(client, "elsewhere")
    [stage] = stage_runs(client, run).values()
    seen = dict(line.split("=", 1) for line in small.read("seen.txt").splitlines() if "=" in line)
    # A spool stands between, so that a server that goes away loses nothing.
    assert seen["MLFLOW_TRACKING_URI"].startswith("http://127.0.0.1:")
    assert seen["MLFLOW_EXPERIMENT_NAME"] == "elsewhere"
    assert "MLFLOW_RUN_ID" not in seen
    context = json.loads(seen["MLFLOW_RUN_CONTEXT"])
    assert (context["mlflow.parentRunId"], context["matraz.stage"]) == (stage.info.run_id, "a")


def test_a_store_that_does_not_answer_costs_a_warning(small):
    small.write("dvc.yaml", "stages:\n  a: {cmd: echo 1 > a.txt, outs: [a.txt]}\n")
    done = small.matraz("repro", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "127.0.0.1:9" in done.err, done
    assert small.read("a.txt") == "1\n" and "a:" in small.read("dvc.lock")


def test_runs_of_scripts_hang_below_their_stage(workspace, start_server, tmp_path):
    """The template whose scripts are plain scikit-learn and MLflow, with nothing of ours in them."""
    workspace.matraz("init", "--example", "obesity-python")
    workspace.write("params.yaml", workspace.read("params.yaml").replace("n_estimators: 300", "n_estimators: 10"))
    workspace.matraz("add", "data/obesity.csv")
    workspace.commit()
    workspace.matraz("repro")
    workspace.commit()
    ui = start_server(workspace.root, command=("ui",), log=tmp_path / "ui.log")
    client = ui.client()
    [run] = pipeline_runs(client)
    stages = stage_runs(client, run)
    assert stages.keys() == {"prepare", "features", "train", "evaluate"}
    scripts = {}
    for stage in ("train", "evaluate"):
        [script] = stage_runs(client, stages[stage], kind="script").values()
        assert (script.info.run_name, script.info.status) == (stage, "FINISHED")
        assert client.get_parent_run(script.info.run_id).info.run_id == stages[stage].info.run_id
        scripts[stage] = script
    assert scripts["train"].data.params["n_estimators"] == "10"
    assert "training_accuracy" in scripts["train"].data.metrics
    metrics = json.loads(workspace.read("metrics.json"))
    assert scripts["evaluate"].data.metrics["accuracy"] == run.data.metrics["accuracy"] == metrics["accuracy"]
    assert artifact(client, scripts["evaluate"], "plots/confusion.csv", tmp_path / "down") == workspace.read("plots/confusion.csv")
    workspace.assert_clean()
    assert "Running" not in workspace.dvc("repro").out

    # The stock tools alone run it too, and both agree that it ran.
    workspace.write("params.yaml", workspace.read("params.yaml").replace("n_estimators: 10", "n_estimators: 11"))
    workspace.dvc("repro", MLFLOW_TRACKING_URI=ui.url, MLFLOW_EXPERIMENT_NAME="stock")
    assert "Recorded" not in workspace.matraz("repro").out
    stock = client.search_runs([client.get_experiment_by_name("stock").experiment_id])
    assert {run.info.run_name for run in stock} == {"train", "evaluate"}
    assert len(pipeline_runs(client)) == 1
