"""Models that need Python are answered for as MLflow's own scoring server answers: status, type and every byte."""

import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy
import pandas
import pytest
import requests

from server import RealServer, Server

DOUBLE = """
import mlflow


class Scale(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if (model_input["a"] < 0).any():
            raise ValueError("negative")
        return {"scaled": [float(v) * params["k"] for v in model_input["a"]], "tag": params["tag"]}


mlflow.models.set_model(Scale())
"""


def save_all(folder):
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    rows = pandas.DataFrame({"a": [0.5, 1.5, -2.0], "b": [1, 2, 3], "n": [True, False, True]})
    fitted = LinearRegression().fit(rows.astype(float), [1.0, 2.0, 4.0])
    options = {"serialization_format": "cloudpickle", "pip_requirements": []}
    mlflow.sklearn.save_model(fitted, folder / "typed", signature=infer_signature(rows, numpy.array([1.0])), **options)
    mlflow.sklearn.save_model(LinearRegression().fit(rows.to_numpy(float), [1, 2, 4]), folder / "untyped", **options)
    script = folder / "scale.py"
    script.write_text(DOUBLE)
    signature = infer_signature(rows[["a"]], params={"k": 2.0, "tag": "x"})
    mlflow.pyfunc.save_model(folder / "params", python_model=str(script), signature=signature, pip_requirements=[])
    by_columns = make_pipeline(FunctionTransformer(lambda rows: rows - rows.mean(axis=0)), LinearRegression())
    mlflow.sklearn.save_model(by_columns.fit(rows.astype(float), [1.0, 2.0, 4.0]), folder / "by-columns", **options)
    return ["typed", "untyped", "params", "by-columns"]


@pytest.fixture(scope="module")
def servers(tmp_path_factory, matraz, environment):
    folder = tmp_path_factory.mktemp("python-models")
    kinds = save_all(folder)
    real = RealServer(folder, environment, *(f"{kind}={folder / kind}" for kind in kinds), script="real_scoring.py")
    ours = [Server(matraz, folder, "-m", folder / kind, command=("models", "serve"), log=folder / f"{kind}.log") for kind in kinds]
    yield {kind: (server.url, f"{real.url}/{kind}", folder / kind) for kind, server in zip(kinds, ours)}
    for server in [*ours, real]:
        server.stop()


def parquet():
    out = io.BytesIO()
    pandas.DataFrame({"a": [0.5, 1.0], "b": [1, 2], "n": [True, False]}).to_parquet(out)
    return out.getvalue()


ROW = {"a": 0.5, "b": 2, "n": True}
CSV = {"content-type": "text/csv"}
JSON = {"content-type": "application/json"}
REQUESTS = {
    "split": {"json": {"dataframe_split": {"columns": ["a", "b", "n"], "data": [[1.5, 2, True], [1, 3, False]]}}},
    "split in another order": {"json": {"dataframe_split": {"columns": ["n", "a", "b"], "index": [4], "data": [[True, 1, 2]]}}},
    "records": {"json": {"dataframe_records": [ROW, ROW]}},
    "instances": {"json": {"instances": [ROW, ROW]}},
    "inputs": {"json": {"inputs": {"a": [0.5], "b": [2], "n": [True]}}},
    "a matrix": {"json": {"inputs": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}},
    "instances of a matrix": {"json": {"instances": [[1.0, 2.0, 3.0]]}},
    "a table": {"data": b"a,b,n\n1.5,2,True\n0.5,3,False\n", "headers": CSV},
    "a table with a character set": {"data": b"a,b,n\n1.5,2,True\n", "headers": {"content-type": "text/csv; charset=UTF-8"}},
    "a table without a column": {"data": b"a,b\n1.5,2\n", "headers": CSV},
    "a table that is none": {"data": b"\xff\xfe\x00", "headers": CSV},
    "an empty table": {"data": b"", "headers": CSV},
    "parquet": {"data": parquet(), "headers": {"content-type": "application/vnd.apache.parquet"}},
    "broken parquet": {"data": b"PAR1", "headers": {"content-type": "application/vnd.apache.parquet"}},
    "an extra column": {"json": {"dataframe_records": [{**ROW, "z": 1}]}},
    "a missing column": {"json": {"dataframe_records": [{"a": 1.5}]}},
    "text for a number": {"json": {"dataframe_records": [{**ROW, "a": "x"}]}},
    "nothing for a number": {"json": {"dataframe_records": [{**ROW, "a": None}]}},
    "parameters": {"json": {"dataframe_records": [ROW], "params": {"k": 3, "tag": "ü"}}},
    "parameters of a wrong type": {"json": {"dataframe_records": [ROW], "params": {"k": "x"}}},
    "parameters that are none": {"json": {"dataframe_records": [ROW], "params": 3}},
    "no key": {"json": {"a": 1}},
    "two keys": {"json": {"instances": [], "inputs": []}},
    "a body for a language model": {"json": {"messages": [{"role": "user", "content": "x"}], "a": [1.0]}},
    "a list": {"json": [1]},
    "a text": {"json": "x"},
    "broken JSON": {"data": b"{", "headers": JSON},
    "JSON that is no text": {"data": b"\xff", "headers": JSON},
    "NaN": {"data": b'{"dataframe_records": [{"a": NaN, "b": 1, "n": true}]}', "headers": JSON},
    "no body": {"data": b"", "headers": JSON},
    "another type": {"data": b"{}", "headers": {"content-type": "text/plain"}},
    "another character set": {"data": b"{}", "headers": {"content-type": "application/json; charset=latin-1"}},
    "another parameter": {"data": b"{}", "headers": {"content-type": "application/json; format=x"}},
    "no type": {"data": b"{}", "headers": {"content-type": None}},
}  # fmt: skip


def ask(url, **request):
    answer = requests.post(f"{url}/invocations", **request)
    try:
        body = answer.json()
        # It names lines of the program that called the model.
        body.pop("stack_trace", None)
    except (ValueError, AttributeError):
        body = answer.text
    return answer.status_code, answer.headers["content-type"], body


@pytest.mark.parametrize("kind", ["typed", "untyped", "params"])
def test_answers(servers, kind):
    ours, real, _ = servers[kind]
    answered = 0
    for name, request in REQUESTS.items():
        expected = ask(real, **request)
        assert ask(ours, **request) == expected, name
        answered += expected[0] == 200
    assert answered >= 5


@pytest.mark.parametrize("kind", ["typed", "untyped", "by-columns"])
def test_answers_to_many_at_once(servers, kind):
    """Rows of requests that are predicted together find their way back, beside requests that are refused."""
    ours, real, _ = servers[kind]
    bodies = [{"dataframe_split": {"columns": ["a", "b", "n"], "data": [[n * 0.5, n, n % 2 == 0]] * (n % 4)}} for n in range(24)]
    bodies += [{"dataframe_split": {"columns": ["b", "a", "n"], "data": [[1, 2.5, True], [2, 2.5, False]]}}] * 4
    bodies += [{"dataframe_split": {"columns": ["a"], "data": [[1]]}}, {"inputs": "x"}, {}] * 3
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda body: ask(ours, json=body), bodies * 3))
    expected = [ask(real, json=body) for body in bodies] * 3
    for body, answer, (status, kind, content) in zip(bodies * 3, found, expected):
        if status == 200:
            # Sums of many rows may be rounded in another order.
            content = {"predictions": pytest.approx(content["predictions"], rel=1e-12)}
        assert answer == (status, kind, content), body


def test_other_routes(servers):
    ours, real, _ = servers["typed"]
    for method, path in (("GET", "/ping"), ("GET", "/health"), ("GET", "/version"), ("GET", "/invocations"), ("GET", "/no")):
        found, expected = (requests.request(method, url + path) for url in (ours, real))
        assert (found.status_code, found.content) == (expected.status_code, expected.content), path
        assert found.headers["content-type"] == expected.headers["content-type"], path


def test_predict(servers, matraz, environment, tmp_path):
    _, _, model = servers["params"]
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps({"dataframe_records": [{"a": 2.0}], "params": {"k": 4.0}}))
    ours = matraz("models", "predict", "-m", model, "-i", rows, "-o", tmp_path / "ours.json", cwd=tmp_path)
    real = subprocess.run(
        [sys.executable, "-m", "mlflow", "models", "predict", "-m", model, "-i", rows, "-o", tmp_path / "real.json",
         "--env-manager", "local"],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (ours.code, real.returncode) == (0, 0), real.stderr
    assert (tmp_path / "ours.json").read_bytes() == (tmp_path / "real.json").read_bytes()
