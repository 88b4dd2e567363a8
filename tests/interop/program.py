"""The program under test, called as a user calls it."""

import json
import os
import subprocess
import sys
from pathlib import Path


def clean_environment(scratch):
    """The environment of every program that a test starts."""
    python = Path(sys.executable).parent
    return {
        "PATH": os.pathsep.join([str(scratch / "bin"), str(python), os.environ["PATH"]]),
        "HOME": str(scratch / "home"),
        "LC_ALL": "C.UTF-8",
        "SHELL": "/bin/sh",
        "USER": "tester",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Tester",
        "GIT_AUTHOR_EMAIL": "tester@localhost",
        "GIT_COMMITTER_NAME": "Tester",
        "GIT_COMMITTER_EMAIL": "tester@localhost",
        "DVC_GLOBAL_CONFIG_DIR": str(scratch / "config/global"),
        "DVC_SYSTEM_CONFIG_DIR": str(scratch / "config/system"),
        "DVC_SITE_CACHE_DIR": str(scratch / "site"),
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Messages of MLflow show sets; two processes must show them in the same order.
        "PYTHONHASHSEED": "0",
        "NO_COLOR": "1",
        "CI": "1",
    }


class Done:
    """How a command ended."""

    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    def __repr__(self):
        return f"{self.command} ended with {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def json(self):
        return json.loads(self.out)


class Matraz:
    def __init__(self, program, environment):
        self.program, self.environment = str(program), environment

    def __call__(self, *arguments, cwd, code=0, **variables):
        """Runs a command and checks its exit code; `code=None` takes any."""
        arguments = [str(argument) for argument in arguments]
        done = subprocess.run(
            [self.program, *arguments],
            cwd=cwd,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        done = Done("matraz " + " ".join(arguments), done.returncode, done.stdout, done.stderr)
        assert code is None or done.code == code, done
        return done

    def start(self, *arguments, cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **variables):
        """Starts a command and leaves it running."""
        return subprocess.Popen(
            [self.program, *map(str, arguments)],
            cwd=cwd,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )
