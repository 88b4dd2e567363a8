"""Answers the scoring requests of `matraz models serve` with the MLflow of the environment it runs in.

Requests come in frames on standard input, answers leave in frames on standard output: a number (8 bytes), the
length of the head (4), the length of the body (8), head and body. The head of a request is its content type, that
of an answer its status and content type. The first frame says `ready` or `failed`. At the end of the input the
whole process group ends, whatever it is doing.
"""

import json
import os
import signal
import struct
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

SIZES = struct.Struct(">QIQ")
# How many requests are worked on at once, at most.
SLOTS = 32

# Private copies; what a model prints goes to standard error.
requests = os.fdopen(os.dup(0), "rb")
answers = os.fdopen(os.dup(1), "wb")
nothing = os.open(os.devnull, os.O_RDONLY)
os.dup2(nothing, 0)
os.close(nothing)
os.dup2(2, 1)
writing = threading.Lock()


def send(number, head, body):
    head = head.encode("utf-8")
    body = body.encode("utf-8") if isinstance(body, str) else body
    with writing:
        answers.write(SIZES.pack(number, len(head), len(body)) + head)
        answers.write(body)
        answers.flush()


def end():
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def fail(kind, error):
    if kind == "model":
        traceback.print_exc()
    send(0, "failed", json.dumps({"kind": kind, "python": sys.executable, "reason": f"{type(error).__name__}: {error}"}))
    sys.stderr.flush()
    os._exit(1)


# Read beside everything else, so that the end of the input is seen while a model loads.
def read(queue):
    while True:
        sizes = requests.read(SIZES.size)
        if len(sizes) < SIZES.size:
            end()
        number, head, body = SIZES.unpack(sizes)
        content = requests.read(head + body)
        if len(content) < head + body:
            end()
        queue(number, content[:head].decode("utf-8"), content[head:])


def score(body, content_type):
    if gathering is not None:
        gathering._predict_fn.enter()
        try:
            result = scoring_server.invocations(body, content_type, gathering, input_schema)
            if result.status == 200:
                return result
        except Exception:
            pass  # The model itself says below what is wrong.
        finally:
            gathering._predict_fn.leave()
    return scoring_server.invocations(body, content_type, model, input_schema)


def answer(number, content_type, body):
    try:
        # Before MLflow 3 texts are expected.
        if old and "parquet" not in content_type:
            body = body.decode("utf-8")
        result = score(body, content_type or None)
        head, text = f"{result.status} {result.mimetype}", result.response
    except MlflowException as error:
        head, text = f"{error.get_http_status_code()} application/json", error.serialize_as_json()
    except BaseException:
        traceback.print_exc()
        head, text = "500 text/plain", "Internal Server Error"
    try:
        send(number, head, text)
    except OSError:
        end()


pool = ThreadPoolExecutor(SLOTS)
threading.Thread(target=read, args=(lambda *request: pool.submit(answer, *request),), daemon=True).start()

try:
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import load_model, scoring_server

    scoring_server.invocations
except (ImportError, AttributeError) as error:
    fail("mlflow", error)

try:
    old = int(mlflow.__version__.split(".")[0]) < 3
    load = getattr(scoring_server, "load_model_with_mlflow_config", load_model)
    model = load(sys.argv[1])
    input_schema = model.metadata.get_input_schema()
    gathering = predicting_together(model)
    slots = min(SLOTS, (os.cpu_count() or 1) + 4) if gathering is None else SLOTS
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
except BaseException as error:
    fail("model", error)

send(0, "ready", json.dumps({"version": mlflow.__version__, "slots": slots}))
threading.Event().wait()
