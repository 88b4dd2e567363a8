"""Writes ONNX models with inputs and the outputs that onnxruntime computes for them.

    python export_onnx_fixtures.py FOLDER           everything (some hundred cases)
    python export_onnx_fixtures.py --small FOLDER   the few that are kept in the repository

Needs scikit-learn, skl2onnx, onnx and onnxruntime. The Rust test `onnx_against_onnxruntime` reads the folder
that the variable MATRAZ_ONNX_FIXTURES names. Each case is NAME.onnx and NAME.json.
"""

import itertools
import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

warnings.filterwarnings("ignore")
TARGET = {"": 17, "ai.onnx.ml": 3}
ML = "ai.onnx.ml"
RANDOM = np.random.RandomState(7)
NAN = float("nan")


def plain(value):
    """A value as JSON that keeps every bit; NaN and infinities become words."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else str(float(value))
    return str(value)


def tensor_json(name, array):
    array = np.asarray(array)
    kind = "str" if array.dtype.kind in "OUS" else str(array.dtype)
    return {"name": name, "type": kind, "shape": list(array.shape), "data": [plain(x) for x in array.reshape(-1)]}


def output_json(name, value):
    if isinstance(value, list):
        keys = list(value[0]) if value else []
        rows = [[plain(np.float32(row[key])) for key in keys] for row in value]
        return {"name": name, "type": "maps", "keys": [plain(key) for key in keys], "rows": rows}
    return tensor_json(name, value)


class Writer:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.refused = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name, model, inputs, tolerance=1e-5):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            if not model.graph.output[0].HasField("type"):
                fill_output_types(model)
            data = model.SerializeToString()
            session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            results = session.run(None, inputs)
        except Exception as error:  # what onnxruntime cannot run is no reference
            self.refused.append(f"{name}: {str(error).splitlines()[0][:140]}")
            return
        case = {
            "tolerance": tolerance,
            "inputs": [tensor_json(key, value) for key, value in inputs.items()],
            "outputs": [output_json(port.name, value) for port, value in zip(session.get_outputs(), results)],
        }
        (self.folder / f"{name}.onnx").write_bytes(data)
        (self.folder / f"{name}.json").write_text(json.dumps(case, separators=(",", ":")) + "\n")
        self.count += 1


# ---------------------------------------------------------------------------------------------- pipelines


def pipelines(writer, small):
    from sklearn import (
        calibration,
        cluster,
        compose,
        decomposition,
        discriminant_analysis,
        ensemble,
        feature_selection,
        impute,
        linear_model,
        naive_bayes,
        neural_network,
        preprocessing,
        svm,
        tree,
    )
    from sklearn.datasets import make_classification, make_regression
    from sklearn.pipeline import make_pipeline
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    rows = 8 if small else 60
    X, y = make_classification(300, 6, n_informative=4, n_classes=3, random_state=0)
    X = X.astype(np.float32)
    _, target = make_regression(300, 6, random_state=0)
    holes = X.copy()
    holes[RANDOM.rand(*X.shape) < 0.15] = np.nan
    words = np.array(["low", "mid", "high"])[y]
    trees = 4 if small else 20

    def export(name, model, data, labels, tolerance=1e-5, initial=None, feed=None):
        model.fit(data, labels)
        maps = [False, True] if hasattr(model, "predict_proba") else [None]
        if small and maps[0] is False:
            maps = [True] if name in ("forest", "logistic", "table-logistic") else [False]
        for zipmap in maps:
            options = None if zipmap is None else {"zipmap": zipmap}
            exported = to_onnx(
                model,
                None if initial else data[:1],
                initial_types=initial,
                target_opset=TARGET,
                options=options,
            )
            suffix = {None: "", False: "-plain", True: "-zipmap"}[zipmap]
            writer.add(f"{name}{suffix}", exported, feed or {"X": data[:rows]}, tolerance)

    logistic = lambda: linear_model.LogisticRegression(max_iter=500)
    table = {
        "forest": (ensemble.RandomForestClassifier(trees, max_depth=5, random_state=0), X, y),
        "forest-words": (ensemble.RandomForestClassifier(trees, max_depth=4, random_state=0), X, words),
        "forest-regressor": (ensemble.RandomForestRegressor(trees, max_depth=5, random_state=0), X, target),
        "boosting": (ensemble.GradientBoostingClassifier(n_estimators=5, max_depth=2), X, y),
        "boosting-binary": (ensemble.GradientBoostingClassifier(n_estimators=5, max_depth=2), X, (y > 0).astype(int)),
        "logistic": (logistic(), X, y),
        "logistic-binary-words": (logistic(), X, np.where(y > 0, "yes", "no")),
        "scaled-logistic": (make_pipeline(preprocessing.StandardScaler(), logistic()), X, words),
        "ridge": (linear_model.Ridge(), X, target),
        "linear-svc": (svm.LinearSVC(), X, y),
        "imputed-minmax-forest": (
            make_pipeline(
                impute.SimpleImputer(strategy="median"),
                preprocessing.MinMaxScaler(),
                ensemble.RandomForestClassifier(trees, max_depth=4, random_state=0),
            ),
            holes,
            y,
        ),
        "mlp": (neural_network.MLPClassifier((8,), max_iter=40, random_state=0), X, y),
    }
    if not small:
        table |= {
            "forest-deep": (ensemble.RandomForestClassifier(40, random_state=0), X, y),
            "forest-binary": (ensemble.RandomForestClassifier(trees, random_state=0), X, y > 0),
            "extra-trees": (ensemble.ExtraTreesClassifier(trees, random_state=0), X, y),
            "forest-regressor-two": (
                ensemble.RandomForestRegressor(trees, max_depth=5, random_state=0),
                X,
                np.stack([target, -target], 1),
            ),
            "boosting-regressor": (ensemble.GradientBoostingRegressor(n_estimators=10), X, target),
            "adaboost": (ensemble.AdaBoostClassifier(n_estimators=4), X, y),
            "adaboost-regressor": (ensemble.AdaBoostRegressor(n_estimators=4, random_state=0), X, target),
            "bagging": (ensemble.BaggingClassifier(n_estimators=4, random_state=0), X, y),
            "stacking": (
                ensemble.StackingClassifier([("a", logistic()), ("b", tree.DecisionTreeClassifier(max_depth=3))]),
                X,
                y,
            ),
            "isolation-forest": (ensemble.IsolationForest(n_estimators=10, random_state=0), X, None),
            "decision-tree": (tree.DecisionTreeClassifier(max_depth=6), X, words),
            "logistic-multinomial-words": (logistic(), X, words),
            "ridge-classifier": (linear_model.RidgeClassifier(), X, y),
            "ridge-classifier-binary": (linear_model.RidgeClassifier(), X, y > 1),
            "sgd": (linear_model.SGDClassifier(random_state=0), X, y),
            "sgd-log-loss": (linear_model.SGDClassifier(loss="log_loss", random_state=0), X, words),
            "perceptron": (linear_model.Perceptron(), X, y),
            "poisson": (linear_model.PoissonRegressor(), X, np.abs(target)),
            "bayesian-ridge": (linear_model.BayesianRidge(), X, target),
            "linear-svc-binary": (svm.LinearSVC(), X, y > 0),
            "svc-rbf": (svm.SVC(), X, y),
            "svc-words-probability": (svm.SVC(probability=True, random_state=0), X, words),
            "svc-poly-binary": (svm.SVC(kernel="poly", probability=True, random_state=0), X, y > 0),
            "svc-sigmoid": (svm.SVC(kernel="sigmoid"), X, y > 0),
            "svc-linear": (svm.SVC(kernel="linear"), X, y),
            "nu-svc": (svm.NuSVC(), X, y),
            "svr": (svm.SVR(), X, target),
            "one-class-svm": (svm.OneClassSVM(), X, None),
            "mlp-binary-words": (neural_network.MLPClassifier((8,), max_iter=40), X, np.where(y > 0, "yes", "no")),
            "mlp-regressor": (neural_network.MLPRegressor(hidden_layer_sizes=(8, 4), max_iter=60), X, target),
            "gaussian-nb": (naive_bayes.GaussianNB(), X, y),
            "bernoulli-nb": (naive_bayes.BernoulliNB(), X, words),
            "lda": (discriminant_analysis.LinearDiscriminantAnalysis(), X, y),
            "calibrated": (calibration.CalibratedClassifierCV(logistic()), X, y),
            "kmeans": (cluster.KMeans(3, n_init=1, random_state=0), X, None),
        }
        steps = {
            "minmax": preprocessing.MinMaxScaler(),
            "minmax-clip": preprocessing.MinMaxScaler(clip=True),
            "robust": preprocessing.RobustScaler(),
            "maxabs": preprocessing.MaxAbsScaler(),
            "normalizer-l2": preprocessing.Normalizer(),
            "normalizer-l1": preprocessing.Normalizer("l1"),
            "normalizer-max": preprocessing.Normalizer("max"),
            "polynomial": preprocessing.PolynomialFeatures(2),
            "bins": preprocessing.KBinsDiscretizer(3, encode="ordinal"),
            "binarizer": preprocessing.Binarizer(),
            "power": preprocessing.PowerTransformer(),
            "quantile": preprocessing.QuantileTransformer(n_quantiles=10),
            "pca": decomposition.PCA(2),
            "svd": decomposition.TruncatedSVD(2),
            "select": feature_selection.SelectKBest(k=3),
            "variance": feature_selection.VarianceThreshold(),
        }
        for name, step in steps.items():
            table[f"step-{name}"] = (make_pipeline(step, logistic()), X, y)
        table["imputed-mean"] = (make_pipeline(impute.SimpleImputer(), logistic()), holes, y)
        table["double-forest"] = (ensemble.RandomForestClassifier(trees, random_state=0), X.astype(np.float64), y)
        table["double-scaled-ridge"] = (
            make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge()),
            X.astype(np.float64),
            target,
        )
    for name, (model, data, labels) in table.items():
        # Probabilities of a support vector machine come from an iteration that stops at 0.005.
        tolerance = 2e-3 if name.startswith("svc") else 1e-4 if "mlp" in name or "kmeans" in name else 2e-5
        try:
            export(name, model, data, labels, tolerance)
        except Exception as error:
            writer.refused.append(f"{name}: {str(error).splitlines()[0][:140]}")

    # Columns of several types, as real tables have them.
    import pandas

    frame = pandas.DataFrame(
        {
            "age": holes[:, 0],
            "weight": X[:, 1],
            "city": np.array(["Lima", "Quito", "Köln"])[RANDOM.randint(0, 3, 300)],
            "level": np.array(["low", "mid", "high"])[RANDOM.randint(0, 3, 300)],
            "rooms": RANDOM.randint(0, 5, 300).astype(np.int64),
        }
    )
    initial = [
        ("age", FloatTensorType([None, 1])),
        ("weight", FloatTensorType([None, 1])),
        ("city", StringTensorType([None, 1])),
        ("level", StringTensorType([None, 1])),
        ("rooms", Int64TensorType([None, 1])),
    ]
    dtypes = {"age": np.float32, "weight": np.float32, "city": object, "level": object, "rooms": np.int64}
    part = frame.iloc[:rows]
    feed = {name: part[[name]].to_numpy().astype(dtypes[name]) for name in frame}
    feed["city"] = feed["city"].copy()
    feed["city"][1, 0] = "Oslo"
    encoder = preprocessing.OrdinalEncoder(
        categories=[["low", "mid", "high"]], handle_unknown="use_encoded_value", unknown_value=-1
    )
    numbers = make_pipeline(impute.SimpleImputer(strategy="median"), preprocessing.StandardScaler())
    columns = compose.ColumnTransformer(
        [
            ("numbers", numbers, ["age", "weight"]),
            ("city", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("level", encoder, ["level"]),
            ("rooms", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["rooms"]),
        ]
    )
    ends = {
        "table-logistic": (logistic(), words),
        "table-forest": (ensemble.RandomForestClassifier(trees, max_depth=4, random_state=0), words),
        "table-ridge": (linear_model.Ridge(), target),
    }
    for name, (end, labels) in ends.items():
        if small and name == "table-ridge":
            continue
        export(name, make_pipeline(columns, end), frame, labels, 2e-5, initial, feed)


# -------------------------------------------------------------------------------------- single operators

TYPES = {
    np.dtype("float32"): TensorProto.FLOAT,
    np.dtype("float64"): TensorProto.DOUBLE,
    np.dtype("int64"): TensorProto.INT64,
    np.dtype("int32"): TensorProto.INT32,
    np.dtype("bool"): TensorProto.BOOL,
    np.dtype("object"): TensorProto.STRING,
}


def one(operator, inputs, outputs=1, domain="", opset=17, ml=3, constants=None, **attributes):
    """A model of one node. `constants` are inputs that become initializers."""
    constants = constants or {}
    names = list(inputs) + list(constants)
    node = helper.make_node(operator, names, [f"out{i}" for i in range(outputs)], domain=domain)
    for key, value in attributes.items():
        node.attribute.append(
            value if isinstance(value, onnx.AttributeProto) else helper.make_attribute(key, value)
        )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(k, TYPES[np.asarray(v).dtype], [None] * np.ndim(v)) for k, v in inputs.items()],
        [onnx.ValueInfoProto(name=f"out{i}") for i in range(outputs)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    sets = [helper.make_opsetid("", opset), helper.make_opsetid(ML, ml)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=8)
    return model


def fill_output_types(model):
    """Declares the outputs with the types that onnxruntime works out."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    numbers = {"float": 1, "double": 11, "int64": 7, "int32": 6, "bool": 9, "string": 8}
    for value, port in zip(model.graph.output, session.get_outputs()):
        if port.type.startswith("seq"):
            key = TensorProto.STRING if "string" in port.type else TensorProto.INT64
            inner = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
            value.type.CopyFrom(helper.make_sequence_type_proto(inner))
        else:
            value.type.CopyFrom(helper.make_tensor_type_proto(numbers[port.type[7:-1]], None))


def floats(*shape):
    return RANDOM.randn(*shape).astype(np.float32)


def grow(depth, tree, features, modes, ids, first_node=0):
    """Node lists of one complete tree with random splits."""
    nodes = []
    total = 2 ** (depth + 1) - 1
    for node in range(total):
        leaf = node >= 2**depth - 1
        nodes.append(
            {
                "tree": tree,
                "node": node,
                "feature": 0 if leaf else int(RANDOM.randint(features)),
                "value": 0.0 if leaf else float(np.float32(RANDOM.choice([-1.0, -0.5, 0.0, 0.5, 1.0]))),
                "mode": "LEAF" if leaf else str(RANDOM.choice(modes)),
                "true": 0 if leaf else 2 * node + 1,
                "false": 0 if leaf else 2 * node + 2,
                "missing": int(RANDOM.rand() < 0.5),
            }
        )
    return nodes


def tree_attributes(count, depth, features, modes, missing):
    nodes = [n for tree in range(count) for n in grow(depth, tree, features, modes, None)]
    lists = {
        "nodes_treeids": [n["tree"] for n in nodes],
        "nodes_nodeids": [n["node"] for n in nodes],
        "nodes_featureids": [n["feature"] for n in nodes],
        "nodes_values": [n["value"] for n in nodes],
        "nodes_modes": [n["mode"] for n in nodes],
        "nodes_truenodeids": [n["true"] for n in nodes],
        "nodes_falsenodeids": [n["false"] for n in nodes],
    }
    if missing:
        lists["nodes_missing_value_tracks_true"] = [n["missing"] for n in nodes]
    leaves = [(n["tree"], n["node"]) for n in nodes if n["mode"] == "LEAF"]
    return lists, leaves


def coarse(rows, features, holes):
    """Inputs that often hit a threshold exactly, and NaN."""
    X = RANDOM.choice([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5], (rows, features)).astype(np.float32)
    if holes:
        X[RANDOM.rand(rows, features) < 0.2] = np.nan
        X[0, 0] = np.inf
        X[1, 0] = -np.inf
    return X


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def tree_operators(writer, small):
    rows = 10
    kinds = [[mode] for mode in MODES] + [MODES[:4], MODES]
    for number, modes in enumerate(kinds):
        for missing in [False, True]:
            if small and not (missing and len(modes) != 1) and number != 0:
                continue
            lists, leaves = tree_attributes(3, 3, 4, modes, missing)
            name = f"trees-{'-'.join(m.removeprefix('BRANCH_').lower() for m in modes)}{'-missing' if missing else ''}"
            weights = RANDOM.randn(len(leaves)).astype(np.float32)
            for kind in [np.float32] if small else [np.float32, np.float64]:
                X = coarse(rows, 4, True).astype(kind)
                model = one(
                    "TreeEnsembleRegressor",
                    {"X": X},
                    domain=ML,
                    n_targets=1,
                    target_treeids=[t for t, _ in leaves],
                    target_nodeids=[n for _, n in leaves],
                    target_ids=[0] * len(leaves),
                    target_weights=weights.tolist(),
                    **lists,
                )
                writer.add(f"{name}-{np.dtype(kind).name}", model, {"X": X})
    posts = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]
    if not small:
        for aggregate, targets, base, post, dense in itertools.product(
            ["SUM", "AVERAGE", "MIN", "MAX"], [1, 3], [0, 1, 2], posts, [True, False]
        ):
            if targets == 3 and base == 1 or targets == 1 and not dense:
                continue
            lists, leaves = tree_attributes(4, 2, 3, ["BRANCH_LEQ"], False)
            entries = [(t, n, k) for t, n in leaves for k in range(targets) if dense or RANDOM.rand() < 0.5]
            extra = {} if base == 0 else {"base_values": floats(1 if base == 1 else targets).tolist()}
            weights = RANDOM.rand(len(entries)).astype(np.float32) / 5 if post == "PROBIT" else floats(len(entries))
            X = coarse(rows, 3, False)
            model = one(
                "TreeEnsembleRegressor",
                {"X": X},
                domain=ML,
                n_targets=targets,
                aggregate_function=aggregate,
                post_transform=post,
                target_treeids=[e[0] for e in entries],
                target_nodeids=[e[1] for e in entries],
                target_ids=[e[2] for e in entries],
                target_weights=weights.tolist(),
                **lists,
                **extra,
            )
            writer.add(
                f"regress-{aggregate}-{targets}-base{base}-{post}-{'dense' if dense else 'sparse'}".lower(),
                model,
                {"X": X},
                1e-3 if post == "PROBIT" else 1e-5,
            )
    # Classifiers: every way to say two classes, and three.
    sides = {"dense": None, "sparse": "sparse", "first": 0, "second": 1}
    for classes, side, sign, base, post, words in itertools.product(
        [2, 3], sides, ["positive", "mixed"], [0, 1, 2], posts, [False, True]
    ):
        if classes == 3 and (side in ("first", "second") or base == 1):
            continue
        if words and (post != "NONE" or base):
            continue
        one_score = classes == 2 and side in ("first", "sparse") and base < 2
        if one_score and (post == "PROBIT" or (side == "sparse" and base == 1)):
            continue  # onnxruntime leaves the second score unset
        if small and not (side in ("dense", "first") and base == 0 and post in ("NONE", "LOGISTIC")):
            continue
        lists, leaves = tree_attributes(3, 2, 3, ["BRANCH_LEQ"], False)
        entries = []
        for tree, node in leaves:
            for k in range(classes):
                if side == "dense" or (side == "sparse" and RANDOM.rand() < 0.4) or sides[side] == k:
                    entries.append((tree, node, k))
        weights = floats(len(entries))
        if sign == "positive":
            weights = np.abs(weights) / 4
        extra = {"base_values": floats(1 if base == 1 else classes).tolist()} if base else {}
        if words:
            extra["classlabels_strings"] = [f"c{k}" for k in range(classes)]
        else:
            extra["classlabels_int64s"] = [10 * k + 3 for k in range(classes)]
        X = coarse(rows, 3, False)
        model = one(
            "TreeEnsembleClassifier",
            {"X": X},
            2,
            domain=ML,
            post_transform=post,
            class_treeids=[e[0] for e in entries],
            class_nodeids=[e[1] for e in entries],
            class_ids=[e[2] for e in entries],
            class_weights=weights.tolist(),
            **lists,
            **extra,
        )
        name = f"classify-{classes}-{side}-{sign}-base{base}-{post}{'-words' if words else ''}".lower()
        writer.add(name, model, {"X": X}, 1e-3 if post == "PROBIT" else 1e-5)
    # TreeEnsemble of version 5: two trees over one node list.
    X = coarse(rows, 2, True)
    for kind in [np.float32] if small else [np.float32, np.float64]:
        tensors = {
            "nodes_splits": np.array([0.5, -0.5, 1.0, 0.0], kind),
            "nodes_modes": np.array([0, 1, 2, 4], np.uint8),
            "leaf_weights": np.array([1.5, -2.0, 3.25, 0.5, -1.0, 4.0], kind),
        }
        typed = X.astype(kind)
        model = one(
            "TreeEnsemble",
            {"X": typed},
            domain=ML,
            opset=20,
            ml=5,
            n_targets=2,
            aggregate_function=1,
            post_transform=0,
            tree_roots=[0, 2],
            nodes_featureids=[0, 1, 1, 0],
            nodes_truenodeids=[1, 0, 3, 4],
            nodes_trueleafs=[0, 1, 0, 1],
            nodes_falsenodeids=[2, 1, 3, 5],
            nodes_falseleafs=[1, 1, 1, 1],
            nodes_missing_value_tracks_true=[1, 0, 0, 0],
            leaf_targetids=[0, 1, 0, 1, 0, 1],
            **{k: numpy_helper.from_array(v, k) for k, v in tensors.items()},
        )
        writer.add(f"tree-ensemble-5-{np.dtype(kind).name}", model, {"X": typed})


def ml_operators(writer, small):
    X = floats(6, 3)
    holes = X.copy()
    holes[1, 1] = holes[4, 0] = np.nan
    whole = RANDOM.randint(-3, 4, (6, 3)).astype(np.int64)
    words = np.array([["a", "b"], ["c", "a"], ["", "é"]], dtype=object)

    def add(name, inputs, outputs=1, ml=3, op=None, **attributes):
        tolerance = 1e-3 if attributes.get("post_transform") == "PROBIT" else 1e-5
        writer.add(name, one(op, inputs, outputs, domain=ML, ml=ml, **attributes), inputs, tolerance)

    kinds = {"f32": X, "f64": X.astype(np.float64), "i64": whole, "i32": whole.astype(np.int32)}
    for kind, data in kinds.items():
        if small and kind in ("f64", "i32"):
            continue
        add(f"scaler-{kind}", {"X": data}, op="Scaler", offset=[0.5, -1.0, 2.0], scale=[2.0, 0.1, 1.0])
        for norm in ["MAX", "L1", "L2"]:
            add(f"normalizer-{norm.lower()}-{kind}", {"X": data}, op="Normalizer", norm=norm)
        add(f"binarizer-{kind}", {"X": data}, op="Binarizer", threshold=0.25)
        for post in ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]:
            add(
                f"linear-classifier-{post.lower()}-{kind}",
                {"X": data},
                2,
                op="LinearClassifier",
                post_transform=post,
                coefficients=(np.arange(9) / 10).tolist(),
                intercepts=[0.1, -0.2, 0.3],
                classlabels_ints=[5, 6, 7],
            )
            if post == "PROBIT":  # onnxruntime leaves the second score unset
                continue
            add(
                f"linear-classifier-one-score-{post.lower()}-{kind}",
                {"X": data},
                2,
                op="LinearClassifier",
                post_transform=post,
                coefficients=[0.1, 0.2, 0.3],
                intercepts=[0.4],
                classlabels_strings=["no", "yes"],
            )
    add("scaler-one", {"X": X}, op="Scaler", offset=[0.5], scale=[2.0])
    add("normalizer-zeros", {"X": np.zeros((2, 3), np.float32)}, op="Normalizer", norm="L2")
    for post in ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]:
        coefficients = [0.1, 0.2, 0.3, -0.1, -0.2, 0.5]
        add(
            f"linear-regressor-{post.lower()}",
            {"X": X},
            op="LinearRegressor",
            targets=2,
            coefficients=coefficients,
            intercepts=[0.3, 0.4],
            post_transform=post,
        )
        add(
            f"linear-regressor-one-{post.lower()}",
            {"X": np.abs(X) / 9},
            op="LinearRegressor",
            coefficients=coefficients[:3],
            intercepts=[0.3],
            post_transform=post,
        )
    add("imputer-nan", {"X": holes}, op="Imputer", imputed_value_floats=[9.0, 8.0, 7.0], replaced_value_float=NAN)
    add("imputer-one", {"X": holes}, op="Imputer", imputed_value_floats=[9.0], replaced_value_float=NAN)
    add("imputer-int", {"X": whole}, op="Imputer", imputed_value_int64s=[90, 80, 70], replaced_value_int64=1)
    add("one-hot-words", {"X": words}, op="OneHotEncoder", cats_strings=["a", "b", "é"], zeros=1)
    add("one-hot-int", {"X": whole}, op="OneHotEncoder", cats_int64s=[-1, 0, 2], zeros=1)
    add("one-hot-float", {"X": X * 2}, op="OneHotEncoder", cats_int64s=[-1, 0, 2], zeros=1)
    add("one-hot-vector", {"X": words[:, 0]}, op="OneHotEncoder", cats_strings=["a", "b"], zeros=1)
    add("extractor", {"X": X, "Y": np.array([2, 0, 2], np.int64)}, op="ArrayFeatureExtractor")
    add("extractor-vector", {"X": X[0], "Y": np.array([2, 0], np.int64)}, op="ArrayFeatureExtractor")
    add("extractor-words", {"X": words, "Y": np.array([1], np.int64)}, op="ArrayFeatureExtractor")
    add("vectorizer", {"A": X, "B": X[:, :2]}, op="FeatureVectorizer", inputdimensions=[3, 2])
    add("category-mapper", {"X": words}, op="CategoryMapper", cats_strings=["a", "b"], cats_int64s=[4, 5])
    back = np.array([[4, 9]], np.int64)
    add("category-mapper-back", {"X": back}, op="CategoryMapper", cats_strings=["a", "b"], cats_int64s=[4, 5])
    add("label-encoder-1", {"X": words}, op="LabelEncoder", ml=1, classes_strings=["b", "a"], default_int64=-7)
    add("label-encoder-1-back", {"X": back % 5}, op="LabelEncoder", ml=1, classes_strings=["b", "a"])
    samples = {
        "strings": (words, ["a", "c", "é"]),
        "int64s": (whole, [-1, 0, 2]),
        "floats": (holes.round(), [0.0, 1.0, NAN]),
    }
    values = {"strings": ["x", "y", "z"], "int64s": [7, 8, 9], "floats": [0.5, 1.5, NAN]}
    for ml, (key, (data, keys)), (value, results) in itertools.product([2, 4], samples.items(), values.items()):
        if small and ml == 2 and key != "floats":
            continue
        add(
            f"label-encoder-{ml}-{key}-{value}",
            {"X": data},
            op="LabelEncoder",
            ml=ml,
            **{f"keys_{key}": keys, f"values_{value}": results},
        )
    add(
        "label-encoder-tensors",
        {"X": holes.astype(np.float64)},
        op="LabelEncoder",
        ml=4,
        keys_tensor=numpy_helper.from_array(np.array([NAN, holes[0, 0]], np.float64), "keys_tensor"),
        values_tensor=numpy_helper.from_array(np.array([1.5, 2.5], np.float64), "values_tensor"),
        default_tensor=numpy_helper.from_array(np.array([-9.0], np.float64), "default_tensor"),
    )
    add("zipmap-words", {"X": X}, op="ZipMap", classlabels_strings=["a", "b", "c"])
    add("zipmap-ints", {"X": X}, op="ZipMap", classlabels_int64s=[3, 1, 2])
    if small:
        return
    vectors = floats(5, 3).reshape(-1).tolist()
    for kernel in ["LINEAR", "POLY", "RBF", "SIGMOID"]:
        add(
            f"svm-regressor-{kernel.lower()}",
            {"X": X},
            op="SVMRegressor",
            kernel_type=kernel,
            kernel_params=[0.3, 0.5, 3.0],
            n_supports=5,
            support_vectors=vectors,
            coefficients=floats(5).tolist(),
            rho=[0.7],
        )
        for proba, classes, post in itertools.product(
            [False, True], [2, 3], ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]
        ):
            if post == "PROBIT" and classes == 2 and not proba:  # the second score is unset
                continue
            pairs = classes * (classes - 1) // 2
            extra = {"prob_a": floats(pairs).tolist(), "prob_b": floats(pairs).tolist()} if proba else {}
            add(
                f"svm-classifier-{kernel}-{classes}-{post}-{'proba' if proba else 'votes'}".lower(),
                {"X": X},
                2,
                op="SVMClassifier",
                kernel_type=kernel,
                kernel_params=[0.3, 0.5, 2.0],
                vectors_per_class=[3, 2] if classes == 2 else [2, 2, 1],
                support_vectors=vectors,
                coefficients=floats(5 * (classes - 1)).tolist(),
                rho=floats(pairs).tolist(),
                classlabels_ints=list(range(classes)),
                post_transform=post,
                **extra,
            )
    for sign in ["mixed", "positive"]:
        weights = floats(6) if sign == "mixed" else np.abs(floats(6))
        add(
            f"svm-classifier-liblinear-{sign}",
            {"X": X},
            2,
            op="SVMClassifier",
            kernel_params=[0.0, 0.0, 0.0],
            coefficients=weights.tolist(),
            rho=[0.2],
            classlabels_ints=[4, 5],
        )


def plain_operators(writer, small):
    a, b = floats(2, 1, 3), floats(4, 1)
    whole = RANDOM.randint(-5, 6, (2, 3)).astype(np.int64)
    i64 = lambda *n: np.array(n, np.int64)
    truth = RANDOM.rand(2, 3) < 0.5
    holes = floats(3, 4)
    holes[0, 1] = holes[2, 2] = np.nan

    def add(name, inputs, op=None, outputs=1, opset=17, constants=None, **attributes):
        model = one(op or name, inputs, outputs, opset=opset, constants=constants, **attributes)
        writer.add("op-" + name.lower(), model, inputs, 1e-5)

    for op in ["Add", "Sub", "Mul", "Div"]:
        add(op, {"a": a, "b": b})
        add(f"{op}-f64", {"a": a.astype(np.float64), "b": b.astype(np.float64)}, op=op)
        add(f"{op}-i64", {"a": whole, "b": i64(2, -3, 4)}, op=op)
        add(f"{op}-i32", {"a": whole.astype(np.int32), "b": np.array([[2], [-3]], np.int32)}, op=op)
    add("Pow", {"a": np.abs(a), "b": b})
    add("Pow-square", {"a": a, "b": np.array(2, np.float32)}, op="Pow")
    add("Pow-mixed", {"a": whole, "b": np.array([2.0, 0.0, 3.0], np.float32)}, op="Pow")
    for op in ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]:
        add(op, {"a": holes, "b": holes[::-1].copy()})
        add(f"{op}-i64", {"a": whole, "b": whole[:1]}, op=op)
    add("Equal-words", {"a": np.array(["x", "y"], object), "b": np.array(["x"], object)}, op="Equal", opset=19)
    add("Equal-bool", {"a": truth, "b": ~truth[:1]}, op="Equal")
    for op in ["And", "Or", "Xor"]:
        add(op, {"a": truth, "b": ~truth[:1]})
    add("Not", {"a": truth})
    for op in ["Abs", "Ceil", "Exp", "Floor", "Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Tanh", "IsNaN"]:
        add(op, {"a": holes})
        add(f"{op}-f64", {"a": (holes * 3).astype(np.float64)}, op=op)
    add("Round-half", {"a": np.array([0.5, 1.5, 2.5, -0.5], np.float32)}, op="Round")
    for op in ["Sqrt", "Log"]:
        add(op, {"a": np.abs(holes)})
    for op in ["Abs", "Neg", "Sign"]:
        add(f"{op}-i64", {"a": whole}, op=op)
    for op in ["Max", "Min", "Sum", "Mean"]:
        add(op, {"a": holes, "b": floats(4), "c": floats(3, 1)})
    for op in ["Max", "Min"]:
        add(f"{op}-i64", {"a": whole, "b": i64(0, 1, 2)}, op=op)
    add("Where", {"c": truth, "a": floats(2, 1), "b": floats(3)})
    words = np.array([["a", "b", "c"]], object)
    add("Where-words", {"c": truth, "a": words, "b": np.array([["z"]], object)}, op="Where")
    add("Clip", {"a": holes}, constants={"lo": np.float32(-0.3), "hi": np.float32(0.4)})
    add("Clip-old", {"a": holes}, op="Clip", opset=10, min=-0.3)
    add("Clip-i64", {"a": whole}, op="Clip", constants={"lo": np.int64(-1)})
    add("MatMul", {"a": floats(3, 4), "b": floats(4, 2)})
    add("MatMul-batch", {"a": floats(2, 1, 3, 4), "b": floats(5, 4, 2)}, op="MatMul")
    add("MatMul-vectors", {"a": floats(4), "b": floats(4)}, op="MatMul")
    add("MatMul-left", {"a": floats(4), "b": floats(2, 4, 3)}, op="MatMul")
    add("MatMul-right", {"a": floats(2, 3, 4), "b": floats(4)}, op="MatMul")
    add("MatMul-f64", {"a": floats(3, 4).astype(np.float64), "b": floats(4, 2).astype(np.float64)}, op="MatMul")
    add("Gemm", {"a": floats(4, 3), "b": floats(2, 4), "c": floats(2)}, alpha=0.5, beta=2.0, transA=1, transB=1)
    add("Gemm-column", {"a": floats(3, 4), "b": floats(4, 2), "c": floats(3, 1)}, op="Gemm")
    add("Concat", {"a": floats(2, 3), "b": floats(2, 1)}, axis=-1)
    add("Concat-words", {"a": words, "b": words}, op="Concat", axis=0)
    add("Reshape", {"a": floats(2, 3, 4)}, constants={"shape": i64(0, -1, 2)})
    add("Flatten", {"a": floats(2, 3, 4)}, axis=2)
    add("Flatten-0", {"a": floats(2, 3, 4)}, op="Flatten", axis=0)
    add("Squeeze", {"a": floats(1, 3, 1)}, constants={"axes": i64(-1)})
    add("Squeeze-all", {"a": floats(1, 3, 1)}, op="Squeeze")
    add("Squeeze-old", {"a": floats(1, 3, 1)}, op="Squeeze", opset=11, axes=[0])
    add("Unsqueeze", {"a": floats(3, 2)}, constants={"axes": i64(0, -1)})
    add("Unsqueeze-old", {"a": floats(3, 2)}, op="Unsqueeze", opset=11, axes=[1])
    add("Transpose", {"a": floats(2, 3, 4)}, perm=[2, 0, 1])
    add("Transpose-all", {"a": floats(2, 3, 4)}, op="Transpose")
    slices = {
        "plain": (i64(1), i64(3), i64(1), i64(1)),
        "back": (i64(-1, 0), i64(-100, 100), i64(1, 0), i64(-2, 1)),
        "far": (i64(0), i64(2**62), i64(-1), i64(3)),
        "none": (i64(3), i64(1), i64(1), i64(1)),
    }
    for name, (start, end, axes, steps) in slices.items():
        constants = {"starts": start, "ends": end, "axes": axes, "steps": steps}
        add(f"Slice-{name}", {"a": floats(3, 5)}, op="Slice", constants=constants)
    add("Slice-old", {"a": floats(3, 5)}, op="Slice", opset=9, starts=[0, -2], ends=[2, 5])
    add("Gather", {"a": floats(3, 4), "i": i64(-1, 0)}, axis=1)
    add("Gather-matrix", {"a": floats(2, 3), "i": np.array([[1], [0]], np.int64)}, op="Gather")
    add("GatherElements", {"a": floats(3, 4), "i": np.array([[0, -1], [2, 1]], np.int64)}, axis=0)
    add("Expand", {"a": floats(3, 1)}, constants={"shape": i64(2, 1, 4)})
    add("Tile", {"a": whole}, constants={"repeats": i64(2, 3)})
    add("Shape", {"a": floats(3, 1, 2)})
    add("Shape-part", {"a": floats(3, 1, 2)}, op="Shape", start=-2, end=3)
    value = numpy_helper.from_array(np.array([7], np.int64), "value")
    add("ConstantOfShape", {"s": i64(2, 3)}, value=value)
    add("ConstantOfShape-default", {"s": i64(2)}, op="ConstantOfShape")
    add("Identity", {"a": words})
    reductions = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
    for name in reductions:
        op = "Reduce" + name
        data = np.abs(floats(2, 3, 4)) + np.float32(0.1)
        if name == "Sum":
            add(op, {"a": data}, keepdims=0, constants={"axes": i64(0, 2)})
            add("ReduceSum-none", {"a": data}, op=op, keepdims=0, noop_with_empty_axes=1)
        else:
            add(op, {"a": data}, keepdims=0, axes=[0, 2])
            add(f"{op}-18", {"a": data}, op=op, opset=18, constants={"axes": i64(-1)})
        add(f"{op}-all", {"a": data}, op=op)
    for name in ["Max", "Min", "Sum", "Mean", "Prod"]:
        add(f"Reduce{name}-i64", {"a": whole}, op=f"Reduce{name}", keepdims=1)
    ties = np.array([[1, 3, 3], [2, 2, 0]], np.float32)
    for op in ["ArgMax", "ArgMin"]:
        add(op, {"a": ties}, axis=1)
        add(f"{op}-last", {"a": ties}, op=op, axis=-1, keepdims=0, select_last_index=1)
        add(f"{op}-i64", {"a": whole}, op=op, axis=0)
    add("TopK", {"a": floats(3, 5)}, outputs=2, constants={"k": i64(2)})
    add("TopK-least", {"a": whole}, op="TopK", outputs=2, constants={"k": i64(2)}, largest=0, axis=0)
    add("CumSum", {"a": floats(3, 4)}, constants={"axis": np.int64(1)})
    add("CumSum-back", {"a": whole}, op="CumSum", constants={"axis": np.int64(-1)}, exclusive=1, reverse=1)
    add("Softmax", {"a": floats(2, 3, 4)}, axis=1)
    add("Softmax-old", {"a": floats(2, 3, 4)}, op="Softmax", opset=11, axis=1)
    add("LogSoftmax", {"a": floats(2, 3)})
    kinds = {
        "f32": np.array([1.7, -1.7, 0.0, 3e9, NAN], np.float32),
        "f64": np.array([1.7, -1.7, 0.0, 3e9, 1e-7], np.float64),
        "i64": i64(0, -3, 2**40),
        "i32": np.array([0, -3, 7], np.int32),
        "bool": np.array([True, False]),
        "words": np.array(["1.5", "-2", "1e3", "NaN"], object),
        "digits": np.array(["15", "-2"], object),
    }
    for name, data in kinds.items():
        for kind, number in TYPES.items():
            if name == "words" and kind.kind in "ib":
                continue
            add(f"Cast-{name}-{kind.name}", {"a": data}, op="Cast", to=number)


def main():
    small = "--small" in sys.argv
    folder = Path([argument for argument in sys.argv[1:] if not argument.startswith("--")][0])
    writer = Writer(folder)
    pipelines(writer, small)
    tree_operators(writer, small)
    ml_operators(writer, small)
    if not small:
        plain_operators(writer, small)
    print(f"{writer.count} cases written to {folder}")
    for line in writer.refused:
        print("left out", line)


if __name__ == "__main__":
    main()
