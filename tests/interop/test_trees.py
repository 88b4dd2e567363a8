"""Pickled trees of scikit-learn are run without Python and predict what scikit-learn predicts, bit for bit."""

import json
import math
import pickle
from pathlib import Path

import numpy
import pandas
import pytest
import requests
from sklearn import ensemble, tree

from server import Server

NAMES = ["a", "b", "c", "d"]
random = numpy.random.default_rng(7)
TABLE = pandas.DataFrame(random.normal(size=(300, 4)), columns=NAMES)
GAPS = TABLE.mask(random.random(TABLE.shape) < 0.1)
WHOLE = pandas.DataFrame(random.integers(-9, 9, size=(300, 4)), columns=NAMES)
SUM = TABLE.sum(axis=1)
SIGNS = numpy.digitize(SUM, [-1.0, 1.0])
WORDS = numpy.array(["low", "medium", "high"])[SIGNS]
NONE = pandas.Series([0.0] * 300)

# The estimator, what it is fitted on, and the classes of the answer's items.
MODELS = {
    "regression forest": (ensemble.RandomForestRegressor(30, random_state=1), TABLE, SUM, float),
    "forest of a table with gaps": (ensemble.RandomForestClassifier(30, random_state=1), GAPS, SIGNS, int),
    "forest of words": (ensemble.RandomForestClassifier(12, criterion="entropy", class_weight="balanced", random_state=2), TABLE, WORDS, str),
    "forest of words as objects": (ensemble.RandomForestClassifier(3, max_depth=3, random_state=2), TABLE, WORDS.astype(object), str),
    "forest of floats as classes": (ensemble.ExtraTreesClassifier(9, random_state=3), TABLE, SIGNS.astype(float), float),
    "extra trees of integers": (ensemble.ExtraTreesRegressor(11, bootstrap=True, random_state=3), WHOLE, WHOLE.sum(axis=1), float),
    "a tree": (tree.DecisionTreeRegressor(max_leaf_nodes=20, random_state=4), GAPS, SUM, float),
    "a tree of classes": (tree.DecisionTreeClassifier(random_state=4), WHOLE, SIGNS, int),
    "a tree of one class": (tree.DecisionTreeClassifier(), TABLE, NONE.astype(int), int),
    "a forest of stumps": (ensemble.RandomForestRegressor(3), TABLE, NONE, float),
    "a forest without names": (ensemble.RandomForestRegressor(7, random_state=5), TABLE.to_numpy(), SUM, float),
}  # fmt: skip

# These are left to Python.
OTHERS = {
    "a gradient boosting": ensemble.GradientBoostingRegressor(n_estimators=3).fit(TABLE, SUM),
    "two outputs": ensemble.RandomForestRegressor(3).fit(TABLE, TABLE[["a", "b"]]),
    "another criterion": ensemble.RandomForestRegressor(3, criterion="absolute_error").fit(TABLE, SUM),
    "classes of truth": ensemble.RandomForestClassifier(3).fit(TABLE, SUM > 0),
    "a constraint": ensemble.RandomForestRegressor(3, monotonic_cst=[1, 0, 0, 0]).fit(TABLE, SUM),
    "one fitted on other columns": ensemble.RandomForestRegressor(3).fit(TABLE[["b", "a", "c", "d"]], SUM),
}


def save(folder, model, rows, **options):
    import mlflow
    from mlflow.models import infer_signature

    options = {"serialization_format": "cloudpickle", "pip_requirements": []} | options
    mlflow.sklearn.save_model(model, folder, signature=infer_signature(rows), **options)


def children(server):
    return [child for task in Path(f"/proc/{server.process.pid}/task").iterdir() for child in (task / "children").read_text().split()]


@pytest.fixture
def serve(matraz, tmp_path):
    servers = []

    def start(model, *arguments):
        servers.append(Server(matraz, tmp_path, "-m", model, *arguments, command=("models", "serve"), log=tmp_path / "log"))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def ask(server, rows):
    columns = [str(name) for name in rows.columns]
    body = {"dataframe_split": {"columns": columns, "data": json.loads(rows.to_json(orient="values", double_precision=15))}}
    answer = requests.post(f"{server.url}/invocations", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


@pytest.mark.parametrize("kind", MODELS)
def test_predictions(serve, tmp_path, kind):
    model, rows, target, item = MODELS[kind]
    model.fit(rows, target)
    table = rows if isinstance(rows, pandas.DataFrame) else TABLE
    asked = table.sample(40, random_state=0).astype(table.dtypes) + (1 if table is WHOLE else 0.125)
    format = "pickle" if len(kind) % 2 else "cloudpickle"
    save(tmp_path / "model", model, table, serialization_format=format)
    server = serve(tmp_path / "model")
    # What arrives is what the text of the request says.
    asked = pandas.DataFrame(json.loads(asked.to_json(orient="values", double_precision=15)), columns=NAMES).astype(table.dtypes)
    expected = model.predict(asked if table is rows else asked.to_numpy()).tolist()
    found = ask(server, asked)
    assert found == expected and {type(value) for value in found} == {item}
    if table is not WHOLE:
        asked.loc[5:9, "b"] = math.nan
        assert ask(server, asked) == model.predict(asked if table is rows else asked.to_numpy()).tolist()
    assert children(server) == []


def predict_without_python(matraz, folder, **options):
    """`models predict` where there is no Python."""
    rows = folder / "rows.json"
    rows.write_text(json.dumps({"dataframe_split": {"columns": NAMES, "data": [[0.0] * 4]}}))
    return matraz("models", "predict", "-m", folder / "model", "-i", rows, cwd=folder, PATH="/nonexistent", **options)


@pytest.mark.parametrize("kind", OTHERS)
def test_other_models_are_left_to_python(matraz, tmp_path, kind):
    save(tmp_path / "model", OTHERS[kind], TABLE)
    assert "needs Python" in predict_without_python(matraz, tmp_path, code=None).err


def test_trees_without_a_signature_are_left_to_python(matraz, tmp_path):
    save(tmp_path / "model", ensemble.RandomForestClassifier(3).fit(TABLE, SIGNS), TABLE)
    predict_without_python(matraz, tmp_path)
    description = tmp_path / "model/MLmodel"
    text = description.read_text()
    description.write_text(text[: text.index("signature:")])
    assert "needs Python" in predict_without_python(matraz, tmp_path, code=None).err


def test_trees_with_another_method_are_left_to_python(serve, tmp_path):
    model = ensemble.RandomForestClassifier(3).fit(TABLE, SIGNS)
    save(tmp_path / "model", model, TABLE, pyfunc_predict_fn="predict_proba")
    server = serve(tmp_path / "model")
    assert children(server) != []
    assert ask(server, TABLE.head(3)) == model.predict_proba(TABLE.head(3)).tolist()


def test_an_environment_that_is_asked_for_is_used(matraz, tmp_path):
    save(tmp_path / "model", ensemble.RandomForestClassifier(3).fit(TABLE, SIGNS), TABLE)
    predict_without_python(matraz, tmp_path)
    rows = tmp_path / "rows.json"
    asked = ("models", "predict", "-m", tmp_path / "model", "-i", rows, "--env-manager", "uv")
    assert "uv" in matraz(*asked, cwd=tmp_path, code=None, PATH="/nonexistent").err


def test_a_pickle_is_never_run(matraz, tmp_path):
    """A file that is no forest goes to Python, as ever; so does one that only looks like a forest."""
    save(tmp_path / "model", ensemble.RandomForestRegressor(2).fit(TABLE, SUM), TABLE)
    file = tmp_path / "model/model.pkl"
    whole = file.read_bytes()
    predict_without_python(matraz, tmp_path)

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    for bytes in (pickle.dumps(Evil()), whole[:-1], whole[: len(whole) // 2], whole.replace(b"_tree", b"_trie")):
        file.write_bytes(bytes)
        assert "needs Python" in predict_without_python(matraz, tmp_path, code=None).err
    assert not (tmp_path / "made").exists()
