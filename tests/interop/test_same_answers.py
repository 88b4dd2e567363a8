"""Real MLflow's server and `matraz server` on equal stores give equal answers to equal requests."""

import itertools
import re
import shutil

import pytest
import requests

from server import RealServer

API = "/api/2.0/mlflow"


def ask(server, method, path, body=None, parameters=None):
    answer = requests.request(method, f"{server.url}{API}/{path}", json=body, params=parameters)
    try:
        content = answer.json()
    except ValueError:
        content = answer.text
    return answer.status_code, content


@pytest.fixture(scope="module")
def both(real_server, same_store):
    def both(method, path, body=None, parameters=None):
        return tuple(ask(server, method, path, body, parameters) for server in (same_store, real_server))

    return both


@pytest.fixture(scope="module")
def stored(real_server):
    """What the story left: experiments, runs by name, logged models by name."""
    client = real_server.client()
    ids = [experiment.experiment_id for experiment in client.search_experiments(view_type=3)]
    runs = {run.info.run_name: run.info.run_id for run in client.search_runs(ids, run_view_type=3)}
    models = {model.name: model.model_id for model in client.search_logged_models(ids)}
    return {"experiments": ids, "runs": runs, "models": models}


def ordered(content):
    """Lists whose order means nothing are sorted."""
    if isinstance(content, dict):
        content = {key: ordered(value) for key, value in content.items()}
        for key in ("params", "metrics", "tags", "dataset_inputs", "model_inputs", "aliases", "latest_versions"):
            if isinstance(content.get(key), list):
                content[key] = sorted(content[key], key=repr)
        return content
    return [ordered(item) for item in content] if isinstance(content, list) else content


def differences(found, expected, place=""):
    """The places in which two JSON values differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = [*expected, *(key for key in found if key not in expected)]
        return [d for key in keys for d in differences(found.get(key), expected.get(key), f"{place}.{key}")]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [d for n, pair in enumerate(zip(found, expected)) for d in differences(*pair, f"{place}[{n}]")]
    return [] if found == expected else [f"{place}: {found!r} instead of {expected!r}"]


def assert_equal(found, expected, request):
    (code, content), (real_code, real_content) = found, expected
    if real_code == 500 and code != 500:
        # A fault of real MLflow: its clients would repeat the request for minutes.
        real_code, real_content = 400, {"error_code": content["error_code"]}
    assert code == real_code, f"{request}: {content} instead of {real_content}"
    if code == 200:
        assert differences(ordered(content), ordered(real_content)) == [], request
    elif isinstance(real_content, dict) and "error_code" in real_content:
        assert content["error_code"] == real_content["error_code"], f"{request}: {content} instead of {real_content}"
        assert content["message"], request


FILTERS = [
    # metrics
    "metrics.loss < 0.2", "metric.loss >= 0.1666", "metrics.score = 0", "metrics.score != 0", "metrics.`score` <= 1",
    'metrics."score" > 1e-3', "metrics.score > -1.5", "metrics.odd = 0", "metrics.odd != 0", "metrics.odd > 0", "metrics.absent != 1",
    "metrics.odd < -1e300", "METRICS.score > 0", "metrics.score > '0'", "metrics.score LIKE '1'", "metrics.score", "metrics.score > 0.1 and metrics.loss < 1",
    # params
    "params.lr = '0.1'", "params.lr != '0.1'", "parameters.lr LIKE '%e-05'", "param.name ILIKE 'XX%'", "params.name LIKE 'X%'",
    "params.name = ''", "params.nested.key = '[1, 2]'", "params.`nested.key` LIKE '[_, %'", "params.lr > '0'", "params.lr = 0.1",
    "params.lr IS NULL", "params.lr IS NOT NULL", "params.long IS NOT NULL", "params.long IS NULL", "params.name IN ('x')", "params.name = \"xx\"",
    # tags
    "tags.n = '1'", "tags.n != 'zero'", "tags.batch IS NULL", "tags.batch IS NOT NULL", "tags.mlflow.user = 'ana'", "tags.`mlflow.user` LIKE 'a%'",
    "tag.note LIKE '%quoted%'", "tags.note = 'x' OR tags.n = '1'", "(tags.n = '1')", "tags.n = '1';", "tags.n = ''", "tags.`mlflow.runName` = 'by tag'",
    "tags.mlflow.runName ILIKE 'RUN-%'", "tags.n = 1", "tags.n == '1'", "tags.n", 
    # attributes
    "status = 'FINISHED'", "attributes.status != 'RUNNING'", "attribute.status LIKE 'F%'", "status ILIKE 'f%'", "attr.start_time > 1100", "start_time <= 1100",
    "attributes.end_time = 5000", "end_time != 5000", "run_name = 'run-0'", "attributes.run_name LIKE 'run%'", "`run name` = 'run-0'", "attributes.`Run Name` = 'by tag'",
    "created > 1000", "attributes.Created >= 1100", "user_id = ''", "user_id != 'x'", "artifact_uri LIKE '%artifacts'", "run.status = 'KILLED'",
    "experiment_id = '1'", "attributes.experiment_id = '1'", "attributes.absent = 'x'", "start_time = '1000'", "start_time LIKE '1'", "status IN ('FINISHED')",
    "run_id IN ('abc')", "run_id NOT IN ('abc', 'def')", "attributes.run_id = 'abc'", "run_id IN ()", "run_id IN ('abc'", "lifecycle_stage = 'active'", "run_uuid != 'x'",
    # datasets
    "dataset.name = 'rows'", "datasets.name != 'rows'", "dataset.digest LIKE '0123%'", "dataset.context = 'training'", "dataset.context != 'training'", "dataset.name IN ('rows', 'x')",
    "dataset.name ILIKE 'ROWS'", "dataset.context NOT IN ('testing')", "dataset.name = 'rows' AND dataset.context = 'testing'", "dataset.size = '1'", "dataset.name > 'a'",
    # shape
    "", "metrics.loss < 1 and status = 'FINISHED' AND tags.n = 'zero'", "unknown.x = '1'",
    "metrics.loss < ", "< 1", "1 = 1", "'a' = 'a'", "metrics.loss < 1, status = 'x'", "status = FINISHED", "status='FINISHED'", "metrics.loss<1",
    "status = 'it''s'", "tags.note LIKE \"%'quoted'%\"", "not status = 'x'", "status NOT LIKE 'x'", "metrics.a.b.c > 1", "metrics.`a b` > 1", "-- comment", "status = 'FINISHED' -- x",
]  # fmt: skip

ORDERS = [
    [], ["metrics.loss"], ["metrics.loss DESC"], ["metrics.score asc", "params.lr DESC"], ["metrics.odd"], ["metrics.odd DESC"], ["params.name DESC"], ["params.absent"],
    ["tags.n"], ["tags.`mlflow.runName` DESC"], ["start_time"], ["attributes.start_time DESC"], ["attributes.end_time"], ["end_time DESC"], ["status", "run_name DESC"], ["run_id"],
    ["metrics.loss UP"], ["metrics.loss, metrics.score"], ["dataset.name"], ["unknown"], [""], ["metrics.loss", "metrics.loss DESC"], ["`Run Name`"], ["created DESC"], ["artifact_uri"],
    ["metrics.`loss` DESC", "attributes.run_id DESC"], ["user_id"], ["experiment_id"], ["params.lr DESC NULLS LAST"], ["status; DROP TABLE runs"],
]  # fmt: skip


@pytest.mark.parametrize("filter", FILTERS)
def test_filters_of_runs(both, stored, filter):
    body = {"experiment_ids": stored["experiments"], "filter": filter, "order_by": ["start_time"]}
    assert_equal(*both("POST", "runs/search", body), filter)


# What real MLflow reads as something else than what stands there.
REFUSED = [
    "AND", "metrics.loss < 1 AND", "metrics.loss < 1 AND AND status = 'FINISHED'", "metrics.loss < 1 tags.n = '1'", "tags. = '1'", "tags.'n' = '1'",
]  # fmt: skip


@pytest.mark.parametrize("filter", REFUSED)
def test_filters_that_only_matraz_refuses(both, stored, filter):
    found, expected = both("POST", "runs/search", {"experiment_ids": stored["experiments"], "filter": filter})
    assert expected[0] == 200
    assert (found[0], found[1]["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert filter in found[1]["message"]


@pytest.mark.parametrize("order", ORDERS, ids=repr)
def test_orders_of_runs(both, stored, order):
    body = {"experiment_ids": stored["experiments"], "order_by": order, "run_view_type": "ALL"}
    assert_equal(*both("POST", "runs/search", body), order)


def test_pages_of_runs(both, stored):
    for size, view in itertools.product((1, 2, 5, 6, 50000), ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")):
        body = {"experiment_ids": stored["experiments"], "max_results": size, "run_view_type": view, "order_by": ["start_time"]}
        pages = 0
        while True:
            found, expected = both("POST", "runs/search", body)
            assert_equal(found, expected, body)
            pages += 1
            token = expected[1].get("next_page_token")
            if not token:
                break
            body["page_token"] = token
        assert pages >= 1
    for extra in ({"max_results": 0}, {"max_results": -1}, {"max_results": 50001}, {"page_token": "x"}):
        assert_equal(*both("POST", "runs/search", {"experiment_ids": stored["experiments"], **extra}), extra)


EXPERIMENT_FILTERS = [
    "name = 'first'", "name != 'first'", "name LIKE 'f%'", "name LIKE 'F%'", "name ILIKE 'F%'", "attribute.name = 'first'", "tags.team = 'b'", "tags.team != 'b'", "tags.`ünï` = '☃'",
    "tags.team IS NULL", "tags.team IS NOT NULL", "creation_time > 0", "last_update_time < 0", "experiment_id = '1'", "experiment_id IN ('1', '2')", "name IN ('first')", "absent = 'x'",
    "name = 'first' OR name = 'x'", "name > 'a'", "creation_time = 'x'", "metrics.a > 1", "lifecycle_stage = 'active'",
]  # fmt: skip


@pytest.mark.parametrize("filter", EXPERIMENT_FILTERS)
def test_filters_of_experiments(both, filter):
    body = {"filter": filter, "max_results": 100, "view_type": "ALL", "order_by": ["experiment_id ASC"]}
    assert_equal(*both("POST", "experiments/search", body), filter)


def test_searches_of_experiments(both):
    for order in (["name"], ["name DESC"], ["creation_time"], ["experiment_id DESC"], ["last_update_time ASC", "name"], ["absent"], ["name UP"], ["tags.team"]):
        for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL"):
            body = {"max_results": 2, "view_type": view, "order_by": order}
            found, expected = both("POST", "experiments/search", body)
            if order == ["creation_time"] and found[0] == 200:
                continue  # experiments of one millisecond
            assert_equal(found, expected, body)
            if expected[0] == 200 and (token := expected[1].get("next_page_token")):
                assert_equal(*both("POST", "experiments/search", {**body, "page_token": token}), body)
    for parameters in ({"max_results": "5"}, {"max_results": "5", "view_type": "ALL", "order_by": ["name", "experiment_id"]}, {}, {"max_results": "x"}):
        assert_equal(*both("GET", "experiments/search", parameters=parameters), parameters)


MODEL_FILTERS = [
    "name = 'forest'", "name != 'forest'", "name LIKE '%e%'", "name ILIKE '%E%'", "tags.a = '1'", "tags.a != '1'", "tags.k LIKE 'v'", "name IN ('forest')", "version = 1", "absent = 'x'",
    "name = 'forest' OR name = 'x'", "name > 'a'", "tags.`mlflow.prompt.is_prompt` != 'true'", "tags.`mlflow.prompt.is_prompt` = 'true'", "",
]  # fmt: skip
VERSION_FILTERS = [
    "name = 'forest'", "name LIKE 'f%'", "name != 'forest'", "version_number > 1", "version_number = 3", "version_number != 3", "tags.v = '2'", "tags.v != '2'", "run_id = 'x'",
    "run_id IN ('x', 'y')", "source_path LIKE '%model'", "source_path ILIKE 'MODELS%'", "name IN ('forest')", "current_stage = 'Production'", "creation_timestamp > 0", "absent = 'x'", "", "name = 'forest' AND version_number <= 1",
    "version = 1", "aliases = 'champion'",
]  # fmt: skip


@pytest.mark.parametrize("filter", MODEL_FILTERS)
def test_filters_of_models(both, filter):
    for order in ([], ["name DESC"], ["timestamp", "name"], ["last_updated_timestamp DESC"], ["absent"]):
        parameters = {"filter": filter, "order_by": order, "max_results": "10"}
        assert_equal(*both("GET", "registered-models/search", parameters=parameters), parameters)


@pytest.mark.parametrize("filter", VERSION_FILTERS)
def test_filters_of_versions(both, filter):
    for order in ([], ["version_number DESC"], ["name", "creation_timestamp DESC"], ["absent"]):
        parameters = {"filter": filter, "order_by": order, "max_results": "10"}
        assert_equal(*both("GET", "model-versions/search", parameters=parameters), parameters)


LOGGED_MODEL_FILTERS = [
    "name = 'model'", "name LIKE '%e%'", "status = 'READY'", "status != 'READY'", "model_type = 'forest'", "params.p = '2'", "tags.t2 = 'x'", "metrics.quality > 0.5", "metrics.quality < 0.5",
    "metric.quality > 0.5", "creation_timestamp > 0", "creation_time < 0", "last_updated_timestamp > 0", "source_run_id != 'x'", "model_id = 'x'", "absent = 'x'", "name = 'model' OR name = 'x'", "params.p IS NULL", "",
    "name IN ('model')", "attributes.name = 'model'",
]  # fmt: skip


@pytest.mark.parametrize("filter", LOGGED_MODEL_FILTERS)
def test_filters_of_logged_models(both, stored, filter):
    body = {"experiment_ids": stored["experiments"], "filter": filter, "order_by": [{"field_name": "name"}]}
    assert_equal(*both("POST", "logged-models/search", body), filter)


def test_reading(both, stored):
    requests = [
        ("experiments/get", {"experiment_id": "0"}), ("experiments/get", {"experiment_id": "1"}), ("experiments/get", {"experimentId": "3"}), ("experiments/get", {"experiment_id": "99"}),
        ("experiments/get", {"experiment_id": "x"}), ("experiments/get", {}), ("experiments/get-by-name", {"experiment_name": "first"}), ("experiments/get-by-name", {"experiment_name": "gone"}),
        ("experiments/get-by-name", {"experiment_name": ""}), ("experiments/get-by-name", {}), ("runs/get", {}), ("runs/get", {"run_id": "0" * 32}), ("metrics/get-history", {"metric_key": "loss"}),
        ("registered-models/get", {"name": "forest"}), ("registered-models/get", {"name": "dropped"}), ("registered-models/get", {}), ("registered-models/get", {"name": ""}),
        ("registered-models/alias", {"name": "forest", "alias": "champion"}), ("registered-models/alias", {"name": "forest", "alias": "lost"}), ("registered-models/alias", {"name": "forest"}),
        ("registered-models/alias", {"name": "x", "alias": "champion"}), ("registered-models/get-latest-versions", {"name": "forest"}), ("registered-models/get-latest-versions", {"name": "forest", "stages": ["Production", "archived"]}),
        ("registered-models/get-latest-versions", {"name": "forest", "stages": "Elsewhere"}), ("registered-models/get-latest-versions", {"name": "x"}),
        *(("model-versions/get", {"name": "forest", "version": str(n)}) for n in range(6)), ("model-versions/get", {"name": "forest", "version": "x"}), ("model-versions/get", {"name": "forest"}),
        *(("model-versions/get-download-uri", {"name": "forest", "version": str(n)}) for n in range(1, 6)), ("artifacts/list", {}), ("artifacts/list", {"run_id": "0" * 32}),
    ]  # fmt: skip
    for run in stored["runs"].values():
        requests += [("runs/get", {"run_id": run}), ("runs/get", {"run_uuid": run}), ("artifacts/list", {"run_id": run})]
        for key in ("loss", "odd", "score", "absent"):
            requests.append(("metrics/get-history", {"run_id": run, "metric_key": key}))
            requests.append(("metrics/get-history", {"run_id": run, "metric_key": key, "max_results": "2"}))
    run = stored["runs"]["run-0"]
    for extra in ({"max_results": "0"}, {"max_results": "-1"}, {"page_token": "x", "max_results": "2"}):
        requests.append(("metrics/get-history", {"run_id": run, "metric_key": "loss", **extra}))
    requests += [("artifacts/list", {"run_id": run, "path": path}) for path in ("..", "/etc", "a/../..", "%2e%2e", "absent")]
    requests += [(f"logged-models/{model}", {}) for model in [*stored["models"].values(), "m-0"]]
    for path, parameters in requests:
        assert_equal(*both("GET", path, parameters=parameters), (path, parameters))


def test_refusals(both, stored):
    """Requests that must not change anything: both servers refuse them alike."""
    run, gone = stored["runs"]["run-0"], stored["runs"]["run-4"]
    metric = {"run_id": run, "key": "k", "value": 1, "timestamp": 1}

    def without(body, *keys):
        return {key: value for key, value in body.items() if key not in keys}

    requests = [
        ("experiments/create", {}), ("experiments/create", {"name": ""}), ("experiments/create", {"name": "first"}), ("experiments/create", {"name": "gone"}), ("experiments/create", {"name": 5}), ("experiments/create", {"name": "x" * 501}),
        ("experiments/create", {"name": "x", "tags": [{"key": "a" * 251, "value": "1"}]}), ("experiments/create", {"name": "x", "artifact_location": "a#b"}), ("experiments/create", ["name"]), ("experiments/create", {"name": "x", "tags": "a"}),
        ("experiments/delete", {"experiment_id": "3"}), ("experiments/delete", {"experiment_id": "99"}), ("experiments/delete", {}), ("experiments/restore", {"experiment_id": "1"}), ("experiments/update", {"experiment_id": "1"}),
        ("experiments/update", {"experiment_id": "3", "new_name": "y"}), ("experiments/update", {"experiment_id": "1", "new_name": ""}),
        ("experiments/set-experiment-tag", {"experiment_id": "3", "key": "k", "value": "v"}), ("experiments/set-experiment-tag", {"experiment_id": "1", "key": "", "value": "v"}),
        ("experiments/set-experiment-tag", {"experiment_id": "1", "key": "k" * 251, "value": "v"}), ("experiments/delete-experiment-tag", {"experiment_id": "1", "key": "absent"}),
        ("runs/create", {"experiment_id": "99"}), ("runs/create", {"experiment_id": "3"}), ("runs/create", {"experiment_id": "x"}), ("runs/create", {"experiment_id": "1", "start_time": "x"}), 
        ("runs/create", {"experiment_id": "1", "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}), ("runs/create", {"experiment_id": "1", "experimentId": "1"}),
        ("runs/update", {}), ("runs/update", {"run_id": "0" * 32}), ("runs/update", {"run_id": gone, "status": "FINISHED"}), ("runs/delete", {"run_id": "0" * 32}), ("runs/delete", {}),
        ("runs/restore", {"run_id": "0" * 32}), ("runs/log-metric", without(metric, "key")), ("runs/log-metric", without(metric, "value")), ("runs/log-metric", without(metric, "timestamp")), ("runs/log-metric", without(metric, "run_id")),
        ("runs/log-metric", {**metric, "value": "abc"}), ("runs/log-metric", {**metric, "timestamp": -1}), ("runs/log-metric", {**metric, "key": "../a"}), ("runs/log-metric", {**metric, "key": "k" * 251}),
        ("runs/log-metric", {**metric, "key": ""}), ("runs/log-metric", {**metric, "key": "a?"}), ("runs/log-metric", {**metric, "step": "x"}), ("runs/log-metric", {**metric, "run_id": gone}), ("runs/log-metric", {**metric, "run_id": "0" * 32}),
        ("runs/log-metric", {**metric, "value": None}), ("runs/log-metric", {**metric, "run_id": 5}), ("runs/log-parameter", {"run_id": run, "key": "lr", "value": "other"}), ("runs/log-parameter", {"run_id": run}),
        ("runs/log-parameter", {"run_id": gone, "key": "a", "value": "b"}), ("runs/log-parameter", {"run_id": run, "key": "/a", "value": "b"}), ("runs/log-parameter", {"run_id": run, "key": "a", "value": 5}), ("runs/log-parameter", {"run_id": run, "key": "a", "value": ["b"]}),
        ("runs/set-tag", {"run_id": run, "value": "b"}), ("runs/set-tag", {"run_id": gone, "key": "a", "value": "b"}), ("runs/set-tag", {"run_id": run, "key": "a/./b", "value": "b"}), ("runs/delete-tag", {"run_id": run, "key": "absent"}), ("runs/delete-tag", {"run_id": gone, "key": "n"}),
        ("runs/log-batch", {}), ("runs/log-batch", {"run_id": run, "metrics": [without(metric, "run_id", "timestamp")]}), ("runs/log-batch", {"run_id": run, "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]}),
        ("runs/log-batch", {"run_id": run, "params": [{"key": "new", "value": "1"}, {"key": "lr", "value": "other"}]}), ("runs/log-batch", {"run_id": run, "metrics": "x"}), ("runs/log-batch", {"run_id": run, "tags": [{"key": "a?", "value": "1"}]}),
        ("runs/log-batch", {"run_id": run, "params": [{"key": f"p{n}", "value": "1"} for n in range(101)]}), ("runs/log-batch", {"run_id": run, "tags": [{"key": f"p{n}", "value": "1"} for n in range(101)]}), ("runs/log-batch", {"run_id": gone, "tags": [{"key": "a", "value": "1"}]}),
        ("runs/log-batch", {"run_id": run, "metrics": [{"key": "m", "value": 1, "timestamp": 1, "step": n} for n in range(1001)]}), ("runs/log-inputs", {}), ("runs/log-inputs", {"run_id": "0" * 32}),
        ("runs/log-inputs", {"run_id": run, "datasets": [{"dataset": {"name": "x" * 501, "digest": "1", "source_type": "a", "source": "b"}}]}), ("runs/search", {"experiment_ids": "1"}), ("runs/search", {"experiment_ids": ["x"]}),
        ("registered-models/create", {}), ("registered-models/create", {"name": "forest"}), ("registered-models/create", {"name": ""}), ("registered-models/create", {"name": "a:b"}), ("registered-models/rename", {"name": "forest"}), ("registered-models/rename", {"name": "forest", "new_name": "still empty"}),
        ("registered-models/rename", {"name": "x", "new_name": "y"}), ("registered-models/set-tag", {"name": "x", "key": "a", "value": "b"}), ("registered-models/set-tag", {"name": "forest", "key": "k" * 251, "value": "b"}), ("registered-models/alias", {"name": "forest", "alias": "latest", "version": "1"}),
        ("registered-models/alias", {"name": "forest", "alias": "v12", "version": "1"}), ("registered-models/alias", {"name": "forest", "alias": "a b", "version": "1"}), ("registered-models/alias", {"name": "forest", "alias": "a", "version": "2"}), ("registered-models/alias", {"name": "forest", "alias": "a"}),
        ("model-versions/create", {"name": "forest"}), ("model-versions/create", {"name": "x", "source": "s3://a/b"}), ("model-versions/create", {"name": "forest", "source": "/etc"}), ("model-versions/create", {"name": "forest", "source": "file:///etc"}), ("model-versions/create", {"name": "forest", "source": "mlflow-artifacts:/../x"}),
        ("model-versions/create", {"name": "forest", "source": "../x"}), ("model-versions/create", {"name": "forest", "source": "/etc", "run_id": run}), ("model-versions/create", {"name": "forest", "source": f"runs:/{gone}/model", "run_id": run}), ("model-versions/set-tag", {"name": "forest", "version": "9", "key": "a", "value": "b"}),
        ("model-versions/set-tag", {"name": "forest", "version": "x", "key": "a", "value": "b"}), ("model-versions/transition-stage", {"name": "forest", "version": "1", "stage": "Up"}), ("model-versions/transition-stage", {"name": "forest", "version": "2", "stage": "Staging", "archive_existing_versions": False}),
        ("model-versions/transition-stage", {"name": "forest", "version": "1", "stage": "None", "archive_existing_versions": True}), ("logged-models", {"experiment_id": "99", "name": "x"}), ("logged-models", {"experiment_id": "1", "name": "a/b"}), ("logged-models", {"name": "x"}),
        ("logged-models/search", {"experiment_ids": ["1"], "order_by": [{"field_name": "absent"}]}), ("logged-models/search", {"experiment_ids": ["1"], "page_token": "x"}), ("logged-models/m-0/params", {"params": [{"key": "a", "value": "b"}]}),
    ]  # fmt: skip
    different = []
    for path, body in requests:
        found, expected = both("POST", path, body)
        try:
            assert expected[0] != 200, f"real MLflow takes {path} {body}"
            assert_equal(found, expected, (path, body))
        except AssertionError as error:
            different.append(str(error).split("\nassert")[0])
    assert not different, "\n".join(different)


def test_values_of_another_type_are_refused(same_store, stored):
    """Real MLflow takes some of these for something else, or for nothing."""
    run = stored["runs"]["run-0"]
    requests = [
        ("runs/update", {"run_id": run, "status": "DONE"}),
        ("runs/log-metric", {"run_id": run, "key": "k", "value": 1, "timestamp": 1.5}),
        ("runs/log-metric", {"run_id": run, "key": "k", "value": True, "timestamp": 1}),
        ("runs/log-inputs", {"run_id": run, "datasets": [{"dataset": {"name": "x"}}]}),
        ("runs/search", {"experiment_ids": ["1"], "run_view_type": "SOME"}),
    ]
    for path, body in requests:
        code, content = ask(same_store, "POST", path, body)
        assert (code, content["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), (path, body, content)


TRACES = "/api/3.0/mlflow/traces"


@pytest.fixture(scope="module")
def two(start_server, empty_store, environment, tmp_path_factory):
    """Both servers on empty stores of their own, for requests that write; ids that the servers make stand for each other."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("ours", "real"):
        (folder / name).mkdir()
        shutil.copy(empty_store, folder / name / "mlflow.db")
    real = RealServer(folder / "real", environment)
    yield Two(start_server(folder / "ours"), real)
    real.stop()


class Two:
    """Tells the same to two servers and compares what they say."""

    MADE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z")

    def __init__(self, *servers):
        self.servers = servers
        self.different = []

    def ask(self, method, path, body=None, parameters=None):
        path = path if path.startswith("/") else f"{API}/{path}"
        answers = []
        for server in self.servers:
            answer = requests.request(method, f"{server.url}{path}", json=body, params=parameters)
            try:
                answers.append((answer.status_code, self.shown(answer.json())))
            except ValueError:
                answers.append((answer.status_code, answer.text))
        try:
            assert_equal(*answers, (method, path, body or parameters))
        except AssertionError as error:
            self.different.append(str(error).split("\nassert")[0])

    def shown(self, value, key=""):
        if isinstance(value, dict):
            return {key: self.shown(inner, key) for key, inner in value.items() if key not in ("next_page_token", "digest")}
        if isinstance(value, list):
            return [self.shown(inner) for inner in value]
        if isinstance(value, str):
            return self.MADE.sub("made", value)
        return "now" if isinstance(value, int) and value > 1_700_000_000_000 and key.endswith(("time", "timestamp")) else value

    def end(self):
        different, self.different = self.different, []
        assert not different, "\n".join(different)


def test_graphql(two):
    two.ask("POST", "experiments/create", {"name": "graphql"})
    two.ask("POST", "runs/create", {"experiment_id": "0", "run_name": "r", "start_time": 5})
    name = "name experimentId lifecycleStage"
    queries = [
        "{ mlflowGetExperiment(input: {experimentId: \"1\"}) { apiError { code } experiment { %s __typename } } }" % name,
        "query Q @component(name: \"x\") { a: mlflowGetExperiment(input: {experimentId: \"1\"}) { b: experiment { ...F } } } fragment F on MlflowExperiment { c: name }",
        "{ __typename test(inputString: \"a\") { output ... on Test { again: output } ... { output } } }",
        "query A { test(inputString: \"a\") { output } } query B { test(inputString: \"b\") { output } }",
        "{ mlflowSearchRuns(input: {experimentIds: [\"0\"]}) { runs { info { runName startTime } data { params { key } } } nextPageToken } }",
        "mutation { mlflowSearchDatasets(input: {experimentIds: [\"0\"]}) { datasetSummaries { name } } }",
        # What is wrong with these is said in the same words.
        "{ test(inputString: \"a\") { output @include(if: true) } }", "{ test(inputString: \"a\") { output @skip(if: true) } }", "{ test(inputString: \"a\") { ...N } }",
        "{ test(inputString: \"a\") { output } } fragment N on Test { output }", "query Q($u: String) { test(inputString: \"a\") { output } }", "query ($u: Int) { test(inputString: $u) { output } }",
        "query Q { test(inputString: $u) { output } }", "query ($u: Nope) { test(inputString: $u) { output } }", "{ test(inputString: \"a\") { nope } }", "{ nope }", "{ test(inputString: \"a\", b: 1) { output } }",
        "{ test(inputString: \"a\") { ... on MlflowRunInfo { runId } } }", "subscription { test(inputString: \"a\") { output } }", "{ mlflowGetRun(input: {runId: \"0\", bogus: 1}) { run { info { runId } } } }",
    ]  # fmt: skip
    for query in queries:
        two.ask("POST", "/graphql", {"query": query})
    for variables in ({"s": None}, {"s": 5}, {"s": "x"}):
        two.ask("POST", "/graphql", {"query": "query ($s: String!) { test(inputString: $s) { output } }", "variables": variables})
    search = "query ($i: MlflowSearchRunsInput!) { mlflowSearchRuns(input: $i) { runs { info { runName } } } }"
    for given in ({"experimentIds": "0"}, {"experimentIds": ["0"], "maxResults": 1}, {"experimentIds": ["0"], "runViewType": "NOPE"}, {}):
        two.ask("POST", "/graphql", {"query": search, "variables": {"i": given}})
    two.end()


def test_traces_and_assessments(two):
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    info = {"trace_location": place, "request_time": "2020-01-02T03:04:05.678Z", "execution_duration": "1.500s", "state": "OK"}
    for number in range(4):
        more = {"trace_id": f"tr-{number}", "client_request_id": f"c{number}", "tags": {"mlflow.traceName": f"n{number % 2}", "t": str(number)}}
        more["trace_metadata"] = {"m": f"v{number}"}
        more["request_time"] = f"2020-01-02T03:04:0{number}.678Z"
        two.ask("POST", TRACES, {"trace": {"trace_info": {**info, **more}}})
    # Clients see the beginning of what is very long.
    long = {"trace_id": "tr-long", "tags": {"k" * 300: "v", "t": "v" * 9000}, "trace_metadata": {"m": "v" * 9000}, "request_time": "2020-01-01T00:00:00Z"}
    two.ask("POST", TRACES, {"trace": {"trace_info": {**info, **long}}})
    said = {"assessment_name": "q", "source": {"source_type": "HUMAN", "source_id": "me"}}
    for number, value in enumerate([True, 0.5, "yes", {"a": [1, None]}]):
        two.ask("POST", f"{TRACES}/tr-{number}/assessments", {"assessment": {**said, "feedback": {"value": value}}})
    for wrong in ({"expectation": {}}, {}, {"feedback": {"value": 1}, "overrides": "a-nope"}):
        two.ask("POST", f"{TRACES}/tr-0/assessments", {"assessment": {**said, **wrong}})
    filters = [
        "name RLIKE 'n[1]'", "name RLIKE '^x'", "tags.t RLIKE '[0-2]'", "metadata.m RLIKE 'v[12]$'", "status RLIKE 'O'", "feedback.q RLIKE 'y.s'", "client_request_id RLIKE 'c[0-1]'", "timestamp_ms RLIKE '1'",
        "span.name RLIKE 'x'", "span.attributes.a RLIKE 'x'", "trace.text RLIKE 'x'", "feedback.q = 'yes'", "feedback.q > 0.1", "feedback.q = 'true'", "feedback.q IS NULL", "name IS NULL", "tags.t IS NOT NULL",
        "trace.end_time_ms > 0", "execution_time_ms = 1500", "tags.t IN ('1')", "prompt = 'p'", "nope = 'x'",
    ]  # fmt: skip
    for filter in filters:
        two.ask("POST", f"{TRACES}/search", {"locations": [place], "filter": filter})
    for order in (["timestamp_ms"], ["tags.t DESC"], ["name", "execution_time"], ["nope"], ["timestamp_ms", "timestamp_ms"]):
        two.ask("POST", f"{TRACES}/search", {"locations": [place], "order_by": order})
    two.ask("GET", f"{TRACES}/tr-long")
    two.ask("GET", "/ajax-api/2.0/mlflow/get-trace-artifact", parameters={"request_id": "tr-0"})
    two.ask("GET", "traces/tr-long/info")
    two.ask("POST", f"{TRACES}/metrics", {"experiment_ids": ["0"], "view_type": "TRACES", "metric_name": "trace_count", "aggregations": []})
    two.end()


def test_evaluation_datasets_and_webhooks(two):
    datasets, webhooks = "/api/3.0/mlflow/datasets", "webhooks"
    two.ask("POST", f"{datasets}/create", {"name": "d", "experiment_ids": ["0"], "tags": '{"a": "b"}'})
    two.ask("POST", f"{datasets}/create", {"name": "nowhere"})
    for search in ({"experiment_ids": [], "order_by": ["name"]}, {"order_by": ["name"]}, {"experiment_ids": ["0"], "max_results": 0}, {"experiment_ids": ["0"], "filter_string": "tags.a = 'b'"}):
        two.ask("POST", f"{datasets}/search", search)
    event = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
    for webhook in (
        {"name": "w", "url": "https://8.8.8.8/h", "events": [event], "description": ""}, {"name": "w", "url": "ftp://example.com", "events": [event]}, {"name": "w", "url": "https://8.8.8.8", "events": []},
        {"name": "", "url": "https://8.8.8.8", "events": [event]}, {"name": "w", "url": "https://8.8.8.8", "events": [{"entity": "REGISTERED_MODEL", "action": "DELETED"}]},
    ):  # fmt: skip
        two.ask("POST", webhooks, webhook)
    two.ask("GET", webhooks)
    two.end()


def test_errors_have_a_class(two):
    """Newer clients put `sqlstate` and `error_class` into the errors that they raise."""
    for method, path, body in [
        ("GET", "runs/get", None), ("POST", "registered-models/create", {"name": "a/b"}), ("GET", "experiments/get-by-name?experiment_name=none", None), ("POST", "experiments/create", {"name": "Default"}),
        ("GET", "/api/2.0/mlflow/model-versions/get-artifact", None),
    ]:  # fmt: skip
        answers = [requests.request(method, f"{server.url}{path if path[0] == '/' else f'{API}/{path}'}", json=body) for server in two.servers]
        if "error_code" in answers[1].text:
            found, expected = ({key: answer.json().get(key) for key in ("error_code", "sqlstate", "error_class")} for answer in answers)
            assert found == expected, path
