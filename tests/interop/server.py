"""`matraz server`, `matraz models serve` and real MLflow's server on free loopback ports."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import requests


class Running:
    """A started server; it is stopped by its process id."""

    def __init__(self, process, folder, log):
        self.process, self.folder = process, folder
        first = self.process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", first)
        if address is None:
            code = self.process.wait()
            raise AssertionError(f"{self.process.args} ended with {code}: {first}{log.read_text()}")
        self.url = address.group()

    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.url, registry_uri=self.url)

    def get(self, address, **parameters):
        return requests.get(f"{self.url}{address}", params=parameters)

    def post(self, path, body=None, **options):
        return requests.post(f"{self.url}/api/2.0/mlflow/{path}", json=body, **options)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        return self.process.returncode


class Server(Running):
    """`matraz server` with its store in a folder, or another command that listens."""

    def __init__(self, matraz, folder, *arguments, command=("server",), log=None):
        folder.mkdir(exist_ok=True)
        if command == ("server",):
            # Said in full: a project further up must not lend its own.
            store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
            if "--no-serve-artifacts" not in arguments:
                store += ["--artifacts-destination", folder / "mlartifacts"]
            arguments = [*store, *arguments]
        log = log or folder / "server.log"
        with log.open("w") as errors:
            process = matraz.start(*command, "-p", 0, *arguments, cwd=folder, stderr=errors)
        super().__init__(process, folder, log)


class RealServer(Running):
    """Real MLflow's server on the store in a folder, or another script that listens."""

    def __init__(self, folder, environment, *arguments, script="real_server.py"):
        log = folder / "real.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, Path(__file__).parent / script, *(arguments or [folder])],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        super().__init__(process, folder, log)
