"""Ask the saved model through MLflow and onnxruntime and compare with what `evaluate` wrote.

    python pyfunc_agrees.py PROJECT

PROJECT is a folder in which the four stages ran. Exit code 0: every label and every probability is the same.
"""

import sys
from pathlib import Path

import mlflow
import pandas as pd

TARGET = "NObeyesdad"


def main(project):
    # Text columns as pandas reads them, and numbers that are whole stay integers: what callers really have.
    test = pd.read_csv(project / "features/test.csv", keep_default_na=False, na_values=[""])
    expected = pd.read_csv(project / "predictions.csv")
    answers = mlflow.pyfunc.load_model(str(project / "model")).predict(test.drop(columns=TARGET))

    wrong = [row for row, label in enumerate(answers["label"]) if label != expected["predicted"][row]]
    classes = [name for name in expected.columns if name not in ("actual", "predicted")]
    found = pd.DataFrame(list(answers["probabilities"]))[classes].astype("float32")
    different = int((found != expected[classes].astype("float32")).any(axis=1).sum())
    print(f"{len(test)} rows, {len(wrong)} with another label, {different} with another probability")
    return 1 if wrong or different or len(found) != len(expected) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
