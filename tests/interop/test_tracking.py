"""The stock MLflow client against `matraz server`: experiments, runs and what is logged to them."""

import math

import pytest
from mlflow.entities import Metric, Param, RunStatus, RunTag, ViewType
from mlflow.exceptions import MlflowException


def refused(code, call, *arguments, **named):
    with pytest.raises(MlflowException) as caught:
        call(*arguments, **named)
    assert caught.value.error_code == code, caught.value
    return str(caught.value)


def test_the_server_is_taken_for_mlflow(server):
    import mlflow

    assert server.get("/health").text == "OK"
    assert server.get("/version").text == mlflow.__version__ == "3.18.0"


def test_an_experiment_lives(client, request):
    name = f"life – {request.node.name} ✓"
    id = client.create_experiment(name, tags={"team": "a", "πολύ": "ναι"})
    found = client.get_experiment_by_name(name)
    assert (found.experiment_id, found.name, found.lifecycle_stage) == (id, name, "active")
    assert found.tags == {"team": "a", "πολύ": "ναι"}
    assert found.artifact_location == f"mlflow-artifacts:/{id}"
    client.set_experiment_tag(id, "team", "b")
    client.delete_experiment_tag(id, "πολύ")
    client.rename_experiment(id, name + " renamed")
    found = client.get_experiment(id)
    assert (found.name, found.tags) == (name + " renamed", {"team": "b"})
    assert found.last_update_time >= found.creation_time

    run = client.create_run(id).info.run_id
    client.delete_experiment(id)
    assert client.get_experiment(id).lifecycle_stage == "deleted"
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, name + " renamed")
    refused("INVALID_PARAMETER_VALUE", client.create_run, id)
    client.restore_experiment(id)
    assert client.get_run(run).info.lifecycle_stage == "active"


def test_the_default_experiment_is_there(client):
    default = client.get_experiment("0")
    assert (default.name, default.artifact_location) == ("Default", "mlflow-artifacts:/0")


def test_missing_things_are_refused_as_mlflow_does(client, experiment):
    refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "0" * 32)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, "987654321")
    refused("INVALID_PARAMETER_VALUE", client.get_experiment, "abc")
    refused("RESOURCE_DOES_NOT_EXIST", client.log_metric, "0" * 32, "a", 1.0)
    assert client.get_experiment_by_name("not there") is None
    run = client.create_run(experiment).info.run_id
    refused("RESOURCE_DOES_NOT_EXIST", client.delete_tag, run, "absent")
    assert client.get_metric_history(run, "absent") == []
    refused("INVALID_PARAMETER_VALUE", client.create_experiment, "")


def test_a_run_lives(client, experiment):
    run = client.create_run(experiment, start_time=1234, tags={"a": "1"}, run_name="first")
    info = run.info
    assert (info.status, info.start_time, info.end_time, info.run_name) == ("RUNNING", 1234, None, "first")
    assert info.artifact_uri == f"mlflow-artifacts:/{experiment}/{info.run_id}/artifacts"
    assert run.data.tags == {"a": "1", "mlflow.runName": "first"}
    client.set_tag(info.run_id, "mlflow.runName", "second")
    assert client.get_run(info.run_id).info.run_name == "second"
    client.update_run(info.run_id, status="FAILED", name="third")
    client.set_terminated(info.run_id, status="KILLED", end_time=99999)
    found = client.get_run(info.run_id)
    assert (found.info.status, found.info.end_time) == ("KILLED", 99999)
    assert (found.info.run_name, found.data.tags["mlflow.runName"]) == ("third", "third")
    client.delete_run(info.run_id)
    refused("INVALID_PARAMETER_VALUE", client.set_tag, info.run_id, "late", "x")
    assert client.search_runs([experiment]) == []
    [deleted] = client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)
    assert deleted.info.run_id == info.run_id
    client.restore_run(info.run_id)
    assert len(client.search_runs([experiment])) == 1
    unnamed = client.create_run(experiment)
    assert unnamed.info.run_name.count("-") == 2
    assert all(RunStatus.from_string(run.info.status) for run in client.search_runs([experiment]))


def test_a_param_is_written_once(client, experiment):
    run = client.create_run(experiment).info.run_id
    values = {"lr": "1e-05", "empty": "", "text": "line 1\nline 2 – ünï", "dir/sub.key-1 x:y": "[1, 2]"}
    for key, value in values.items():
        client.log_param(run, key, value)
        client.log_param(run, key, value)
    assert client.get_run(run).data.params == values
    message = refused("INVALID_PARAMETER_VALUE", client.log_param, run, "lr", "0.1")
    assert "lr" in message and "1e-05" in message and "0.1" in message
    twice = [Param("new", "1"), Param("new", "2")]
    refused("INVALID_PARAMETER_VALUE", client.log_batch, run, params=twice)
    mixed = [Param("fresh", "1"), Param("lr", "0.1")]
    refused("INVALID_PARAMETER_VALUE", client.log_batch, run, params=mixed)
    for key in ("../up", "/root", "a//b", "a#b", "."):
        refused("INVALID_PARAMETER_VALUE", client.log_param, run, key, "1")
    assert client.get_run(run).data.params == values
    client.log_param(run, "long", "x" * 7000)
    assert client.get_run(run).data.params["long"] == "x" * 6000


def test_metrics_keep_their_history(client, experiment):
    run = client.create_run(experiment).info.run_id
    points = [(0.5, 10, 0), (0.25, 20, 1), (0.125, 15, 1), (-0.0, 5, -3), (1e300, 30, 2), (0.1 + 0.2, 30, 2)]
    for value, timestamp, step in points:
        client.log_metric(run, "loss", value, timestamp=timestamp, step=step)
    client.log_metric(run, "loss", 0.5, timestamp=10, step=0)
    history = [(m.value, m.timestamp, m.step) for m in client.get_metric_history(run, "loss")]
    assert history == sorted(points, key=lambda point: (point[1], point[2], point[0]))
    # The latest is that of the largest step, then time, then value.
    assert client.get_run(run).data.metrics == {"loss": 1e300}


def test_metrics_that_are_no_numbers(client, experiment):
    run = client.create_run(experiment).info.run_id
    for step, value in enumerate([math.nan, math.inf, -math.inf]):
        client.log_metric(run, f"m{step}", value, step=step)
    found = client.get_run(run).data.metrics
    assert math.isnan(found["m0"])
    assert (found["m1"], found["m2"]) == (1.7976931348623157e308, -1.7976931348623157e308)
    [point] = client.get_metric_history(run, "m0")
    assert math.isnan(point.value)


def test_a_batch_has_its_limits(client, experiment):
    run = client.create_run(experiment).info.run_id
    metrics = [Metric(f"m{n % 10}", n / 7, 1000 + n, n) for n in range(800)]
    params = [Param(f"p{n}", str(n)) for n in range(100)]
    tags = [RunTag(f"t{n}", f"v{n}") for n in range(100)]
    client.log_batch(run, metrics=metrics, params=params, tags=tags)
    found = client.get_run(run).data
    assert found.params == {f"p{n}": str(n) for n in range(100)}
    assert found.metrics == {f"m{n % 10}": n / 7 for n in range(790, 800)}
    assert {key: value for key, value in found.tags.items() if key.startswith("t")} == {
        f"t{n}": f"v{n}" for n in range(100)
    }
    assert len(client.get_metric_history(run, "m3")) == 80
    # The client cuts larger ones up; the server alone refuses them.
    client.log_batch(run, metrics=[Metric("n", 1.0, 1, n) for n in range(1001)])
    assert len(client.get_metric_history(run, "n")) == 1001
    store = client._tracking_client.store
    too_many = [
        ([Metric("m", 1.0, 1, n) for n in range(1001)], [], []),
        ([], [Param(f"q{n}", "") for n in range(101)], []),
        ([], [], [RunTag(f"q{n}", "") for n in range(101)]),
        ([Metric("m", 1.0, 1, n) for n in range(901)], [Param(f"q{n}", "") for n in range(100)], []),
    ]
    for metrics, params, tags in too_many:
        refused("INVALID_PARAMETER_VALUE", store.log_batch, run, metrics, params, tags)
    assert client.get_metric_history(run, "m") == []
    assert client.get_run(run).data.params == found.params


def test_a_long_history_is_paged(client, experiment):
    run = client.create_run(experiment).info.run_id
    for start in range(0, 3000, 1000):
        client.log_batch(run, metrics=[Metric("loss", float(n), n, n) for n in range(start, start + 1000)])
    assert [m.step for m in client.get_metric_history(run, "loss")] == list(range(3000))
    pages, token = [], None
    while True:
        page = client._tracking_client.store.get_metric_history(run, "loss", max_results=1300, page_token=token)
        pages.append([m.step for m in page])
        token = page.token
        if not token:
            break
    assert [len(page) for page in pages] == [1300, 1300, 400]
    assert sum(pages, []) == list(range(3000))


def test_tags(client, experiment):
    run = client.create_run(experiment, run_name="x").info.run_id
    client.set_tag(run, "note", "a")
    client.set_tag(run, "note", "b\n– ☃")
    client.set_tag(run, "long", "x" * 9000)
    client.set_tag(run, "gone", "1")
    client.delete_tag(run, "gone")
    tags = client.get_run(run).data.tags
    assert tags == {"note": "b\n– ☃", "long": "x" * 8000, "mlflow.runName": "x"}


def test_nested_runs(fluent, client, experiment):
    with fluent.start_run(run_name="parent") as parent:
        fluent.log_params({"a": 1, "b": [1, 2], "c": None})
        with fluent.start_run(run_name="child", nested=True) as child:
            fluent.log_metrics({"x": 1.5, "y": 2}, step=4)
        with pytest.raises(ZeroDivisionError):
            with fluent.start_run(run_name="broken", nested=True):
                1 / 0
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert {(run.info.run_name, run.info.status) for run in found} == {("child", "FINISHED"), ("broken", "FAILED")}
    assert client.get_parent_run(child.info.run_id).data.params == {"a": "1", "b": "[1, 2]", "c": "None"}
    assert client.get_run(child.info.run_id).data.metrics == {"x": 1.5, "y": 2.0}


def test_a_run_is_resumed(fluent, client):
    with fluent.start_run() as run:
        fluent.log_metric("a", 1, step=0)
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    with fluent.start_run(run_id=run.info.run_id):
        fluent.log_metric("a", 2, step=1)
        assert client.get_run(run.info.run_id).info.status == "RUNNING"
    assert client.get_run(run.info.run_id).data.metrics == {"a": 2.0}


def test_pages_of_a_search(client, experiment):
    runs = [client.create_run(experiment, start_time=1000 + n, run_name=f"r{n}").info.run_id for n in range(25)]
    found, token = [], None
    while True:
        page = client.search_runs([experiment], max_results=10, order_by=["start_time ASC"], page_token=token)
        found.append([run.info.run_id for run in page])
        token = page.token
        if not token:
            break
    assert [len(page) for page in found] == [10, 10, 5]
    assert sum(found, []) == runs
    assert [run.info.run_id for run in client.search_runs([experiment], max_results=3)] == runs[:-4:-1]
    assert client.search_runs([]) == []


def test_pages_of_experiments(client, request):
    names = [f"{request.node.name} {n:02}" for n in range(12)]
    for name in names:
        client.create_experiment(name)
    found, token = [], None
    while True:
        page = client.search_experiments(
            filter_string=f"name LIKE '{request.node.name}%'", order_by=["name ASC"], max_results=5, page_token=token
        )
        found += [experiment.name for experiment in page]
        token = page.token
        if not token:
            break
    assert found == names


def test_search_as_a_table(fluent):
    for n in range(3):
        with fluent.start_run(run_name=f"r{n}"):
            fluent.log_param("n", n)
            fluent.log_metric("score", n / 4)
    table = fluent.search_runs(filter_string="metrics.score > 0", order_by=["metrics.score DESC"])
    assert list(table["params.n"]) == ["2", "1"]
    assert list(table["metrics.score"]) == [0.5, 0.25]


def test_asynchronous_logging(fluent, client):
    with fluent.start_run() as run:
        operations = [fluent.log_metric("a", n, step=n, synchronous=False) for n in range(50)]
        operations.append(fluent.log_params({"p": 1}, synchronous=False))
        for operation in operations:
            operation.wait()
    assert [m.step for m in client.get_metric_history(run.info.run_id, "a")] == list(range(50))
    assert client.get_run(run.info.run_id).data.params == {"p": "1"}


def test_datasets_are_inputs(fluent, client, experiment, tmp_path):
    import pandas

    (tmp_path / "data.csv").write_text("a,b\n1,x\n2,y\n")
    table = pandas.read_csv(tmp_path / "data.csv")
    dataset = fluent.data.from_pandas(table, source=str(tmp_path / "data.csv"), name="rows", targets="b")
    with fluent.start_run() as run:
        fluent.log_input(dataset, context="training", tags={"split": "a"})
        fluent.log_input(dataset, context="again")
        fluent.log_metric("loss", 0.5, dataset=dataset)
    with fluent.start_run() as other:
        fluent.log_input(dataset, context="testing")
    [entry] = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("rows", dataset.digest)
    assert {tag.key: tag.value for tag in entry.tags} == {"mlflow.data.context": "training", "split": "a"}
    assert fluent.data.get_source(entry).load() == str(tmp_path / "data.csv")
    found = client.search_runs([experiment], "dataset.context = 'testing' AND dataset.name = 'rows'")
    assert [run.info.run_id for run in found] == [other.info.run_id]


def test_a_malformed_request_gets_mlflows_error(server):
    answer = server.post("runs/create", {"start_time": 1})
    assert answer.status_code == 400
    cases = [
        ("runs/log-metric", {"run_id": "x", "value": 1, "timestamp": 1}, "INVALID_PARAMETER_VALUE", "'key'"),
        ("runs/log-metric", {"run_id": "x", "key": "k", "value": "abc", "timestamp": 1}, "INVALID_PARAMETER_VALUE", ""),
        ("experiments/create", {}, "INVALID_PARAMETER_VALUE", "'name'"),
        ("runs/search", {"experiment_ids": ["0"], "filter": "a = 1 OR b = 2"}, "INVALID_PARAMETER_VALUE", ""),
        ("runs/search", {"experiment_ids": ["0"], "max_results": 50001}, "INVALID_PARAMETER_VALUE", "max_results"),
        ("registered-models/create", {"name": "a/b"}, "INVALID_PARAMETER_VALUE", ""),
    ]
    for path, body, code, part in cases:
        answer = server.post(path, body)
        assert (answer.status_code, answer.json()["error_code"]) == (400, code), (path, answer.text)
        assert part in answer.json()["message"], (path, answer.text)
    answer = server.post("runs/create", data="{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert server.get("/api/2.0/mlflow/nothing").status_code == 404


def test_foreign_hosts_and_origins_are_refused(server):
    import requests

    path = f"{server.url}/api/2.0/mlflow/experiments/search"
    ok = requests.post(path, json={"max_results": 1})
    assert ok.status_code == 200
    foreign = requests.post(path, json={"max_results": 1}, headers={"Origin": "https://example.com"})
    assert foreign.status_code == 403
    rebound = requests.post(path, json={"max_results": 1}, headers={"Host": "example.com"})
    assert rebound.status_code == 403


def test_many_clients_at_once(client, experiment, server):
    from concurrent.futures import ThreadPoolExecutor

    run = client.create_run(experiment).info.run_id

    def write(worker):
        own = server.client()
        for step in range(25):
            own.log_metric(run, f"w{worker}", step, step=step)
        own.log_param(run, f"p{worker}", worker)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    found = client.get_run(run).data
    assert found.metrics == {f"w{worker}": 24.0 for worker in range(8)}
    assert found.params == {f"p{worker}": str(worker) for worker in range(8)}
    assert all(len(client.get_metric_history(run, f"w{worker}")) == 25 for worker in range(8))


def test_written_is_kept_when_the_server_is_killed(start_server, tmp_path):
    server = start_server(tmp_path / "store")
    client = server.client()
    run = client.create_run("0", run_name="kept").info.run_id
    client.log_metric(run, "a", 1.5)
    server.process.kill()
    server.process.wait()
    again = start_server(tmp_path / "store")
    found = again.client().get_run(run)
    assert (found.info.run_name, found.data.metrics) == ("kept", {"a": 1.5})
