"""Models logged, registered and loaded with MLflow's client through `matraz server`."""

import numpy
import pandas
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression


@pytest.fixture(scope="module")
def table():
    random = numpy.random.RandomState(1)
    rows = pandas.DataFrame(random.rand(60, 3), columns=["a", "b", "c"])
    return rows, (rows["a"] + rows["b"] > 1).astype(int)


def test_log_register_load(fluent, client, table, request):
    from mlflow.models import infer_signature

    rows, labels = table
    model = RandomForestClassifier(5, random_state=1).fit(rows, labels)
    name = request.node.name
    with fluent.start_run() as run:
        logged = fluent.sklearn.log_model(
            model,
            name="forest",
            signature=infer_signature(rows, labels),
            input_example=rows.head(2),
            registered_model_name=name,
            serialization_format="cloudpickle",
            pip_requirements=[],
        )
    expected = model.predict(rows)
    for uri in (logged.model_uri, f"models:/{name}/1", f"models:/{name}/latest", f"runs:/{run.info.run_id}/forest"):
        assert (fluent.pyfunc.load_model(uri).predict(rows) == expected).all(), uri
    client.set_registered_model_alias(name, "champion", 1)
    assert (fluent.sklearn.load_model(f"models:/{name}@champion").predict_proba(rows) == model.predict_proba(rows)).all()
    info = fluent.models.get_model_info(f"models:/{name}@champion")
    assert info.signature.inputs.input_names() == ["a", "b", "c"]
    stored = client.get_logged_model(logged.model_id)
    assert (stored.status.name, stored.name, stored.source_run_id) == ("READY", "forest", run.info.run_id)
    [output] = client.get_run(run.info.run_id).outputs.model_outputs
    assert output.model_id == logged.model_id
    version = client.get_model_version(name, 1)
    assert (version.run_id, version.source) == (run.info.run_id, f"models:/{logged.model_id}")
    assert "mlflow.modelVersions" in stored.tags


def test_autolog(fluent, client, table):
    rows, labels = table
    fluent.sklearn.autolog(serialization_format="cloudpickle", log_datasets=True)
    try:
        with fluent.start_run() as run:
            RandomForestClassifier(n_estimators=4, max_depth=2, random_state=1).fit(rows, labels)
    finally:
        fluent.sklearn.autolog(disable=True)
    found = client.get_run(run.info.run_id)
    assert (found.data.params["n_estimators"], found.data.params["max_depth"]) == ("4", "2")
    assert {"training_accuracy_score", "training_f1_score", "training_roc_auc"} <= found.data.metrics.keys()
    assert found.data.tags["estimator_name"] == "RandomForestClassifier"
    assert found.inputs.dataset_inputs
    [output] = found.outputs.model_outputs
    model = fluent.sklearn.load_model(f"models:/{output.model_id}")
    assert model.n_estimators == 4
    assert client.search_logged_models([found.info.experiment_id])[0].metrics


def test_a_python_model(fluent, tmp_path):
    script = tmp_path / "double.py"
    script.write_text(
        "import mlflow\n\n\n"
        "class Double(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input * 2\n\n\n"
        "mlflow.models.set_model(Double())\n"
    )
    with fluent.start_run():
        info = fluent.pyfunc.log_model(name="double", python_model=str(script), pip_requirements=[])
    assert list(fluent.pyfunc.load_model(info.model_uri).predict(pandas.DataFrame({"x": [1, 2]}))["x"]) == [2, 4]


def test_a_model_without_a_run_and_its_search(fluent, client, experiment, table):
    rows, labels = table
    with fluent.start_run():
        for power in (1, 2):
            model = LinearRegression().fit(rows**power, labels)
            info = fluent.sklearn.log_model(
                model, name=f"line{power}", params={"power": power}, pip_requirements=[], serialization_format="cloudpickle"
            )
            fluent.log_metric("r2", power / 10, model_id=info.model_id)
    found = client.search_logged_models(
        [experiment], "metrics.r2 > 0.05", order_by=[{"field_name": "metrics.r2", "ascending": False}]
    )
    assert [model.name for model in found] == ["line2", "line1"]
    assert [model.params for model in found] == [{"power": "2"}, {"power": "1"}]
    # The client also logs what the run had before a model was logged to it.
    assert sorted(metric.value for metric in found[0].metrics) == [0.1, 0.2]
    client.set_logged_model_tags(found[0].model_id, {"good": "yes"})
    assert [m.name for m in client.search_logged_models([experiment], "tags.good = 'yes'")] == ["line2"]
    client.delete_logged_model_tag(found[0].model_id, "good")
    client.delete_logged_model(found[0].model_id)
    assert [m.name for m in client.search_logged_models([experiment])] == ["line1"]


def test_evaluate(fluent, client, table):
    rows, labels = table
    model = RandomForestClassifier(5, random_state=1).fit(rows, labels)
    data = rows.assign(label=labels, guess=model.predict(rows))
    with fluent.start_run() as run:
        result = fluent.models.evaluate(
            data=data, targets="label", predictions="guess", model_type="classifier", evaluators="default",
            evaluator_config={"log_explainer": False},
        )
    metrics = client.get_run(run.info.run_id).data.metrics
    assert metrics["accuracy_score"] == result.metrics["accuracy_score"] > 0.9
    assert "confusion_matrix.png" in [entry.path for entry in client.list_artifacts(run.info.run_id)]
