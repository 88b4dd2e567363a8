"""MLflow's own web app works in front of `matraz server`: its pages show what is stored, and it gets no errors."""

import re
import shutil
import subprocess

import pytest

from mlflow_ui import WebApp

# What MLflow's own server answers no differently: nobody signs in, and parts that the web app can do without.
MAY_FAIL = re.compile(
    r"users/current|presigned=true|/assistant/|/ui-telemetry|/gateway-proxy|/issues/|/scorers/|/gateway/|/label-schemas|/review-queues|/mcp-servers|/jobs"
)


@pytest.fixture(scope="module")
def stored(server):
    client = server.client()
    experiment = client.create_experiment("seen in the web app")
    run = client.create_run(experiment, run_name="a-run-to-see")
    for step in range(5):
        client.log_metric(run.info.run_id, "accuracy", step / 10, step=step)
    client.log_param(run.info.run_id, "depth", "7")
    client.log_text(run.info.run_id, "hello from a file", "notes/hello.txt")
    client.set_terminated(run.info.run_id)
    client.create_registered_model("model-to-see")
    client.create_model_version("model-to-see", f"runs:/{run.info.run_id}/notes", run.info.run_id)
    return experiment, run.info.run_id


@pytest.fixture(scope="module")
def look(server, tmp_path_factory):
    """Opens a page in a browser without a window; gives its text, and what went wrong."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    app = WebApp(server.url)
    profile = tmp_path_factory.mktemp("browser")

    def look(page):
        app.asked.clear()
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--enable-logging=stderr"]
        command += ["--virtual-time-budget=20000", "--timeout=40000", "--dump-dom", f"{app.url}/#{page}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        failed = [asked for asked in app.asked if asked[2] >= 400 and not MAY_FAIL.search(asked[1])]
        failed += [asked for asked in app.asked if '"errors": [' in asked[3] or '"errors":[' in asked[3]]
        failed += re.findall(r"CONSOLE.*Uncaught.*", done.stderr)
        return done.stdout, failed

    yield look
    app.close()


def test_pages_of_mlflows_web_app(look, stored):
    experiment, run = stored
    seen = {
        "/experiments": ["seen in the web app"],
        f"/experiments/{experiment}/runs": ["a-run-to-see"],
        f"/experiments/{experiment}/runs/{run}": ["a-run-to-see", "accuracy", "depth"],
        f"/experiments/{experiment}/runs/{run}/artifacts": ["notes"],
        f"/experiments/{experiment}/traces": [],
        "/models": ["model-to-see"],
        "/models/model-to-see": ["Version 1"],
    }
    for page, words in seen.items():
        text, failed = look(page)
        assert failed == [], page
        missing = [word for word in words if word not in text]
        assert missing == [], f"{page}: {re.sub('<[^>]+>', ' ', text)[-2000:]}"
