"""One story of calls, told to any store through MLflow's client, and what a database holds afterwards."""

import sqlite3

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput, Metric, Param, RunTag

NAN, INFINITY = float("nan"), float("inf")


def tell(client):
    """Writes some of everything. All times are given where the client can give them."""
    first = client.create_experiment("first", tags={"team": "a", "ünï": "☃"})
    second = client.create_experiment("second")
    client.create_experiment("gone")
    client.delete_experiment(client.get_experiment_by_name("gone").experiment_id)
    client.rename_experiment(second, "renamed")
    client.set_experiment_tag(first, "team", "b")

    runs = []
    for n in range(6):
        run = client.create_run(
            first if n < 4 else second, start_time=1000 + 100 * n, tags={"n": str(n), "mlflow.user": "ana"}, run_name=f"run-{n}"
        )
        runs.append(run.info.run_id)
    for n, run in enumerate(runs):
        client.log_batch(
            run,
            metrics=[Metric("loss", 1 / (step + n + 1), 2000 + step, step) for step in range(5)],
            params=[Param("lr", repr(10.0**-n)), Param("name", "x" * n), Param("nested.key", "[1, 2]")],
            tags=[RunTag("batch", f"b{n}")],
        )
        client.log_metric(run, "score", n / 3, timestamp=2100, step=-1)
    client.log_metric(runs[0], "odd", NAN, timestamp=1, step=0)
    client.log_metric(runs[0], "odd", INFINITY, timestamp=2, step=1)
    client.log_metric(runs[1], "odd", NAN, timestamp=1, step=5)
    client.log_metric(runs[2], "odd", -INFINITY, timestamp=1, step=5)
    client.log_metric(runs[1], "loss", 9.0, timestamp=1, step=4)
    client.log_metric(runs[1], "loss", 9.0, timestamp=1, step=4)
    client.log_param(runs[0], "long", "y" * 6500)
    client.set_tag(runs[0], "note", "line 1\nline 2 'quoted' \"twice\" – ☃")
    client.set_tag(runs[0], "n", "zero")
    client.delete_tag(runs[1], "batch")
    client.set_tag(runs[2], "mlflow.runName", "by tag")
    client.update_run(runs[3], status="FAILED", name="by update")
    client.set_terminated(runs[0], "FINISHED", end_time=5000)
    client.set_terminated(runs[1], "KILLED", end_time=6000)
    client.delete_run(runs[4])

    rows = Dataset("rows", "0123456789abcdef0123456789abcdef", "local", '{"uri": "data/rows.csv"}', '{"a": 1}', '{"n": 2}')
    other = Dataset("other", "fedcba", "code", "{}", None, None)
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(runs[0], datasets=[DatasetInput(rows, [context, InputTag("k", "v")]), DatasetInput(other, [])])
    client.log_inputs(runs[1], datasets=[DatasetInput(rows, [InputTag("mlflow.data.context", "testing")])])
    client.log_inputs(runs[1], datasets=[DatasetInput(rows, [context])])

    model = client.create_logged_model(
        first, "model", runs[0], tags={"t": "1"}, params={"p": "2"}, model_type="forest"
    ).model_id
    client.finalize_logged_model(model, "READY")
    client.set_logged_model_tags(model, {"t2": "x"})
    client.log_outputs(runs[0], [LoggedModelOutput(model, 3)])
    client.log_inputs(runs[1], models=[LoggedModelInput(model)])
    client.log_metric(runs[0], "quality", 0.75, timestamp=7, step=2, model_id=model)
    failed = client.create_logged_model(first, "failed", runs[1]).model_id
    client.finalize_logged_model(failed, "FAILED")

    client.create_registered_model("forest", tags={"a": "1"}, description="trees")
    client.create_registered_model("empty")
    client.create_registered_model("dropped")
    client.delete_registered_model("dropped")
    root = client.get_run(runs[0]).info.artifact_uri
    for n in range(3):
        client.create_model_version("forest", f"{root}/model", runs[0], tags={"v": str(n)}, description=f"number {n}")
    client.create_model_version("forest", f"models:/{model}", model_id=model)
    client.set_registered_model_alias("forest", "champion", 1)
    client.set_registered_model_alias("forest", "challenger", 2)
    client.set_registered_model_alias("forest", "champion", 3)
    client.set_registered_model_alias("forest", "lost", 2)
    client.transition_model_version_stage("forest", 1, "Production")
    client.transition_model_version_stage("forest", 3, "production", archive_existing_versions=True)
    client.set_model_version_tag("forest", 1, "v", "changed")
    client.delete_model_version("forest", 2)
    client.rename_registered_model("empty", "still empty")
    client.set_registered_model_tag("still empty", "k", "v")


# What differs between two tellings: identifiers and times of the clock.
CLOCK = {
    "creation_time", "last_update_time", "last_updated_time", "deleted_time", "creation_timestamp_ms", "last_updated_timestamp_ms",
}  # fmt: skip
IDENTIFIERS = {
    "run_uuid", "run_id", "dataset_uuid", "input_uuid", "source_id", "destination_id", "model_id", "source_run_id",
}  # fmt: skip
HOLDS_IDENTIFIERS = {"artifact_uri", "artifact_location", "source", "storage_location"}


def rows_of(database):
    """All rows of all tables: table to sorted rows, each a dict of column to value."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    tables = {}
    for (name,) in names.fetchall():
        tables[name] = [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]
    connection.close()
    return tables


def comparable(database):
    """The rows with identifiers replaced by what they stand for and times by whether there is one."""
    tables = rows_of(database)
    meaning = {run["run_uuid"]: f"run {run['start_time']}" for run in tables["runs"]}
    meaning |= {model["model_id"]: f"model {model['name']}" for model in tables["logged_models"]}
    meaning |= {data["dataset_uuid"]: f"dataset {data['name']}" for data in tables["datasets"]}
    meaning |= {
        entry["input_uuid"]: f"input {meaning[entry['source_id']]} to {meaning[entry['destination_id']]}"
        for entry in tables["inputs"]
    }

    def replaced(column, value):
        if column in CLOCK:
            return "time" if value else value
        if column in IDENTIFIERS and value:
            return meaning.get(value, value)
        if column in HOLDS_IDENTIFIERS and value:
            for identifier, stands_for in meaning.items():
                value = value.replace(identifier, stands_for)
        return value

    result = {}
    for name, rows in tables.items():
        rows = [{column: replaced(column, value) for column, value in row.items()} for row in rows]
        result[name] = sorted(rows, key=repr)
    return result
