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
client = mlflow.MlflowClient()
version = mlflow.register_model(f"runs:/{child.info.run_id}/model", "spooled")
with mlflow.start_run(run_id=parent.info.run_id):
    where = {"name": "logged"} if mlflow.__version__.startswith("3") else {"artifact_path": "logged"}
    mlflow.sklearn.log_model(model, registered_model_name="spooled", **where)
last = max(int(one.version) for one in client.search_model_versions("name = 'spooled'"))
assert last == int(version.version) + 1, (last, version)
client.update_registered_model("spooled", "models of trainings")
client.set_registered_model_tag("spooled", "team", "a")
client.set_registered_model_tag("spooled", "gone", "a")
client.delete_registered_model_tag("spooled", "gone")
client.set_model_version_tag("spooled", version.version, "checked", "yes")
client.set_model_version_tag("spooled", version.version, "gone", "yes")
client.delete_model_version_tag("spooled", version.version, "gone")
client.update_model_version("spooled", version.version, "the first")
for alias, number in [("champion", last), ("champion", version.version), ("gone", last)]:
    client.set_registered_model_alias("spooled", alias, number)
client.delete_registered_model_alias("spooled", "gone")
client.transition_model_version_stage("spooled", last, "Production")
client.transition_model_version_stage("spooled", version.version, "Production", archive_existing_versions=True)
champion = client.get_model_version_by_alias("spooled", "champion")
assert (champion.version, champion.status) == (version.version, "READY"), champion
assert champion.tags["checked"] == "yes" and champion.description == "the first"
assert mlflow.pyfunc.load_model("models:/spooled@champion").predict(rows).tolist() == model.predict(rows).tolist()
found = client.get_run(child.info.run_id)
assert found.info.status == "FINISHED" and found.data.params["p"] == "q", found
assert mlflow.artifacts.load_text(f"{found.info.artifact_uri}/notes/note.txt") == "hi"
print(child.info.run_id)
