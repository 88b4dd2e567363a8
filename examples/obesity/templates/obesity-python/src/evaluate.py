"""Ask the saved model about the test rows and judge its answers."""

import json
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

TARGET = "NObeyesdad"


def main():
    test = pd.read_csv("features/test.csv", keep_default_na=False, na_values=[""])
    model = mlflow.sklearn.load_model("model")
    actual = test[TARGET]
    columns = test.drop(columns=TARGET)
    predicted = model.predict(columns)

    classes = list(model.classes_)
    precision = precision_score(actual, predicted, labels=classes, average=None, zero_division=0)
    recall = recall_score(actual, predicted, labels=classes, average=None, zero_division=0)
    metrics = {
        "accuracy": accuracy_score(actual, predicted),
        "f1_macro": f1_score(actual, predicted, average="macro"),
        "precision": dict(zip(classes, map(float, precision))),
        "recall": dict(zip(classes, map(float, recall))),
    }
    Path("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")

    confusion = pd.DataFrame({"actual": actual, "predicted": predicted})
    Path("plots").mkdir(exist_ok=True)
    confusion.to_csv("plots/confusion.csv", index=False)
    probabilities = pd.DataFrame(model.predict_proba(columns), columns=classes).round(6)
    pd.concat([confusion, probabilities], axis=1).to_csv("predictions.csv", index=False)

    with mlflow.start_run(run_name="evaluate"):
        mlflow.log_metrics({"accuracy": metrics["accuracy"], "f1_macro": metrics["f1_macro"]})
        for kind in ("precision", "recall"):
            mlflow.log_metrics({f"{kind}.{name}": value for name, value in metrics[kind].items()})
        mlflow.log_artifact("plots/confusion.csv", "plots")
    print(f"accuracy {metrics['accuracy']:.4f}, f1_macro {metrics['f1_macro']:.4f}")


if __name__ == "__main__":
    main()
