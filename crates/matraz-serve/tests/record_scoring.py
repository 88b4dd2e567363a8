"""Records what MLflow's own scoring server answers for some ONNX model directories.

    python record_scoring.py FOLDER           all models and requests
    python record_scoring.py --small FOLDER   the few that are kept in the repository

Needs mlflow, scikit-learn, skl2onnx, onnxruntime. The Rust test `scoring_against_mlflow` reads the folder that the
variable MATRAZ_SCORING_FIXTURES names. Each case is a model directory with `answers.json`: a list of requests with
MLflow's status and body. Requests that MLflow fails on by accident (not by its rules) are marked `accident`.
"""

import asyncio
import json
import logging
import math
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")

import mlflow
import mlflow.onnx
from mlflow.models import ModelSignature
from mlflow.pyfunc.scoring_server import init
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

logging.disable(logging.CRITICAL)
TARGET = {"": 17, "ai.onnx.ml": 3}
NAMES = ["a", "b", "c", "d"]
KINDS = {
    "age": ("double", "float64", TensorProto.DOUBLE),
    "weight": ("float", "float32", TensorProto.FLOAT),
    "rooms": ("long", "int64", TensorProto.INT64),
    "n": ("integer", "int32", TensorProto.INT32),
    "flag": ("boolean", "bool", TensorProto.BOOL),
    "city": ("string", "str", TensorProto.STRING),
}


def call(app, body, content_type):
    """One POST to /invocations of an ASGI application, without a network."""
    out = {"body": b""}

    async def go():
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            await asyncio.sleep(3600)

        async def send(message):
            if message["type"] == "http.response.start":
                out["status"] = message["status"]
            else:
                out["body"] += message.get("body", b"")

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/invocations",
            "raw_path": b"/invocations",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-type", content_type.encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
        }
        await app(scope, receive, send)

    asyncio.run(go())
    return out["status"], out["body"].decode()


def models():
    X, y = make_classification(200, 4, n_informative=3, n_redundant=0, n_classes=3, random_state=0)
    X = X.astype(np.float32)
    forest = RandomForestClassifier(4, max_depth=3, random_state=0).fit(X, np.array(["low", "mid", "high"])[y])
    zipped = to_onnx(forest, X[:1], target_opset=TARGET, options={"zipmap": True})
    plain = to_onnx(forest, X[:1], target_opset=TARGET, options={"zipmap": False})
    ridge = to_onnx(Ridge().fit(X, y), X[:1], target_opset=TARGET)
    columns = Schema([ColSpec("double", name) for name in NAMES])
    params = ParamSchema(
        [
            ParamSpec("alpha", "double", 0.5),
            ParamSpec("mode", "string", "fast"),
            ParamSpec("k", "long", 3),
            ParamSpec("list", "long", [1, 2], shape=(-1,)),
        ]
    )
    tensor = lambda *name: ModelSignature(inputs=Schema([TensorSpec(np.dtype("float32"), (-1, 4), *name)]))

    def echo(names):
        nodes = [helper.make_node("Identity", [name], ["out_" + name]) for name in names]
        value = lambda name, kind: helper.make_tensor_value_info(name, kind, [None])
        graph = helper.make_graph(
            nodes,
            "echo",
            [value(name, KINDS[name][2]) for name in names],
            [value("out_" + name, KINDS[name][2]) for name in names],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    numbers = [name for name in KINDS if name != "city"]
    column_types = lambda names: ModelSignature(inputs=Schema([ColSpec(KINDS[name][0], name) for name in names]))
    tensor_types = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(dtype), (-1,), name) for name, (_, dtype, _) in KINDS.items()])
    )
    one = helper.make_graph(
        [helper.make_node("Identity", ["s"], ["t"])],
        "one",
        [helper.make_tensor_value_info("s", TensorProto.STRING, [None, 1])],
        [helper.make_tensor_value_info("t", TensorProto.STRING, [None, 1])],
    )
    one = helper.make_model(one, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return {
        "zip_columns": (zipped, ModelSignature(inputs=columns), "rows"),
        "plain_tensor": (plain, tensor(), "tensor"),
        "plain_named_tensor": (plain, tensor("X"), "tensor"),
        "plain_unsigned": (plain, None, "tensor"),
        "zip_unsigned": (zipped, None, "rows"),
        "ridge_columns": (ridge, ModelSignature(inputs=columns, params=params), "params"),
        "numbers_columns": (echo(numbers), column_types(numbers), "kinds"),
        "echo_tensors": (echo(list(KINDS)), tensor_types, "kinds"),
        "echo_columns": (echo(list(KINDS)), column_types(KINDS), "kinds"),
        "text_column": (one, ModelSignature(inputs=Schema([ColSpec("string", "s")])), "text"),
        "unnamed_columns": (ridge, ModelSignature(inputs=Schema([ColSpec("double")] * 4)), "tensor"),
    }


ROW = [0.1, -1.0, 2, 3.5]
ROW2 = [1, 2, -3, 0.25]
RECORD = dict(zip(NAMES, ROW))
CSV = "text/csv"

ROWS = [
    {"dataframe_split": {"columns": NAMES, "data": [ROW, ROW2]}},
    {"dataframe_split": {"columns": NAMES[::-1], "data": [ROW, ROW2], "index": [5, 6]}},
    {"dataframe_split": {"data": [ROW]}},
    {"dataframe_split": {"columns": NAMES[:3], "data": [ROW]}},
    {"dataframe_split": {"columns": NAMES}},
    {"dataframe_split": {"columns": NAMES, "data": [ROW], "x": 1}},
    {"dataframe_split": [1]},
    {"dataframe_split": {"columns": NAMES, "data": []}},
    {"dataframe_split": {"columns": NAMES, "data": 7}},
    {"dataframe_split": {"columns": "abcd", "data": [ROW]}},
    {"dataframe_split": {"columns": NAMES, "data": {name: [1] for name in NAMES}}},
    {"dataframe_records": [RECORD, {"a": 1, "b": 2, "c": 3, "d": 4, "e": 9}]},
    {"dataframe_records": [{"a": 1, "b": 2, "c": 3}]},
    {"dataframe_records": RECORD},
    {"dataframe_records": [dict(RECORD, a=None)]},
    {"dataframe_records": [dict(RECORD, a="x")]},
    {"dataframe_records": [dict(RECORD, a="")]},
    {"dataframe_records": [dict(RECORD, a="1.5", b=True)]},
    {"dataframe_records": [dict(RECORD, a=[1])]},
    {"dataframe_records": [RECORD, 3]},
    {"dataframe_records": [ROW]},
    {"dataframe_records": []},
    {"instances": [ROW, ROW2]},
    {"instances": [RECORD, RECORD]},
    {"instances": [RECORD, {"a": 1}]},
    {"instances": RECORD},
    {"instances": ROW},
    {"inputs": [ROW, ROW2]},
    {"inputs": {key: [value, value] for key, value in RECORD.items()}},
    {"inputs": RECORD},
    {"inputs": [RECORD]},
    {"inputs": {"X": [ROW]}},
    {"inputs": 3.5},
    {"inputs": {"a": [1]}},
    {"inputs": {"a": [1, 2], "b": [2], "c": [3], "d": [4]}},
    {"inputs": {"a": ["x"], "b": [2], "c": [3], "d": [4]}},
    {"instances": [ROW], "inputs": [ROW]},
    {"params": {}},
    {},
    [1],
    '"abc"',
    "3",
    "null",
    '{"a"',
    "",
    '{"dataframe_records":[{"a":NaN,"b":1,"c":Infinity,"d":1}]}',
    ("a,b,c,d\n0.1,-1.0,2,3.5\n1,2,-3,0.25\n", CSV),
    ("d,c,b,a,e\n0.1,-1.0,2,3.5,9\n", CSV),
    ("a,b,c\n1,2,3\n", CSV),
    ("a,b,c,d\nx,2,3,4\n", CSV),
    ("a,b,c,d\n,2,3,4\n", CSV),
    ("a,b,c,d\n1,2,3\n", CSV),
    ("a,b,c,d\n1,2,3,4,5\n", CSV),
    ("a,b,c,d\n1,2,3,4\n1,2,3,4,5\n", CSV),
    ("", CSV),
    ("a,b,c,d\n", CSV),
    ("a,b,c,d\n1,2,3,4\n", "text/csv; charset=UTF-8"),
    ("a,b,c,d\n1,2,3,4\n", "text/csv; charset=latin1"),
    ("a,b,c,d\n1,2,3,4\n", "text/csv; header=present"),
    ("a,b,c,d\n1,2,3,4\n", "text/plain"),
    ("{}", "Application/JSON"),
]

TENSORS = [
    {"inputs": [ROW]},
    {"inputs": [[1, 2, 3, 4]]},
    {"inputs": [1, 2, 3, 4]},
    {"inputs": [[1, 2, 3]]},
    {"inputs": [["1", 2, 3, 4]]},
    {"inputs": [["x", 2, 3, 4]]},
    {"inputs": [[None, 2, 3, 4]]},
    {"inputs": [[1, 2], [3]]},
    {"inputs": {"X": [ROW]}},
    {"inputs": {"Y": [ROW]}},
    {"inputs": {"X": [ROW], "Z": [1]}},
    {"inputs": {"X": 1}},
    {"instances": [ROW]},
    {"instances": [{"X": ROW}, {"X": ROW2}]},
    {"instances": [{"X": 1}]},
    {"instances": [{"Y": 1}]},
    {"instances": {"X": [ROW]}},
    {"dataframe_split": {"columns": ["X"], "data": [[ROW], [ROW2]]}},
    {"dataframe_split": {"columns": NAMES, "data": [ROW]}},
    {"dataframe_split": {"data": [ROW]}},
    {"dataframe_split": {"columns": NAMES[:3], "data": [[1, 2, 3]]}},
    {"dataframe_records": [{"X": ROW}]},
    {"dataframe_records": []},
    ("a,b,c,d\n1,2,3,4\n", CSV),
    {"inputs": []},
    {"inputs": True},
    {"inputs": None},
    {"inputs": "x"},
    {"inputs": [[True, False, True, True]]},
    '{"inputs": [[1e400, 2, 3, 4]]}',
    {"inputs": [[12345678901234567890, 2, 3, 4]]},
    {"inputs": [{"X": ROW}]},
]

UNITS = dict.fromkeys(NAMES, 1)
PARAMS = [
    {"dataframe_records": [UNITS], "params": params}
    for params in [
        {},
        None,
        {"alpha": 1},
        {"alpha": "x"},
        {"alpha": None},
        {"alpha": True},
        {"k": 1.5},
        {"k": 7},
        {"mode": 3},
        {"zzz": 3},
        [1],
        "x",
        {"list": [1, 2, 3]},
        {"list": 3},
        {"list": ["a"]},
        {"alpha": [1.0]},
    ]
] + [
    {"inputs": UNITS},
    {"inputs": {key: [1, 2] for key in NAMES}},
    {"inputs": [UNITS, {"a": 1}]},
    {"dataframe_split": {"columns": NAMES, "data": [[1, 2, 3, 4], [1, 2]]}},
    {"dataframe_split": {"columns": ["a", "b", "c", "a"], "data": [[1, 2, 3, 4]]}},
]

KIND = {"age": 30.5, "weight": 70.5, "rooms": 3, "n": 4, "flag": True, "city": 'Köln "x"'}
CHANGES = [
    {},
    {"age": 30},
    {"weight": 0.1},
    {"rooms": 3.7},
    {"rooms": "3"},
    {"rooms": "3.5"},
    {"rooms": None},
    {"rooms": True},
    {"rooms": 2**70},
    {"n": 2**40},
    {"n": -1.5},
    {"flag": 1},
    {"flag": 0.0},
    {"flag": None},
    {"flag": "false"},
    {"age": "nan"},
    {"age": " 1.5 "},
    {"age": "1_000"},
    {"age": "x"},
    {"city": None},
    {"city": 3},
]


def kinds(names):
    record = lambda **changes: {name: value for name, value in dict(KIND, **changes).items() if name in names}
    for change in CHANGES:
        yield {"dataframe_records": [record(**change)]}
        yield {"inputs": {name: [value] for name, value in record(**change).items()}}
    yield {"inputs": record()}
    yield {"instances": [record(), record(flag=0)]}
    yield {"dataframe_records": [record(), record(city=None)]}
    if "city" not in names:
        yield "age,weight,rooms,n,flag\n1.5,2.5,3,4,True\n1,2,3,4,false\n", CSV
        yield "age,weight,rooms,n,flag\n1.5,2.5,3.0,4,True\n", CSV
        yield "age,weight,rooms,n,flag\n1.5,2.5,,4,True\n", CSV
        yield "age,weight,rooms,n,flag\n1.5,2.5,3,4,1\n", CSV
        yield 'age,weight,rooms,n,flag\n"1.5", 2.5 ,3,4,TRUE\nNA,null,3,4,FALSE\n\n', CSV
    else:
        yield "age,weight,rooms,n,flag,city\n1.5,2.5,3,4,True,Lima\n", CSV


TEXTS = [
    {"dataframe_records": [{"s": "a"}, {"s": "b"}]},
    {"inputs": ["a"]},
    {"inputs": {"s": ["a", "b"]}},
    {"inputs": "a"},
    {"instances": ["a", "b"]},
]

# Failures inside pandas, NumPy or onnxruntime that no rule of the protocol asks for.
ACCIDENTS = [
    "All arrays must be of the same length",
    "Unexpected input data type",
    "TensorSpec only supports numpy types",
    "Input must be a list of dictionaries or a single numpy array",
    "single positional indexer is out-of-bounds",
    "'<class 'list'>'",
    "len() of unsized object",
]


def main():
    small = "--small" in sys.argv
    folder = Path([argument for argument in sys.argv[1:] if not argument.startswith("--")][0])
    shutil.rmtree(folder, ignore_errors=True)
    total = 0
    for name, (model, signature, which) in models().items():
        if small and name not in ("zip_columns", "plain_tensor", "ridge_columns", "numbers_columns", "echo_tensors"):
            continue
        path = folder / name
        mlflow.onnx.save_model(model, str(path), signature=signature, pip_requirements=["onnx"])
        for extra in ["conda.yaml", "python_env.yaml", "requirements.txt"] if small else []:
            (path / extra).unlink()
        app = init(mlflow.pyfunc.load_model(str(path)))
        names = [name for name in KINDS if name != "city"] if name.startswith("numbers") else list(KINDS)
        requests = {
            "rows": ROWS,
            "tensor": TENSORS,
            "params": PARAMS,
            "kinds": list(kinds(names)),
            "text": TEXTS,
        }[which]
        answers = []
        for request in requests:
            body, content_type = request if isinstance(request, tuple) else (request, "application/json")
            text = body if isinstance(body, str) else json.dumps(body)
            status, answer = call(app, text.encode(), content_type)
            accident = status == 400 and any(words in answer for words in ACCIDENTS)
            try:
                error = json.loads(answer)
                error.pop("stack_trace", None)
                answer = json.dumps(error) if status != 200 else answer
            except ValueError:
                pass
            answers.append(
                {"content_type": content_type, "body": text, "status": status, "answer": answer, "accident": accident}
            )
        lines = ",\n".join(json.dumps(answer) for answer in answers)
        (path / "answers.json").write_text(f"[\n{lines}\n]\n")
        total += len(answers)
    print(f"{total} answers recorded in {folder}")


if __name__ == "__main__":
    main()
