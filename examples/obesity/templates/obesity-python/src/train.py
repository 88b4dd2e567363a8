"""Fit encoder and forest in one pipeline and save it as an MLflow model."""

import shutil
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TARGET = "NObeyesdad"
FOREST = ["n_estimators", "max_depth", "min_samples_leaf", "max_features", "class_weight"]


def build(columns, settings, seed):
    numbers = [name for name, dtype in columns.dtypes.items() if pd.api.types.is_numeric_dtype(dtype)]
    words = [name for name in columns.columns if name not in numbers]
    encoder = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (
                "words",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                words,
            ),
        ],
        verbose_feature_names_out=False,
    )
    return make_pipeline(encoder, RandomForestClassifier(**settings, random_state=seed, n_jobs=-1))


def importance_by_column(model, columns):
    """The importance of every raw column: that of its categories added up."""
    names = model[0].get_feature_names_out()
    sums = dict.fromkeys(columns, 0.0)
    for name, share in zip(names, model[-1].feature_importances_):
        source = name if name in sums else name.rsplit("_", 1)[0]
        while source not in sums:
            source = source.rsplit("_", 1)[0]
        sums[source] += share
    return pd.DataFrame(sorted(sums.items(), key=lambda item: -item[1]), columns=["feature", "importance"])


def main():
    params = yaml.safe_load(Path("params.yaml").read_text())
    train = pd.read_csv("features/train.csv", keep_default_na=False, na_values=[""])
    columns = train.drop(columns=TARGET)

    with mlflow.start_run(run_name="train"):
        settings = {name: params[name] for name in FOREST}
        mlflow.log_params({**settings, "seed": params["seed"]})
        model = build(columns, settings, params["seed"]).fit(columns, train[TARGET])
        mlflow.log_metric("training_accuracy", model.score(columns, train[TARGET]))

        importance = importance_by_column(model, columns.columns)
        Path("plots").mkdir(exist_ok=True)
        importance.to_csv("plots/importance.csv", index=False)
        mlflow.log_artifact("plots/importance.csv", "plots")

    shutil.rmtree("model", ignore_errors=True)
    mlflow.sklearn.save_model(
        model,
        "model",
        signature=mlflow.models.infer_signature(columns, model.predict(columns)),
        input_example=columns.head(2),
        serialization_format="cloudpickle",
    )
    print(f"{params['n_estimators']} trees")


if __name__ == "__main__":
    main()
