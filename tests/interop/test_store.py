"""The database is MLflow's own: the same rows, whoever writes them, and each opens what the other wrote."""

import hashlib
import shutil
import sqlite3

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.store.db.utils import _get_latest_schema_revision

import story


def real_client(folder):
    uri = f"sqlite:///{folder}/mlflow.db"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture(scope="module")
def ours(start_server, tmp_path_factory):
    """A store that matraz made and wrote."""
    folder = tmp_path_factory.mktemp("written-by-matraz")
    server = start_server(folder)
    story.tell(server.client())
    server.stop()
    return folder



def copy(folder, to):
    to.mkdir()
    shutil.copy(folder / "mlflow.db", to / "mlflow.db")
    return to


def everything(client):
    """All that a client can see, as plain values."""

    def plain(thing):
        if isinstance(thing, (list, tuple)):
            return [plain(item) for item in thing]
        if isinstance(thing, dict):
            return {key: plain(value) for key, value in thing.items()}
        if hasattr(thing, "__iter__") and not isinstance(thing, (str, bytes)):
            return {key: plain(value) for key, value in dict(thing).items()}
        return repr(thing)

    experiments = client.search_experiments(view_type=ViewType.ALL, order_by=["experiment_id ASC"])
    ids = [experiment.experiment_id for experiment in experiments]
    runs = client.search_runs(ids, run_view_type=ViewType.ALL, order_by=["start_time ASC"])
    seen = {"experiments": plain(experiments), "runs": [], "histories": [], "models": [], "versions": [], "logged": []}
    for run in runs:
        run = client.get_run(run.info.run_id)
        inputs = sorted(
            (entry.dataset.name, entry.dataset.digest, entry.dataset.source, sorted((t.key, t.value) for t in entry.tags))
            for entry in run.inputs.dataset_inputs
        )
        models = sorted(entry.model_id for entry in run.inputs.model_inputs or [])
        outputs = sorted((entry.model_id, entry.step) for entry in (run.outputs and run.outputs.model_outputs) or [])
        data = (sorted(run.data.params.items()), repr(sorted(run.data.metrics.items())), sorted(run.data.tags.items()))
        seen["runs"].append((plain(run.info), data, inputs, models, outputs))
        for key in sorted(run.data.metrics):
            points = client.get_metric_history(run.info.run_id, key)
            seen["histories"].append([(key, repr(p.value), p.timestamp, p.step) for p in points])
    for model in client.search_registered_models(order_by=["name ASC"]):
        aliases = {alias: str(version) for alias, version in model.aliases.items()}
        seen["models"].append((model.name, model.description or "", model.tags, aliases, model.creation_timestamp))
        for version in client.search_model_versions(f"name = '{model.name}'", order_by=["version_number ASC"]):
            version = client.get_model_version(model.name, version.version)
            seen["versions"].append(
                (version.name, str(version.version), version.source, version.run_id, version.current_stage, version.tags)
                + (version.description or "", sorted(version.aliases), version.last_updated_timestamp)
            )
    for model in client.search_logged_models(ids, order_by=[{"field_name": "name"}]):
        metrics = sorted((m.key, m.value, m.step, m.timestamp) for m in model.metrics or [])
        seen["logged"].append((model.model_id, model.name, str(model.status), model.params, model.tags, metrics))
    return seen


def test_the_schema_is_mlflows(ours, empty_store):
    def shape(database):
        connection = sqlite3.connect(database)
        shape = {}
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        for (table,) in connection.execute(tables).fetchall():
            keys = [row[2:] for row in connection.execute(f'PRAGMA foreign_key_list("{table}")')]
            indexes = []
            for _, name, unique, origin, partial in connection.execute(f'PRAGMA index_list("{table}")').fetchall():
                columns = [row[2] for row in connection.execute(f'PRAGMA index_info("{name}")')]
                indexes.append((name if origin == "c" else origin, unique, partial, columns))
            shape[table] = {
                "columns": [row[1:] for row in connection.execute(f'PRAGMA table_xinfo("{table}")')],
                "foreign keys": sorted(keys, key=repr),
                "indexes": sorted(indexes, key=repr),
            }
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        return shape, [(name, " ".join(sql.split())) for name, sql in triggers]

    (tables, triggers), (real_tables, real_triggers) = shape(ours / "mlflow.db"), shape(empty_store)
    # What MLflow has no place for lies in tables of our own, beside its own.
    tables = {name: shape for name, shape in tables.items() if not name.startswith("matraz_")}
    assert tables.keys() == real_tables.keys()
    for name, expected in real_tables.items():
        assert tables[name] == expected, name
    assert triggers == real_triggers
    head = sqlite3.connect(ours / "mlflow.db").execute("SELECT version_num FROM alembic_version").fetchall()
    assert head == [(_get_latest_schema_revision(),)]


def test_the_same_calls_leave_the_same_rows(ours, real):
    found, expected = story.comparable(ours / "mlflow.db"), story.comparable(real / "mlflow.db")
    found = {table: rows for table, rows in found.items() if not table.startswith("matraz_")}
    assert found.keys() == expected.keys()
    for table, rows in expected.items():
        assert found[table] == rows, table


def test_real_mlflow_reads_what_matraz_wrote(ours, start_server, tmp_path):
    folder = copy(ours, tmp_path / "store")
    server = start_server(folder)
    served = everything(server.client())
    assert len(served["runs"]) == 6 and len(served["versions"]) == 3
    server.stop()
    assert everything(real_client(folder)) == served


def test_matraz_reads_what_real_mlflow_wrote(real, start_server, tmp_path):
    folder = copy(real, tmp_path / "store")
    expected = everything(real_client(folder))
    assert len(expected["runs"]) == 6 and len(expected["versions"]) == 3
    before = story.rows_of(folder / "mlflow.db")
    server = start_server(folder)
    assert everything(server.client()) == expected
    server.stop()
    assert story.rows_of(folder / "mlflow.db") == before


def test_both_write_to_one_file_by_turns(real, start_server, tmp_path):
    folder = copy(real, tmp_path / "store")
    server = start_server(folder)
    ours, theirs = server.client(), real_client(folder)
    experiment = ours.create_experiment("together")
    run = theirs.create_run(experiment, start_time=1).info.run_id
    for step in range(10):
        (ours, theirs)[step % 2].log_metric(run, "turn", step, timestamp=step, step=step)
        (theirs, ours)[step % 2].log_param(run, f"p{step}", step)
    ours.set_terminated(run)
    for client in (ours, theirs):
        assert [point.value for point in client.get_metric_history(run, "turn")] == list(range(10))
        found = client.get_run(run)
        assert (found.info.status, len(found.data.params)) == ("FINISHED", 10)
    version = theirs.create_model_version("forest", found.info.artifact_uri, run)
    assert int(version.version) == 5
    assert int(ours.create_model_version("forest", found.info.artifact_uri, run).version) == 6


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def damage_newer(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    connection.close()


def damage_older(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    connection.close()


def damage_foreign(path):
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.execute("INSERT INTO customers VALUES (1)")
    connection.commit()
    connection.close()


def damage_text(path):
    path.write_text("this is no database\n" * 400)


def damage_torn(path):
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff" * 4000 + data[4100:])


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (damage_newer, "ffffffffffff"),
        (damage_older, "451aebb31d03"),
        (damage_foreign, "mlflow.db"),
        (damage_text, "mlflow.db"),
        (damage_torn, "mlflow.db"),
    ],
)
def test_a_database_that_is_not_ours_is_refused_untouched(damage, part, matraz, empty_store, tmp_path):
    database = tmp_path / "mlflow.db"
    shutil.copy(empty_store, database)
    damage(database)
    before = checksum(database)
    uri = f"sqlite:///{database}"
    done = matraz("server", "-p", 0, "--backend-store-uri", uri, cwd=tmp_path, code=None)
    assert done.code not in (0, 101) and done.code > 0, done
    assert part in done.err and done.err.startswith("error: "), done
    assert "panicked" not in done.err
    done = matraz("runs", "list", cwd=tmp_path, code=None, MLFLOW_TRACKING_URI=uri)
    assert done.code not in (0, 101), done
    assert checksum(database) == before
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_the_schema_of_3_17_is_served_and_kept(ours, start_server, empty_store, tmp_path):
    """A store of MLflow 3.17.2 stays one: that version must be able to open it again."""
    import pathlib

    schema = pathlib.Path(__file__).parents[2] / "crates/matraz-track/src/db/schema/sqlite_dc11669786a5.sql"
    folder = tmp_path / "old"
    folder.mkdir()
    connection = sqlite3.connect(folder / "mlflow.db")
    connection.executescript(schema.read_text())
    if not connection.execute("SELECT * FROM alembic_version").fetchall():
        connection.execute("INSERT INTO alembic_version VALUES ('dc11669786a5')")
    connection.commit()
    connection.close()
    server = start_server(folder)
    story.tell(server.client())
    server.stop()
    version = sqlite3.connect(folder / "mlflow.db").execute("SELECT version_num FROM alembic_version").fetchall()
    assert version == [("dc11669786a5",)]


def test_real_mlflow_opens_what_was_upgraded(matraz, start_server, tmp_path):
    """A store of an older MLflow, brought forward by us, is one of today's MLflow, with the same in it for both."""
    import pathlib

    old = pathlib.Path(__file__).parents[2] / "crates/matraz-track/tests/api/mlflow_3.5.1/sqlite.sql"
    folder = tmp_path / "upgraded"
    folder.mkdir()
    database = folder / "mlflow.db"
    connection = sqlite3.connect(database)
    connection.executescript(old.read_text())
    connection.close()
    matraz("db", "upgrade", f"sqlite:///{database}", cwd=tmp_path)
    copy(folder, tmp_path / "served")
    expected = everything(real_client(folder))
    assert expected["experiments"] and expected["runs"] and expected["versions"]
    server = start_server(tmp_path / "served")
    assert everything(server.client()) == expected
    server.stop()
    # And back, after ours had it.
    assert everything(real_client(tmp_path / "served")) == expected
