"""MLflow's own web app in front of another server: its files from the package, all else from that server."""

import mimetypes
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import requests

FILES = Path(mlflow.__file__).parent / "server/js/build"
OF_THE_SERVER = ("/ajax-api", "/api", "/graphql", "/get-artifact", "/model-versions/", "/version", "/health")


class WebApp:
    """Serves the web app until it is closed, and keeps what was asked of the server behind it."""

    def __init__(self, server_url):
        self.asked = []
        app = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                path = self.path.split("?")[0]
                if path.startswith(OF_THE_SERVER):
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if self.headers[name]}
                    found = requests.request(self.command, server_url + self.path, data=body, headers=headers)
                    app.asked.append((self.command, self.path, found.status_code, found.text[:300]))
                    return self.send(found.status_code, found.headers.get("Content-Type"), found.content)
                file = FILES / path.removeprefix("/static-files").lstrip("/")
                if path == "/" or not file.is_file():
                    file = FILES / "index.html"
                return self.send(200, mimetypes.guess_type(file.name)[0], file.read_bytes())

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer

            def send(self, code, media_type, body):
                self.send_response(code)
                self.send_header("Content-Type", media_type or "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
