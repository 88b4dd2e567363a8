"""What the tests share: the program, a clean environment, a server, real MLflow, real DVC, folders with a project.

The tests need `MATRAZ` (the program) and the packages of `tests/requirements.txt`; `make test-interop` gives both.
"""

import os
import shutil
from pathlib import Path

import pytest

from program import clean_environment, Matraz
from server import RealServer, Server
from workspace import RealDvc, Workspace

PROGRAM = Path(os.environ.get("MATRAZ", "")).resolve()
if not PROGRAM.is_file():
    pytest.exit("MATRAZ must name the program to test; `make test-interop` does it", returncode=2)

# Before mlflow is imported anywhere: it reads some of these only then.
for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_", "GIT_"))]:
    del os.environ[name]
os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    MLFLOW_LOGGING_LEVEL="ERROR",
    GIT_PYTHON_REFRESH="quiet",
)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    """A folder of the whole session, with the home of every program that is started."""
    folder = tmp_path_factory.mktemp("session")
    for name in ("home", "bin", "site", "config"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(scope="session", autouse=True)
def away(scratch):
    """Clients of MLflow that nobody told where the store is make one in the current folder."""
    os.chdir(scratch)


@pytest.fixture(scope="session")
def environment(scratch):
    """The environment of every program: nothing of the user's own, `matraz` and this Python first on the path."""
    (scratch / "bin/matraz").symlink_to(PROGRAM)
    return clean_environment(scratch)


@pytest.fixture(scope="session")
def matraz(environment, scratch):
    return Matraz(scratch / "bin/matraz", environment)


@pytest.fixture(scope="session")
def start_server(matraz):
    """Starts a server on a folder; all are stopped at the end."""
    servers = []

    def start(folder, *arguments, **options):
        server = Server(matraz, folder, *arguments, **options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server, tmp_path_factory):
    """One server for all tests that make their own experiments."""
    return start_server(tmp_path_factory.mktemp("server"))


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def experiment(client, request):
    """The id of an experiment of this test alone."""
    return client.create_experiment(request.node.nodeid.rsplit("/", 1)[-1][:400])


@pytest.fixture
def fluent(server, experiment):
    """The `mlflow` module, set to the server and this test's experiment."""
    import mlflow

    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    mlflow.set_experiment(experiment_id=experiment)
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A database as real MLflow makes it; tests work on copies."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    folder = tmp_path_factory.mktemp("empty")
    store = SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", "mlflow-artifacts:/")
    store.engine.dispose()
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def start_real_server(empty_store, environment, tmp_path_factory):
    """Starts real MLflow's server on an empty store; all are stopped at the end."""
    servers = []

    def start():
        folder = tmp_path_factory.mktemp("real")
        shutil.copy(empty_store, folder / "mlflow.db")
        servers.append(RealServer(folder, environment))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def empty_real_server(start_real_server):
    """Real MLflow's server for the tests of one module, which may write to it."""
    server = start_real_server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def real_server(start_real_server):
    """Real MLflow's server, after it was told the story; tests only read from it."""
    import story

    server = start_real_server()
    story.tell(server.client())
    told = story.rows_of(server.folder / "mlflow.db")
    yield server
    assert story.rows_of(server.folder / "mlflow.db") == told, "a test wrote to the server that others compare with"


@pytest.fixture(scope="session")
def real(real_server, tmp_path_factory):
    """A folder with the store as real MLflow wrote it; nobody writes to it."""
    folder = tmp_path_factory.mktemp("written-by-mlflow")
    shutil.copy(real_server.folder / "mlflow.db", folder / "mlflow.db")
    return folder


@pytest.fixture(scope="session")
def same_store(real, start_server, tmp_path_factory):
    """`matraz server` on a copy of the store that `real_server` serves; tests that use both only read."""
    folder = tmp_path_factory.mktemp("same")
    shutil.copy(real / "mlflow.db", folder / "mlflow.db")
    return start_server(folder)


@pytest.fixture(scope="session")
def dvc(environment, scratch):
    """Real DVC."""
    real = RealDvc(environment, scratch)
    yield real
    real.stop()


@pytest.fixture
def workspace(tmp_path, matraz, dvc):
    """An empty git repository."""
    return Workspace(tmp_path / "project", matraz, dvc)


@pytest.fixture
def twins(tmp_path, matraz, dvc):
    """Two empty git repositories at paths of equal length, for one tool each."""
    return tuple(Workspace(tmp_path / name / "project", matraz, dvc) for name in ("ours", "real"))
