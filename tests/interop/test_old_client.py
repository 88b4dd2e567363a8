"""A client of MLflow 2 with `matraz server`: autolog, artifacts, models, stages, searches."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_a_training_script_of_mlflow_2(server, environment):
    packages = os.environ.get("OLD_CLIENT")
    assert packages, "OLD_CLIENT must name the folder with the packages of MLflow 2; `make test-interop` does it"
    script = Path(__file__).parent / "old_client.py"
    done = subprocess.run(
        [sys.executable, script, server.url],
        env={**environment, "PYTHONPATH": packages},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("version").startswith("2.22.")
    assert told == {
        "status": "FINISHED",
        "metrics": 1.5,
        "params": "q",
        "files": ["model", "notes"],
        "note": "hi",
        "stages": ["1"],
        "same": True,
        "searched": 1,
        "spans": [["double", 8], ["inner", 8]],
        "seen": "yes",
        "history": [2],
    }
