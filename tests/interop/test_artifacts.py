"""Artifacts of runs through the proxy of `matraz server`, with MLflow's client."""

import os

import pytest
import requests

ODD = ["a b.txt", "ünï ☃.txt", "100%.txt", "plus+and&.txt", "quote'.txt", "semi;colon,.txt", "[x]{y}.txt", "~t=.txt"]


def tree(folder):
    return {
        os.path.relpath(os.path.join(top, name), folder): open(os.path.join(top, name), "rb").read()
        for top, _, names in os.walk(folder)
        for name in names
    }


def listing(client, run, path=None):
    return [(entry.path, entry.is_dir, entry.file_size) for entry in client.list_artifacts(run, path)]


def test_a_tree_goes_up_and_comes_down(client, experiment, tmp_path):
    run = client.create_run(experiment).info.run_id
    source = tmp_path / "source"
    contents = {
        "empty": b"",
        "one.bin": bytes(range(256)) * 40,
        "deep/er/file.txt": b"deep\r\n",
        "deep/big.bin": os.urandom(3 << 20),
        **{f"odd/{name}": name.encode() for name in ODD},
    }
    for name, content in contents.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    client.log_artifacts(run, source)
    client.log_artifacts(run, source / "deep", "second/place")
    assert listing(client, run) == [
        ("deep", True, None),
        # MLflow says no size of an empty file.
        ("empty", False, None),
        ("odd", True, None),
        ("one.bin", False, 10240),
        ("second", True, None),
    ]
    assert listing(client, run, "deep") == [("deep/big.bin", False, 3 << 20), ("deep/er", True, None)]
    assert [entry[0] for entry in listing(client, run, "odd")] == sorted(f"odd/{name}" for name in ODD)
    assert listing(client, run, "one.bin") == []
    assert listing(client, run, "absent") == []
    (tmp_path / "down").mkdir()
    down = client.download_artifacts(run, "", str(tmp_path / "down"))
    expected = contents | {f"second/place/{name[5:]}": content for name, content in contents.items() if name.startswith("deep/")}
    assert tree(down) == expected


def test_a_file_is_replaced(client, experiment, tmp_path):
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "first and long", "a.txt")
    client.log_text(run, "second", "a.txt")
    assert open(client.download_artifacts(run, "a.txt", str(tmp_path))).read() == "second"
    assert listing(client, run) == [("a.txt", False, 6)]


def test_what_the_fluent_calls_log(fluent, client, tmp_path):
    with fluent.start_run() as run:
        fluent.log_dict({"a": [1, 2]}, "d/x.json")
        fluent.log_dict({"a": [1, 2]}, "d/x.yaml")
        fluent.log_table({"q": ["1", "2"], "a": ["x", "y"]}, "table.json")
        fluent.log_table({"q": ["3"], "a": ["z"]}, "table.json")
        assert fluent.get_artifact_uri("d") == run.info.artifact_uri + "/d"
    uri = f"runs:/{run.info.run_id}/d/x.json"
    assert fluent.artifacts.load_dict(uri) == {"a": [1, 2]}
    assert fluent.artifacts.load_text(f"{run.info.artifact_uri}/d/x.yaml") == "a:\n- 1\n- 2\n"
    assert list(fluent.load_table("table.json", run_ids=[run.info.run_id])["a"]) == ["x", "y", "z"]


def test_delete(client, experiment):
    import mlflow
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    run = client.create_run(experiment)
    client.log_text(run.info.run_id, "1", "a/b.txt")
    client.log_text(run.info.run_id, "2", "c.txt")
    mlflow.set_tracking_uri(client.tracking_uri)
    repository = get_artifact_repository(run.info.artifact_uri)
    repository.delete_artifacts("a")
    assert listing(client, run.info.run_id) == [("c.txt", False, 1)]


def test_a_file_in_the_browser(server, client, experiment):
    run = client.create_run(experiment).info.run_id
    for name in ODD:
        client.log_text(run, f"content of {name}", f"dir/{name}")
        answer = server.get("/get-artifact", run_id=run, path=f"dir/{name}")
        assert answer.content.decode() == f"content of {name}"
    client.log_text(run, "0123456789", "n.txt")
    address = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/n.txt"
    part = requests.get(address, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.text) == (206, "2345")
    whole = requests.get(address)
    assert whole.headers["content-type"].startswith("text/plain")
    assert "attachment" in whole.headers["content-disposition"]


def test_what_is_not_there(server, client, experiment):
    run = client.create_run(experiment).info.run_id
    from mlflow.exceptions import MlflowException

    with pytest.raises((MlflowException, OSError)):
        client.download_artifacts(run, "absent.txt")
    assert server.get("/get-artifact", run_id=run, path="absent.txt").status_code == 404
    assert server.get("/get-artifact", run_id="0" * 32, path="a").status_code == 404


@pytest.mark.parametrize(
    "path", ["../up.txt", "a/../../up.txt", "%2e%2e/up.txt", "..%2fup.txt", "%252e%252e/up.txt", "//etc/x", "/etc/x", "a/%00b"]
)
def test_paths_that_leave_the_root_are_refused(server, path):
    before = set(tree(server.folder / "mlartifacts")) if (server.folder / "mlartifacts").exists() else set()
    for method in ("PUT", "GET", "DELETE"):
        request = requests.Request(method, server.url, data=b"x" if method == "PUT" else None).prepare()
        # Sent as it stands: requests would tidy the dots away.
        request.url = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{path}"
        with requests.Session() as session:
            answer = session.send(request)
        assert answer.status_code in (400, 404, 405), (method, path, answer.status_code)
    answer = server.get("/api/2.0/mlflow-artifacts/artifacts", path=path)
    assert answer.status_code in (400, 404) or answer.json() == {}, answer.text
    assert not (server.folder / "up.txt").exists()
    assert not (server.folder.parent / "up.txt").exists()
    after = set(tree(server.folder / "mlartifacts")) if (server.folder / "mlartifacts").exists() else set()
    assert before == after


def test_symlinks_do_not_leave_the_root(server, client, experiment, tmp_path):
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "x", "a.txt")
    folder = server.folder / "mlartifacts" / experiment / run / "artifacts"
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link").symlink_to(tmp_path)
    assert (folder / "link/secret.txt").read_text() == "secret"
    address = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/link/secret.txt"
    answer = requests.get(address)
    assert answer.status_code >= 400 and "secret" not in answer.text
    assert requests.put(address, data=b"changed").status_code >= 400
    assert (tmp_path / "secret.txt").read_text() == "secret"


def test_without_the_proxy_artifacts_lie_where_the_run_says(start_server, tmp_path):
    root = tmp_path / "direct/place"
    server = start_server(tmp_path / "direct", "--no-serve-artifacts", "--default-artifact-root", root)
    client = server.client()
    experiment = client.create_experiment("direct")
    run = client.create_run(experiment)
    folder = root / experiment / run.info.run_id / "artifacts"
    assert run.info.artifact_uri.removeprefix("file://") == str(folder)
    client.log_text(run.info.run_id, "here", "a/b.txt")
    assert (folder / "a/b.txt").read_text() == "here"
    assert listing(client, run.info.run_id, "a") == [("a/b.txt", False, 4)]
    answer = requests.put(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/x", data=b"1")
    assert answer.status_code == 503
