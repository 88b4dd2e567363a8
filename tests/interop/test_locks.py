"""Both tools at work in one project at the same time: each waits for the other, or says whom it would wait for."""

import fcntl
import json
import os
import subprocess
import sys
import time

import pytest

SLOW = """\
stages:
  slow:
    cmd: touch started; while [ ! -e go ]; do sleep 0.05; done; cp in.txt out.txt
    deps:
    - in.txt
    outs:
    - out.txt
"""


@pytest.fixture
def slow(workspace):
    workspace.dvc("init", "--quiet")
    workspace.write("in.txt", "1\n")
    workspace.write("other.txt", "2\n")
    workspace.write("dvc.yaml", SLOW)
    return workspace


def real_dvc(project, *arguments):
    """Real DVC in a process of its own, in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project.root,
        env=project._dvc.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.02)


def finish(process):
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


def test_matraz_works_beside_a_reproduction_of_dvc(slow):
    repro = real_dvc(slow, "repro")
    until(slow.path("started").exists)
    slow.matraz("status")
    slow.matraz("add", "other.txt")
    # What the stage makes is not ours to touch now; the one who holds it is named.
    waiting = slow.start("repro")
    time.sleep(1)
    assert waiting.poll() is None
    slow.write("go", "")
    assert finish(repro)[0] == 0
    code, out = finish(waiting)
    assert code == 0 and str(repro.pid) in out, out
    slow.both("status", "--json")


def test_dvc_works_beside_a_reproduction_of_matraz(slow):
    repro = slow.start("repro")
    until(slow.path("started").exists)
    slow.dvc("add", "other.txt")
    # Real DVC does not wait, not even to look.
    for command in ("status", "repro"):
        refused = slow.dvc(command, code=None)
        assert refused.code != 0 and f"PID {repro.pid}" in refused.err, refused
    slow.write("go", "")
    code, out = finish(repro)
    assert code == 0, out
    slow.dvc("repro")
    assert json.loads(slow.dvc("status", "--json").out) == {}


def test_the_lock_of_one_is_the_lock_of_the_other(slow):
    slow.matraz("add", "other.txt")
    with open(slow.path(".dvc/tmp/lock"), "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f" {os.getpid()}\n")
        lock.flush()
        adding = slow.start("add", "in.txt")
        time.sleep(0.5)
        assert adding.poll() is None
        assert "Unable to acquire lock" in slow.dvc("add", "other.txt", code=None).err
    code, out = finish(adding)
    assert code == 0 and str(os.getpid()) in out, out


def test_what_the_dead_held_is_taken_over_by_both(slow):
    for second in (slow.dvc, slow.matraz):
        slow.remove("started", "go", "out.txt", "dvc.lock", ".dvc/cache/runs")
        repro = slow.start("repro", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(slow.path("started").exists)
        repro.kill()
        repro.wait()
        # Its command still runs, and ends now.
        slow.write("go", "")
        until(lambda: slow.path("out.txt").exists())
        second("repro")
        assert slow.read("out.txt") == "1\n"
    entries = json.loads(slow.read(".dvc/tmp/rwlock"))
    assert not entries.get("write") and not entries.get("read"), entries
