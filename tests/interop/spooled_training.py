"""A training with a stock client that ends well while its tracking server is away. Its run's id is what it prints."""

import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import mlflow
import numpy
from sklearn.linear_model import LogisticRegression

mlflow.set_experiment("away from home")
rows = numpy.random.default_rng(1).random((30, 3))
mlflow.sklearn.autolog(silent=True)
with mlflow.start_run(run_name="parent") as parent:
    with mlflow.start_run(run_name="child", nested=True) as child, tempfile.TemporaryDirectory() as folder:
        model = LogisticRegression().fit(rows, rows[:, 0] > 0.5)
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_params({"p": "q", "n": 3})
        mlflow.set_tag("t", "v")
        note = Path(folder, "note.txt")
        note.write_text("hi")
        mlflow.log_artifact(note, "notes")
        mlflow.log_dict({"a": 1}, "config/a.json")
    mlflow.log_metric("best", 0.5)
found = mlflow.MlflowClient().get_run(child.info.run_id)
assert found.info.status == "FINISHED" and found.data.params["p"] == "q", found
assert mlflow.artifacts.load_text(f"{found.info.artifact_uri}/notes/note.txt") == "hi"
print(child.info.run_id)
