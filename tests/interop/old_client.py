"""What a training script with MLflow 2 does, told in one JSON line. Run with MLflow 2 first on Python's path."""

import json
import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import mlflow
import numpy
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

url = sys.argv[1]
mlflow.set_tracking_uri(url)
mlflow.set_registry_uri(url)
mlflow.set_experiment("with an old client")
client = MlflowClient()
rows = numpy.random.default_rng(1).random((30, 3))
mlflow.sklearn.autolog(silent=True)
with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
    LogisticRegression().fit(rows, rows[:, 0] > 0.5)
    mlflow.log_metric("m", 1.5, step=2)
    mlflow.log_param("p", "q")
    mlflow.set_tag("t", "v")
    note = Path(folder, "note.txt")
    note.write_text("hi")
    mlflow.log_artifact(note, "notes")
run_id = run.info.run_id
found = client.get_run(run_id)
version = mlflow.register_model(f"runs:/{run_id}/model", "old")
client.transition_model_version_stage("old", version.version, "Production", archive_existing_versions=True)
client.set_registered_model_alias("old", "best", version.version)


@mlflow.trace
def double(number):
    with mlflow.start_span("inner") as span:
        span.set_outputs(2 * number)
    return 2 * number


double(4)
[trace] = client.search_traces([mlflow.get_experiment_by_name("with an old client").experiment_id])
client.set_trace_tag(trace.info.request_id, "seen", "yes")
loaded = [mlflow.sklearn.load_model(f"models:/old/{name}") for name in ("Production", "1")]
loaded.append(mlflow.pyfunc.load_model("models:/old@best"))
answers = [[bool(answer) for answer in model.predict(rows)] for model in loaded]
print(
    json.dumps(
        {
            "version": mlflow.__version__,
            "status": found.info.status,
            "metrics": "training_accuracy_score" in found.data.metrics and found.data.metrics["m"],
            "params": "C" in found.data.params and found.data.params["p"],
            "files": sorted({file.path for file in client.list_artifacts(run_id)} & {"model", "notes"}),
            "note": mlflow.artifacts.load_text(f"{found.info.artifact_uri}/notes/note.txt"),
            "stages": [one.version for one in client.get_latest_versions("old", ["Production"])],
            "same": answers[0] == answers[1] == answers[2],
            "searched": len(mlflow.search_runs(filter_string="metrics.m > 1 AND tags.t = 'v'")),
            "spans": [(span.name, span.outputs) for span in trace.data.spans],
            "seen": client.get_trace(trace.info.request_id).info.tags["seen"],
            "history": [point.step for point in client.get_metric_history(run_id, "m")],
        }
    )
)
