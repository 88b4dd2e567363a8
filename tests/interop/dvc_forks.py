"""Real DVC, imported once: every command is a fork of this process, which saves seconds each.

Reads one JSON request a line, `{"arguments", "cwd", "environment", "out", "err"}`, and answers with the exit code.
"""

import json
import os
import sys
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


def main():
    import dvc.cli
    import dvc.commands.repro
    import dvc.repo
    import dvc.stage.serialize
    import dvc_data.index.checkout  # noqa: F401

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
