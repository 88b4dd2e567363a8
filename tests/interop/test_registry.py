"""Registered models, versions and aliases of `matraz server` with MLflow's client."""

import pytest
from mlflow.exceptions import MlflowException


@pytest.fixture
def name(request):
    return request.node.name.replace("[", "-").replace("]", "")


@pytest.fixture
def run(client, experiment):
    """A run with something like a model below it."""
    run = client.create_run(experiment)
    client.log_text(run.info.run_id, "flavors: {}\n", "model/MLmodel")
    return run


def refused(code, call, *arguments, **named):
    with pytest.raises(MlflowException) as caught:
        call(*arguments, **named)
    assert caught.value.error_code == code, caught.value


def version(client, name, run, **named):
    return client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id, **named)


def test_a_model_lives(client, name):
    client.create_registered_model(name, tags={"a": "1"}, description="what it is")
    refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, name)
    for bad in ("", "a/b", "a:b", " "):
        refused("INVALID_PARAMETER_VALUE", client.create_registered_model, bad)
    client.set_registered_model_tag(name, "b", "☃")
    client.delete_registered_model_tag(name, "a")
    client.update_registered_model(name, description="new")
    found = client.get_registered_model(name)
    assert (found.name, found.description, found.tags) == (name, "new", {"b": "☃"})
    client.rename_registered_model(name, name + " 2")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, name)
    assert client.get_registered_model(name + " 2").tags == {"b": "☃"}
    client.delete_registered_model(name + " 2")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, name + " 2")
    refused("RESOURCE_DOES_NOT_EXIST", client.delete_registered_model, name + " 2")


def test_versions(client, name, run):
    refused("RESOURCE_DOES_NOT_EXIST", version, client, name, run)
    client.create_registered_model(name)
    first = version(client, name, run, tags={"k": "v"}, description="first")
    second = version(client, name, run)
    assert (first.version, second.version) in [("1", "2"), (1, 2)]
    assert (first.run_id, first.status, first.current_stage) == (run.info.run_id, "READY", "None")
    assert client.get_model_version_download_uri(name, 1) == f"{run.info.artifact_uri}/model"
    client.update_model_version(name, 1, description="changed")
    client.set_model_version_tag(name, 1, "k2", "v2")
    client.delete_model_version_tag(name, 1, "k")
    found = client.get_model_version(name, 1)
    assert (found.description, found.tags) == ("changed", {"k2": "v2"})
    assert [int(v.version) for v in client.search_model_versions(f"name = '{name}'")] == [1, 2]
    by_number = client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"])
    assert [int(v.version) for v in by_number] == [2, 1]
    assert client.search_model_versions(f"run_id = '{run.info.run_id}' AND name = '{name}'")
    assert client.search_model_versions(f"name = '{name}' AND tags.k2 = 'v2'")[0].description == "changed"
    client.delete_model_version(name, 2)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, name, 2)
    # Numbers are never given twice.
    assert int(version(client, name, run).version) == 3


def test_stages(client, name, run):
    client.create_registered_model(name)
    for _ in range(3):
        version(client, name, run)
    client.transition_model_version_stage(name, 1, "production")
    client.transition_model_version_stage(name, 2, "Production", archive_existing_versions=True)
    latest = {v.current_stage: int(v.version) for v in client.get_latest_versions(name)}
    assert latest == {"Archived": 1, "Production": 2, "None": 3}
    assert [int(v.version) for v in client.get_latest_versions(name, ["Production"])] == [2]
    refused("INVALID_PARAMETER_VALUE", client.transition_model_version_stage, name, 1, "Elsewhere")


def test_aliases(client, name, run):
    client.create_registered_model(name)
    version(client, name, run)
    version(client, name, run)
    client.set_registered_model_alias(name, "champion", 1)
    client.set_registered_model_alias(name, "old-one_2", 1)
    client.set_registered_model_alias(name, "champion", 2)
    assert client.get_registered_model(name).aliases in [{"champion": "2", "old-one_2": "1"}, {"champion": 2, "old-one_2": 1}]
    assert int(client.get_model_version_by_alias(name, "champion").version) == 2
    assert list(client.get_model_version(name, 2).aliases) == ["champion"]
    refused("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, name, "absent")
    refused("RESOURCE_DOES_NOT_EXIST", client.set_registered_model_alias, name, "a", 9)
    for bad in ("latest", "v1", "a b", "Latest"):
        refused("INVALID_PARAMETER_VALUE", client.set_registered_model_alias, name, bad, 1)
    client.delete_registered_model_alias(name, "old-one_2")
    client.delete_model_version(name, 2)
    assert client.get_registered_model(name).aliases == {}


def test_search_of_models(client, name):
    for n in range(7):
        client.create_registered_model(f"{name} {n}", tags={"even": str(n % 2 == 0)})
    found, token = [], None
    while True:
        page = client.search_registered_models(
            f"name LIKE '{name}%'", max_results=3, order_by=["name DESC"], page_token=token
        )
        found.append([model.name for model in page])
        token = page.token
        if not token:
            break
    assert [len(page) for page in found] == [3, 3, 1]
    assert sum(found, []) == [f"{name} {n}" for n in reversed(range(7))]
    even = client.search_registered_models(f"name ILIKE '{name.upper()}%' AND tags.even = 'True'")
    assert [model.name[-1] for model in even] == ["0", "2", "4", "6"]


def test_a_version_is_copied(client, name, run):
    client.create_registered_model(name)
    source = version(client, name, run, tags={"a": "1"})
    copy = client.copy_model_version(f"models:/{name}/{source.version}", name + "-copy")
    assert (int(copy.version), copy.run_id) == (1, run.info.run_id)
    assert client.get_model_version_download_uri(name + "-copy", 1) == f"{run.info.artifact_uri}/model"


def test_a_source_elsewhere_is_refused(client, name, run):
    client.create_registered_model(name)
    for source in ("/etc", "file:///etc/passwd", "mlflow-artifacts:/../../etc", "mlflow-artifacts:/0/%2e%2e/x"):
        refused("INVALID_PARAMETER_VALUE", client.create_model_version, name, source, run.info.run_id)
    assert client.search_model_versions(f"name = '{name}'") == []


def test_a_prompt_is_a_model_with_a_tag(client, server):
    import mlflow

    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    first = mlflow.genai.register_prompt("greeting", "Hello {{name}}", commit_message="first", tags={"a": "1"})
    second = mlflow.genai.register_prompt("greeting", "Good day {{name}}")
    assert (first.version, second.version) == (1, 2)
    mlflow.genai.set_prompt_alias("greeting", "live", 1)
    prompt = mlflow.genai.load_prompt("prompts:/greeting@live")
    assert prompt.format(name="Ana") == "Hello Ana"
    assert "greeting" not in [model.name for model in client.search_registered_models()]
    assert [prompt.name for prompt in mlflow.genai.search_prompts()] == ["greeting"]
