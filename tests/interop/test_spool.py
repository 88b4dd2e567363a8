"""`matraz spool` and `matraz sync` between stock clients and servers that are away."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "spooled_training.py"


def train_away(matraz, environment, folder, packages):
    """Trains with a spool whose server is not there; the run's id comes back."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**environment, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    if packages:
        environment["PYTHONPATH"] = packages
    command = [matraz.program, "spool", "--dir", folder / "spool", "--wait", "0", "--", sys.executable, SCRIPT]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "matraz sync" in done.stderr
    return done.stdout.split()[-1]


def sync(matraz, environment, folder, url):
    command = [matraz.program, "sync", folder / "spool", "--tracking-uri", url, "--json"]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert (told["waiting"], told["refused"]) == (0, []), told
    assert not (folder / "spool").exists()


def check(server, keeps_ids, local):
    import mlflow
    import numpy

    client = server.client()
    runs = client.search_runs([client.get_experiment_by_name("away from home").experiment_id])
    runs = {run.data.tags["mlflow.runName"]: run for run in runs if run.data.tags["matraz.spool"]}
    assert sorted(runs) == ["child", "parent"]
    child, parent = runs["child"], runs["parent"]
    assert child.data.tags["matraz.spool"] == local
    assert (child.info.run_id == local) == keeps_ids
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert child.data.params["p"] == "q" and "C" in child.data.params
    assert "training_accuracy_score" in child.data.metrics
    history = client.get_metric_history(child.info.run_id, "loss")
    assert [point.step for point in history] == list(range(20))
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    assert mlflow.artifacts.load_text(f"{child.info.artifact_uri}/notes/note.txt") == "hi"
    assert mlflow.artifacts.load_dict(f"{child.info.artifact_uri}/config/a.json") == {"a": 1}
    model = mlflow.sklearn.load_model(f"runs:/{child.info.run_id}/model")
    assert model.predict([[0.9, 0.1, 0.1], [0.1, 0.1, 0.1]]).tolist() == [True, False]
    registered = client.get_registered_model("spooled")
    assert (registered.description, registered.tags) == ("models of trainings", {"team": "a"})
    # Two of somebody else's were there before.
    assert registered.aliases == {"champion": "3"}, registered
    found = client.search_model_versions("name = 'spooled'")
    ours = {int(one.version): one for one in found if int(one.version) > 2}
    assert {number: one.run_id for number, one in ours.items()} == {3: child.info.run_id, 4: parent.info.run_id}
    assert {number: one.current_stage for number, one in ours.items()} == {3: "Production", 4: "Archived"}
    assert (ours[3].description, ours[3].tags["checked"], "gone" in ours[3].tags) == ("the first", "yes", False)
    rows = numpy.array([[0.9, 0.1, 0.1]])
    loaded = [mlflow.pyfunc.load_model(f"models:/spooled{name}") for name in ("@champion", "/Production", "/4")]
    assert [model.predict(rows).tolist() for model in loaded] == [[True]] * 3


def register_others(server):
    """Versions that somebody else registers while the training cannot see the server."""
    client = server.client()
    client.create_registered_model("spooled")
    run = client.create_run("0")
    for _ in range(2):
        client.create_model_version("spooled", f"{run.info.artifact_uri}/model", run.info.run_id)


@pytest.mark.parametrize("client", ["old", "new"])
def test_a_training_of_a_stock_client_reaches_the_server_later(client, matraz, environment, start_server, tmp_path):
    packages = os.environ["OLD_CLIENT"] if client == "old" else None
    local = train_away(matraz, environment, tmp_path, packages)
    server = start_server(tmp_path / "server")
    register_others(server)
    sync(matraz, environment, tmp_path, server.url)
    check(server, True, local)


def test_a_training_reaches_a_real_server_that_chooses_its_own_ids(matraz, environment, empty_real_server, tmp_path):
    local = train_away(matraz, environment, tmp_path, None)
    register_others(empty_real_server)
    sync(matraz, environment, tmp_path, empty_real_server.url)
    check(empty_real_server, False, local)
