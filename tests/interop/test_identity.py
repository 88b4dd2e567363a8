"""What a script logs with the stock client, what `matraz repro` records, and what DVC keeps are one thing."""

import json
import subprocess

import pytest
import requests

from server import Running
from test_loop import pipeline_runs, stage_runs, store_of

# Two processes, a nested run, a parameter that contradicts params.yaml, and the stage's own output logged as an artifact.
SCRIPT = """\
import os, subprocess, sys
import mlflow

if len(sys.argv) > 1:
    with mlflow.start_run(run_name="second process"):
        mlflow.log_metric("part", 2)
    sys.exit()
os.makedirs("model")
with open("model/weights.bin", "wb") as weights:
    weights.write(bytes(range(256)) * 4096)
with open("model/MLmodel", "w") as description:
    description.write("flavors: {}\\n")
with open("metrics.json", "w") as metrics:
    metrics.write('{"accuracy": 0.75}')
with mlflow.start_run(run_name="script"):
    mlflow.log_params({"rate": 0.1, "depth": "3"})
    mlflow.log_metric("accuracy", 0.75)
    mlflow.log_artifacts("model", "model")
    with mlflow.start_run(run_name="inner", nested=True):
        mlflow.log_metric("inner", 1)
subprocess.run([sys.executable, __file__, "again"], check=True)
"""

STAGES = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [rate, depth]
    outs: [model]
    metrics: [{metrics.json: {cache: false}}]
"""


@pytest.fixture
def scripted(workspace):
    workspace.matraz("init")
    workspace.write("matraz.yaml", "tracking:\n  experiment: small\nmodel:\n  name: small\n  path: model\n")
    workspace.write("params.yaml", "rate: 0.5\ndepth: 3\n")
    workspace.write("dvc.yaml", STAGES)
    workspace.write("train.py", SCRIPT)
    workspace.commit()
    return workspace


def picture(client, experiment="small"):
    """The pipeline run, its stage run, and the script's runs by name."""
    [run] = pipeline_runs(client, experiment)
    [stage] = stage_runs(client, run).values()
    id = run.info.experiment_id
    below = client.search_runs([id], "tags.matraz.kind = 'script'")
    return run, stage, {one.info.run_name: one for one in below}


def check(run, stage, scripts):
    assert scripts.keys() == {"script", "inner", "second process"}
    parent = {name: one.data.tags["mlflow.parentRunId"] for name, one in scripts.items()}
    assert parent["script"] == parent["second process"] == stage.info.run_id
    assert parent["inner"] == scripts["script"].info.run_id
    # Equal values are no contradiction, other ones are.
    for one in (run, stage):
        assert one.data.tags["matraz.param_mismatch"] == "rate: 0.1 by the script, 0.5 by the files"
        assert one.data.params == {"rate": "0.5", "depth": "3"}
        # What only the script logged is shown above it; a nested run's is a matter of its own.
        assert one.data.metrics == {"accuracy": 0.75, "part": 2}
        assert json.loads(one.data.tags["matraz.script_metrics"]) == ["part"]


@pytest.mark.parametrize("program", ["matraz", "dvc"])
def test_scripts_in_several_processes_hang_below_their_stage(scripted, program):
    done = scripted.matraz(*(["dvc"] if program == "dvc" else []), "repro")
    assert "logged a parameter otherwise: rate" in done.err, done
    client = store_of(scripted)
    run, stage, scripts = picture(client)
    check(run, stage, scripts)
    # The script uploaded the model; it takes its bytes once all the same.
    folder = scripted.root / "mlartifacts" / run.info.experiment_id
    logged = folder / scripts["script"].info.run_id / "artifacts/model/weights.bin"
    linked = folder / stage.info.run_id / "artifacts/model/weights.bin"
    assert logged.stat().st_ino == linked.stat().st_ino
    assert logged.read_bytes() == bytes(range(256)) * 4096
    environment = json.loads((folder / run.info.run_id / "artifacts/matraz/environment.json").read_text())
    [python] = environment["python"].values()
    assert python["version"].startswith("3.") and "mlflow" in python["packages"]


def test_what_only_scripts_log_is_shown_of_cached_and_unchanged_stages_too(scripted):
    report = "  report:\n    cmd: cp metrics.json report\n    deps: [metrics.json, note]\n    outs: [report]\n"
    scripted.write("dvc.yaml", STAGES + report)
    scripted.write("note", "1")
    for rate in ("0.5", "0.7", "0.5"):
        scripted.write("params.yaml", f"rate: {rate}\ndepth: 3\n")
        scripted.matraz("repro")
    client = store_of(scripted)
    newest = pipeline_runs(client, "small")[-1]
    stage = stage_runs(client, newest)["train"]
    assert stage.data.tags["matraz.cached"] == "true"
    for one in (newest, stage):
        assert one.data.metrics == {"accuracy": 0.75, "part": 2}
    # The training does not act now, and is part of the pipeline all the same.
    scripted.write("note", "2")
    scripted.matraz("repro")
    newest = pipeline_runs(client, "small")[-1]
    assert stage_runs(client, newest).keys() == {"report"}
    assert newest.data.metrics == {"accuracy": 0.75, "part": 2}


def test_the_same_picture_in_a_real_server(scripted, empty_real_server):
    scripted.matraz("repro", MLFLOW_TRACKING_URI=empty_real_server.url, MLFLOW_EXPERIMENT_NAME="identity")
    client = empty_real_server.client()
    run, stage, scripts = picture(client, "identity")
    check(run, stage, scripts)
    # Lineage, explanation and verification read a real server, too.
    found = scripted.matraz("lineage", f"runs:/{run.info.run_id}", "--json", MLFLOW_TRACKING_URI=empty_real_server.url)
    labels = {node["label"] for node in json.loads(found.out)["nodes"]}
    assert {"stage run train", "train.py", "model"} <= labels, labels
    scripted.commit()
    scripted.matraz("verify", MLFLOW_TRACKING_URI=empty_real_server.url)


def test_the_server_answers_lineage_for_whoever_may_see_it(scripted, start_server, tmp_path):
    scripted.matraz("repro")
    scripted.matraz("models", "register")
    client = store_of(scripted)
    run, stage, _ = picture(client)
    ui = start_server(scripted.root, command=("ui",), log=tmp_path / "ui.log")
    for prefix in ("api", "ajax-api"):
        answer = requests.get(f"{ui.url}/{prefix}/2.0/matraz/lineage", params={"subject": "models:/small/1"})
        assert answer.status_code == 200, answer.text
        ids = {node["id"] for node in answer.json()["nodes"]}
        assert {f"run:{run.info.run_id}", f"run:{stage.info.run_id}", "version:small/1"} <= ids
    [weights] = [entry.dataset.digest for entry in run.inputs.dataset_inputs if entry.dataset.name == "model"]
    answer = requests.get(f"{ui.url}/api/2.0/matraz/lineage", params={"subject": weights})
    assert {edge["how"] for edge in answer.json()["edges"]} >= {"made", "read"}
    answer = requests.get(f"{ui.url}/api/2.0/matraz/lineage", params={"subject": "models:/small/9"})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert requests.get(f"{ui.url}/api/2.0/matraz/lineage").status_code == 400


def test_lineage_tells_nobody_more_than_the_store_does(scripted, matraz, tmp_path):
    scripted.matraz("repro")
    scripted.matraz("models", "register")
    [run] = pipeline_runs(store_of(scripted), "small")
    password = {name: scripted.matraz("users", "add", name, "--json", *flags).json()["password"] for name, flags in (("root", ["--admin"]), ("bob", []))}
    settings = tmp_path / "auth.ini"
    settings.write_text("[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = root\n")
    process = matraz.start("ui", "-p", 0, "--auth", cwd=scripted.root, stderr=subprocess.DEVNULL, MLFLOW_AUTH_CONFIG_PATH=str(settings))
    server = Running(process, scripted.root, tmp_path / "none")
    try:
        def ask(subject, user):
            login = (user, password[user]) if user else None
            return requests.get(f"{server.url}/api/2.0/matraz/lineage", params={"subject": subject}, auth=login)

        subject = f"runs:/{run.info.run_id}"
        assert ask(subject, None).status_code == 401
        assert ask(subject, "root").status_code == 200
        assert ask(subject, "bob").status_code == 404
        # A digest is no secret; what was made with it is.
        [digest] = [entry.dataset.digest for entry in run.inputs.dataset_inputs if entry.dataset.name == "model"]
        assert len(ask(digest, "root").json()["nodes"]) > 1
        assert len(ask(digest, "bob").json()["nodes"]) == 1
    finally:
        server.stop()


def test_real_mlflow_and_dvc_read_what_was_adopted(scripted, dvc):
    import mlflow

    scripted.dvc("repro")
    scripted.commit()
    # The stock tools alone ran it: MLflow's default store, nothing of ours.
    client = store_of(scripted)
    scripted.matraz("adopt")
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    adopted = {run.info.run_name: run for run in runs}
    assert adopted["script"].data.tags["matraz.adopted"] == "proven"
    assert adopted["inner"].data.tags["matraz.adopted"] in ("proven", "unproven")
    names = {entry.dataset.name for entry in adopted["script"].inputs.dataset_inputs}
    assert "model/weights.bin" in names
    scripted.assert_clean()
    assert "up to date" in scripted.dvc("repro").out
    assert mlflow.__version__
