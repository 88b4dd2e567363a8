"""Real DVC, imported once: every command is a fork of this process, which saves seconds each.

Reads one JSON request a line, `{"arguments", "cwd", "environment", "out", "err"}`, and answers with the exit code.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback


def command(request):
    for number, path in ((1, request["out"]), (2, request["err"])):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv = ["dvc", *request["arguments"]]
    code = 70
    try:
        from dvc.cli import main

        code = main(request["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


def modules_of_a_pipeline():
    """The names of what DVC loads for its commands, found by running some in a child process."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in (1, 2):
                os.dup2(nothing, number)
            from dvc.cli import main

            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                os.mkdir("project")
                os.chdir("project")
                subprocess.run(["git", "init", "--quiet"], check=True)
                for name, content in FILES.items():
                    with open(name, "w") as file:
                        file.write(content)
                for command in COMMANDS:
                    main(command.split())
                os.chdir("/")
        finally:
            os.write(sender, json.dumps(sorted(sys.modules)).encode())
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as pipe:
        names = json.load(pipe)
    os.waitpid(child, 0)
    return names


FILES = {
    "raw": "1",
    "params.yaml": "p: 1\n",
    "dvc.yaml": "stages:\n  a: {cmd: echo '{}' > m.json, deps: [raw], params: [p], metrics: [m.json]}\n",
}
COMMANDS = [
    "init", "add raw", "remote add -d far ../far", "repro", "push --run-cache", "status -c --json", "data status --json", "checkout", "pull", "fetch", "commit -f", "dag --dot", "dag --md",
    "repro -f", "config core.analytics false", "absent",
]  # fmt: skip


def main():
    for name in modules_of_a_pipeline():
        try:
            importlib.import_module(name)
        except Exception:
            pass

    requests, answers = sys.stdin, sys.stdout
    for line in requests:
        child = os.fork()
        if child == 0:
            command(json.loads(line))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
