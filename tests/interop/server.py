"""`matraz server` and `matraz models serve` on free loopback ports."""

import re
import signal
import subprocess

import requests


class Server:
    """A running server with its store in a folder; it is stopped by its process id."""

    def __init__(self, matraz, folder, *arguments, command=("server",)):
        folder.mkdir(exist_ok=True)
        if command == ("server",):
            # Said in full: a project further up must not lend its own.
            store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
            if "--no-serve-artifacts" not in arguments:
                store += ["--artifacts-destination", folder / "mlartifacts"]
            arguments = [*store, *arguments]
        self.folder = folder
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = matraz.start(*command, "-p", 0, *arguments, cwd=folder, stderr=log)
        first = self.process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", first)
        if address is None:
            code = self.process.wait()
            raise AssertionError(f"{command} ended with {code}: {first}{self.log.read_text()}")
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
