"""Models are scored without Python as MLflow's scoring server scores them with onnxruntime."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy
import pandas
import pytest
import requests

from server import RealServer, Server

REPOSITORY = Path(__file__).parents[2]


def table(seed, rows=40):
    source = numpy.random.RandomState(seed)
    return pandas.DataFrame(
        {
            "size": source.normal(10, 3, rows),
            "count": source.randint(0, 50, rows),
            "colour": source.choice(["red", "green", "blue – ünï"], rows),
            "shape": source.choice(["round", "square"], rows),
        }
    )


def fitted(kind, seed):
    """A model, its training table and how it is exported."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    rows = table(seed)
    amount = rows["size"] + rows["count"] / 5 + (rows["colour"] == "red") * 3
    words = pandas.cut(amount, 3, labels=["low", "middle", "high"]).astype(str)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encode = ColumnTransformer(
        [("numbers", numbers, ["size", "count"]), ("words", OneHotEncoder(handle_unknown="ignore"), ["colour", "shape"])]
    )
    ordinal = ColumnTransformer(
        [("words", OrdinalEncoder(), ["colour", "shape"]), ("numbers", "passthrough", ["size", "count"])]
    )
    if kind == "forest":
        return make_pipeline(encode, RandomForestClassifier(12, max_depth=5, random_state=seed)).fit(rows, words), rows
    if kind == "logistic":
        return make_pipeline(encode, LogisticRegression()).fit(rows, (amount > amount.median()).astype(int)), rows
    if kind == "boosting":
        return make_pipeline(ordinal, GradientBoostingRegressor(n_estimators=10, random_state=seed)).fit(rows, amount), rows
    numeric = rows[["size", "count"]].astype("float32")
    return LinearRegression().fit(numeric, amount), numeric


KINDS = {
    "forest": {},
    "tensors": {"zipmap": False},
    "logistic": {"zipmap": "columns"},
    "boosting": {},
    "linear": {},
}


def take_columns(exported):
    """MLflow hands every column over as a list; exports want a matrix with one column."""
    from onnx import helper

    graph = exported.graph
    graph.initializer.append(helper.make_tensor("one_column", 7, [2], [-1, 1]))
    for number, column in enumerate(graph.input):
        name, inside = column.name, f"{column.name} as matrix"
        for node in graph.node:
            node.input[:] = [inside if used == name else used for used in node.input]
        graph.node.insert(number, helper.make_node("Reshape", [name, "one_column"], [inside]))
        del column.type.tensor_type.shape.dim[1]


def save(kind, folder, seed):
    """Exports a fresh model to ONNX inside an MLflow model; returns rows to ask it about."""
    import mlflow
    from mlflow.types import Schema, TensorSpec
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    model, rows = fitted("forest" if kind == "tensors" else kind, seed)
    options = KINDS[kind]
    if kind == "linear":
        exported = to_onnx(model, initial_types=[("input", FloatTensorType([None, 2]))], target_opset=17)
    else:
        types = {"float64": FloatTensorType, "int64": Int64TensorType}
        initial = [(name, types.get(str(rows[name].dtype), StringTensorType)([None, 1])) for name in rows]
        exported = to_onnx(
            model, initial_types=initial, options={id(model): options} if options else None, target_opset=17
        )
        take_columns(exported)
    asked = table(seed + 1000, 7)[list(rows.columns)].astype(rows.dtypes)
    signature = mlflow.models.infer_signature(asked)
    if kind == "tensors":
        # With a signature of tensors a model may answer with matrices.
        dtypes = {"float64": "float32", "int64": "int64"}
        signature = mlflow.models.ModelSignature(
            Schema([TensorSpec(numpy.dtype(dtypes.get(str(rows[name].dtype), "str")), (-1,), name) for name in rows])
        )
    mlflow.onnx.save_model(exported, str(folder), signature=signature, pip_requirements=[])
    return asked


@pytest.fixture(scope="module")
def models(tmp_path_factory, matraz, environment):
    """Every kind of model behind both servers."""
    folder = tmp_path_factory.mktemp("models")
    seed = random.randrange(1 << 16)
    print(f"seed {seed}")
    asked = {kind: save(kind, folder / kind, seed + number) for number, kind in enumerate(KINDS)}
    real = RealServer(folder, environment, *(f"{kind}={folder / kind}" for kind in KINDS), script="real_scoring.py")
    ours = {
        kind: Server(matraz, folder, "-m", folder / kind, command=("models", "serve"), log=folder / f"{kind}.log")
        for kind in KINDS
    }
    yield {kind: (ours[kind].url, f"{real.url}/{kind}", asked[kind], folder / kind) for kind in KINDS}
    for server in (real, *ours.values()):
        server.stop()


def near(found, expected):
    """Equal, but for the last bits of a 32-bit float."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(near(found[key], expected[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(near, found, expected))
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return found == pytest.approx(expected, rel=2e-5, abs=2e-6, nan_ok=True)
    return found == expected


def ask(url, **request):
    answer = requests.post(f"{url}/invocations", **request)
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, answer.text


def assert_same(model, **request):
    ours, real, _, _ = model
    found, expected = ask(ours, **request), ask(real, **request)
    assert found[0] == expected[0], (request, found, expected)
    if expected[0] == 200:
        assert near(found[1], expected[1]), (request, found, expected)
    elif isinstance(expected[1], dict) and "error_code" in expected[1]:
        assert found[1]["error_code"] == expected[1]["error_code"], (request, found, expected)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_predictions(kind, models):
    model = models[kind]
    rows = model[2]
    bodies = [
        {"dataframe_split": json.loads(rows.to_json(orient="split", index=False))},
        {"dataframe_split": json.loads(rows.to_json(orient="split"))},
        {"dataframe_records": json.loads(rows.to_json(orient="records"))},
        {"inputs": {name: list(map(plain, rows[name])) for name in rows}},
        {"dataframe_split": json.loads(rows[rows.columns[::-1]].head(1).to_json(orient="split", index=False))},
    ]
    for body in bodies:
        assert assert_same(model, json=body)[0] == 200
    for content_type in ("text/csv", "text/csv; charset=utf-8"):
        table = {"data": rows.to_csv(index=False).encode(), "headers": {"content-type": content_type}}
        if kind == "tensors":
            # Real MLflow takes no tables for these.
            assert ask(model[0], **table) == ask(model[0], json=bodies[0])
        else:
            assert assert_same(model, **table)[0] == 200


@pytest.mark.parametrize("kind", ["forest", "boosting", "linear", "tensors"])
def test_parquet(kind, models, tmp_path):
    model = models[kind]
    rows = model[2]
    if kind == "tensors":
        rows = rows.astype({"size": "float32"})
    narrow = {name: {"float64": "float32", "int64": "int32"}.get(str(rows[name].dtype)) for name in rows}
    tables = [
        (rows, 200), (rows.assign(when=pandas.Timestamp("2026-01-02"), raw=b"x"), 200), (rows[rows.columns[::-1]].set_index("size", append=True), 400),
        (rows.head(1), 200), (rows.set_axis(range(5, 5 + len(rows))), 200), (rows.astype({k: v for k, v in narrow.items() if v}), None),
        (rows.astype({"size": "int64"}), None), (rows.assign(size=0), None), (rows.assign(size="x"), 400), (rows.drop(columns="size"), 400),
        (rows.astype({"size": "float64"}), None), (rows.assign(count=numpy.where(rows.index == 0, numpy.nan, rows["count"])), None),
    ]  # fmt: skip
    for number, (table, code) in enumerate(tables):
        path = tmp_path / f"{number}.parquet"
        table.to_parquet(path, compression=["snappy", "gzip", "zstd"][number % 3])
        answer = assert_same(model, data=path.read_bytes(), headers={"content-type": "application/vnd.apache.parquet"})
        assert code in (None, answer[0]), (number, answer)
    assert_same(model, data=b"no table", headers={"content-type": "application/vnd.apache.parquet"})


def plain(value):
    return value.item() if hasattr(value, "item") else value


def test_command_line(models, matraz, tmp_path):
    url, _, rows, folder = models["forest"]
    table = tmp_path / "rows.csv"
    rows.to_csv(table, index=False)
    done = matraz("models", "predict", "-m", folder, "-i", table, "-t", "csv", cwd=tmp_path)
    expected = ask(url, data=table.read_bytes(), headers={"content-type": "text/csv"})[1]
    assert done.json() == expected


ROW = {"size": 1.5, "count": 2, "colour": "red", "shape": "round"}
REQUESTS = {
    "an extra column": {"json": {"dataframe_records": [{**ROW, "more": 1}]}},
    "a missing column": {"json": {"dataframe_records": [{"size": 1.5}]}},
    "a number as text": {"json": {"dataframe_records": [{**ROW, "size": "1.5"}]}},
    "text for a number": {"json": {"dataframe_records": [{**ROW, "size": "abc"}]}},
    "a number for text": {"json": {"dataframe_records": [{**ROW, "colour": 5}]}},
    "a whole number for a double": {"json": {"dataframe_records": [{**ROW, "size": 3}]}},
    "a fraction for a long": {"json": {"dataframe_records": [{**ROW, "count": 2.5}]}},
    "an unknown category": {"json": {"dataframe_records": [{**ROW, "colour": "violet"}]}},
    "nothing for a double": {"json": {"dataframe_records": [{**ROW, "size": None}]}},
    "true for a double": {"json": {"dataframe_records": [{**ROW, "size": True}]}},
    "no rows": {"json": {"dataframe_split": {"columns": list(ROW), "data": []}}},
    "no key": {"json": {}},
    "two keys": {"json": {"dataframe_records": [ROW], "inputs": {}}},
    "an unknown key": {"json": {"rows": [ROW]}},
    "a list": {"json": [ROW]},
    "a text": {"json": "x"},
    "broken JSON": {"data": b"{", "headers": {"content-type": "application/json"}},
    "no body": {"data": b"", "headers": {"content-type": "application/json"}},
    "another type": {"data": b"x", "headers": {"content-type": "text/plain"}},
    "another character set": {"data": b"{}", "headers": {"content-type": "application/json; charset=latin-1"}},
    "another parameter": {"data": b"{}", "headers": {"content-type": "application/json; format=x"}},
    "ragged rows": {"json": {"dataframe_split": {"columns": list(ROW), "data": [[1.5, 2, "red"]]}}},
    "split without data": {"json": {"dataframe_split": {"columns": list(ROW)}}},
    "records that are none": {"json": {"dataframe_records": 5}},
    "instances": {"json": {"instances": [ROW, ROW]}},
    "parameters": {"json": {"dataframe_records": [ROW], "params": {"a": 1}}},
    "columns of unequal length": {"json": {"inputs": {"size": [1.0, 2.0], "count": [1], "colour": ["red"], "shape": ["round"]}}},
    "CSV without a column": {"data": b"size,count\n1,2\n", "headers": {"content-type": "text/csv"}},
    "empty CSV": {"data": b"", "headers": {"content-type": "text/csv"}},
    "CSV with quotes": {"data": b'size,count,colour,shape\n"1.5",2,"red","rou""nd"\n', "headers": {"content-type": "text/csv"}},
}  # fmt: skip


@pytest.mark.parametrize("case", REQUESTS)
def test_requests(case, models):
    assert_same(models["forest"], **REQUESTS[case])
    if case != "no rows" and "CSV" not in case:
        assert_same(models["tensors"], **REQUESTS[case])


def test_other_routes(models):
    ours, real, _, _ = models["forest"]
    for method, path in (("GET", "/ping"), ("GET", "/health"), ("GET", "/version"), ("GET", "/invocations"), ("GET", "/absent"), ("POST", "/ping")):
        found, expected = (requests.request(method, url + path) for url in (ours, real))
        assert (found.status_code, found.text) == (expected.status_code, expected.text), path


@pytest.mark.timeout(0)
def test_fresh_exports_of_single_operators(tmp_path, environment):
    """The cases of the interpreter's own test, made anew with the installed scikit-learn and onnxruntime."""
    exporter = REPOSITORY / "crates/matraz-serve/tests/export_onnx_fixtures.py"
    subprocess.run([sys.executable, exporter, tmp_path / "cases"], check=True, capture_output=True)
    done = subprocess.run(
        ["cargo", "test", "--locked", "-q", "-p", "matraz-serve", "--test", "onnx_against_onnxruntime"],
        cwd=REPOSITORY,
        env={**os.environ, "MATRAZ_ONNX_FIXTURES": str(tmp_path / "cases")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
