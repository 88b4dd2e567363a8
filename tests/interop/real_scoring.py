"""Real MLflow's scoring server for several models in one process: `real_scoring.py NAME=FOLDER…` prints its address.

A model's routes lie below its name.
"""

import socket
import sys

import pandas
import uvicorn
from fastapi import FastAPI
from mlflow.pyfunc import load_model, scoring_server

# With the texts of pandas 3 its ONNX flavor refuses every text column.
pandas.set_option("future.infer_string", False)

app = FastAPI()
for argument in sys.argv[1:]:
    name, folder = argument.split("=", 1)
    app.mount(f"/{name}", scoring_server.init(load_model(folder)))

listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="critical")).run(sockets=[listener])
