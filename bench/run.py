"""Measures Matraz beside the real DVC and MLflow, turn by turn in the same run, and writes docs/benchmarks.md.

    make bench                 # with the release build and the Python environment of the tests
    QUICK=1 make bench         # small sizes, to see that it works; writes nothing
    FULL=1 make bench          # growth up to a million files

Every figure is the median of several rounds; the tools take turns, so that a busy moment of the machine meets both.
"""

import datetime
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import typing
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
MATRAZ = os.environ.get("MATRAZ", str(ROOT / "target/release/matraz"))
BIN = pathlib.Path(sys.executable).parent
QUICK = bool(os.environ.get("QUICK"))
FILES = 500 if QUICK else 20_000
STAGES = 20 if QUICK else 200
CALLS = 20 if QUICK else 200
ROUNDS = 1 if QUICK else 3
# FULL=1 takes a million files too: half an hour and 10 GB of disk.
GROWTH = [1000] if QUICK else [10_000, 100_000, *([1_000_000] if os.environ.get("FULL") else [])]

TOOLS = {"matraz": [MATRAZ, "dvc"], "dvc": [str(BIN / "dvc")]}


def environment(home):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))}
    env.update(
        HOME=str(home),
        DVC_NO_ANALYTICS="1",
        DVC_SITE_CACHE_DIR=str(home / "site"),
        MLFLOW_DISABLE_TELEMETRY="true",
        NO_COLOR="1",
        CI="1",
        PATH=f"{BIN}:{os.environ['PATH']}",
    )
    return env


class Cost(typing.NamedTuple):
    """What a command or a call took."""

    seconds: float
    # Of the processor, and the largest resident memory of one process in bytes; None where it was not measured.
    cpu: float | None = None
    memory: int | None = None


def median(costs):
    """The median of each column by itself."""
    columns = zip(*costs)
    return Cost(*(None if None in column else statistics.median(column) for column in columns))


def timed(command, cwd, env):
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            sys.exit(f"{command} ended with {process.returncode}:\n{output.read().decode()}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def in_turns(measure, rounds=ROUNDS, tools=TOOLS):
    """The median of each tool, measured in turns."""
    found = {name: [] for name in tools}
    for _ in range(rounds):
        for name in tools:
            found[name].append(measure(name))
    return {name: median(costs) for name, costs in found.items()}


def resident(pid):
    """The resident memory of a process and all below it, in bytes; shared pages count each time."""
    below = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            below.setdefault(parent, []).append(int(entry.name))
    total, waiting = 0, [pid]
    while waiting:
        each = waiting.pop()
        waiting += below.get(each, [])
        try:
            total += int(pathlib.Path(f"/proc/{each}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total


def project(folder, name, env):
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=folder, env=env, check=True)
    timed([*TOOLS[name], "init", "-q"], folder, env)
    return folder


def start_up(option, scratch, env):
    return in_turns(lambda name: timed([*TOOLS[name], option], scratch, env), ROUNDS * 5)


def start_up_of_mlflow(option, scratch, env):
    commands = {"matraz": [MATRAZ, "mlflow"], "mlflow": [str(BIN / "mlflow")]}
    return in_turns(lambda name: timed([*commands[name], option], scratch, env), tools=commands)


def fill(folder, files):
    """Files of 4 KiB, a thousand to a folder."""
    for n in range(files):
        path = folder / "data" / f"{n // 1000:04d}" / f"{n:07d}.bin"
        if n % 1000 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(n.to_bytes(4, "little") * 1024)


def life_of_data(scratch, env):
    """The commands in the order in which data live, each tool in a project and with a remote of its own."""
    found = {}

    def measure(name):
        folder = project(scratch / f"data-{name}", name, env)
        remote = scratch / f"remote-{name}"
        shutil.rmtree(remote, ignore_errors=True)
        fill(folder, FILES)
        timed([*TOOLS[name], "remote", "add", "-q", "-d", "r", str(remote)], folder, env)

        def run(*words):
            cost = timed([*TOOLS[name], words[0], "-q", *words[1:]], folder, env)
            found.setdefault(words[0], {}).setdefault(name, []).append(cost)

        run("add", "data")
        timed([*TOOLS[name], "status", "-q"], folder, env)
        run("status")
        shutil.rmtree(folder / "data")
        run("checkout")
        run("push")
        shutil.rmtree(folder / "data")
        shutil.rmtree(folder / ".dvc/cache")
        run("pull")
        return Cost(0)

    in_turns(measure)
    return {verb: {name: median(costs) for name, costs in tools.items()} for verb, tools in found.items()}


def add_of(make, scratch, env):
    """`add` of data that `make` writes."""

    def measure(name):
        folder = project(scratch / f"add-{name}", name, env)
        make(folder / "data")
        cost = timed([*TOOLS[name], "add", "-q", "data"], folder, env)
        shutil.rmtree(folder)
        return cost

    return in_turns(measure)


def middling(path):
    """Files of 256 KiB, a hundred to a folder."""
    for n in range(FILES // 10):
        file = path / f"{n // 100:04d}" / f"{n:06d}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(n.to_bytes(4, "little") * (1 << 16))


def large(path):
    """One file of 2 GiB."""
    with path.open("wb") as file:
        for n in range(20 if QUICK else 2048):
            file.write(n.to_bytes(4, "little") * (1 << 18))


def many_data_files(number, scratch, env):
    """`status` of one of many `.dvc` files, and of all of them."""
    folder = project(scratch / "dvc-files", "matraz", env)
    (folder / "one").write_text("1\n")
    timed([*TOOLS["matraz"], "add", "-q", "one"], folder, env)
    text = (folder / "one.dvc").read_text()
    for n in range(number):
        place = folder / f"d{n // 1000:04d}"
        place.mkdir(exist_ok=True)
        (place / f"f{n}.dvc").write_text(text.replace("path: one", f"path: f{n}"))
    command = [*TOOLS["matraz"], "status"]
    one = median([timed([*command, "one.dvc"], folder, env) for _ in range(ROUNDS)])
    every = median([timed(command, folder, env) for _ in range(ROUNDS)])
    shutil.rmtree(folder)
    return number, one, every


def growth(scratch, env):
    """Time and memory of Matraz alone as the number of files grows: `add`, `status`, `status` with one file changed."""
    for files in GROWTH:
        folder = project(scratch / "growth", "matraz", env)
        fill(folder, files)
        command = TOOLS["matraz"]
        added = timed([*command, "add", "-q", "data"], folder, env)
        timed([*command, "status", "-q"], folder, env)
        same = median([timed([*command, "status", "-q"], folder, env) for _ in range(ROUNDS)])
        (folder / "data/0000/0000000.bin").write_bytes(b"changed")
        # With `-q`, the exit code would say that something changed.
        changed = timed([*command, "status"], folder, env)
        shutil.rmtree(folder)
        print(f"{files:,} files: add {shown(added.seconds)}, status {shown(same.seconds)}", flush=True)
        yield files, added, same, changed


def chain(folder, name, stages, env):
    """A project with a chain of stages that copy a file."""
    text = "".join(
        f"  s{n:03d}:\n    cmd: cp {'in.txt' if n == 0 else f'o{n - 1:03d}.txt'} o{n:03d}.txt\n"
        f"    deps: [{'in.txt' if n == 0 else f'o{n - 1:03d}.txt'}]\n    outs: [o{n:03d}.txt]\n"
        for n in range(stages)
    )
    project(folder, name, env)
    (folder / "in.txt").write_text("1\n")
    (folder / "dvc.yaml").write_text("stages:\n" + text)
    return folder


def pipeline_from_nothing(stages, scratch, env):
    def measure(name):
        folder = chain(scratch / f"fresh-{name}", name, stages, env)
        return timed([*TOOLS[name], "repro", "-q"], folder, env)

    return in_turns(measure)


def pipeline(scratch, env):
    folders = {}
    for name in TOOLS:
        folders[name] = chain(scratch / f"pipeline-{name}", name, STAGES, env)
        # Both start from the same files, made by the quicker of the two.
        timed([*TOOLS["matraz"], "repro", "-q"], folders[name], env)
        timed([*TOOLS[name], "repro", "-q"], folders[name], env)
    return in_turns(lambda name: timed([*TOOLS[name], "repro", "-q"], folders[name], env))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(url, path, body):
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow/{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


def servers(scratch, env):
    """One log-metric and one log-batch of 1000 metrics, one client, each server alone."""
    commands = {
        "matraz": [MATRAZ, "mlflow", "server"],
        "mlflow": [str(BIN / "mlflow"), "server"],
    }
    found = {"metric": {}, "batch": {}, "start": {}}
    for name, command in commands.items():
        folder = scratch / f"server-{name}"
        folder.mkdir()
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        start = time.perf_counter()
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    urllib.request.urlopen(f"{url}/health", timeout=1).read()
                    break
                except OSError:
                    if time.perf_counter() - start > 180:
                        sys.exit(f"{command} did not start")
                    time.sleep(0.005)
            found["start"][name] = Cost(time.perf_counter() - start, memory=resident(server.pid))
            experiment = post(url, "experiments/create", {"name": "bench"})["experiment_id"]
            run = post(url, "runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
            single, batch = [], []
            for n in range(CALLS):
                begin = time.perf_counter()
                post(url, "runs/log-metric", {"run_id": run, "key": "loss", "value": n / 7, "timestamp": n, "step": n})
                single.append(time.perf_counter() - begin)
            for n in range(max(3, CALLS // 20)):
                metrics = [
                    {"key": f"m{k % 10}", "value": k / 3, "timestamp": n, "step": n * 1000 + k} for k in range(1000)
                ]
                begin = time.perf_counter()
                post(url, "runs/log-batch", {"run_id": run, "metrics": metrics})
                batch.append(time.perf_counter() - begin)
            found["metric"][name] = Cost(statistics.median(single))
            found["batch"][name] = Cost(statistics.median(batch))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
    return found


def shown(seconds):
    if seconds is None:
        return ""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def shown_memory(size):
    if size is None:
        return ""
    # Until a new process becomes the program, the system counts the memory of the one that started it: this one.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"{'≤ ' if size <= own else ''}{size / 2**20:.0f} MiB"


BOUNDS = """## What bounds the figures

`bench/floor` makes only the system calls that a command cannot do without (2 cores, two threads, 20,000 files of 4 KiB):

- Making a file, writing it and renaming it takes 15 µs, 0.30 s for all, where ext4 has inodes at hand. On ext4 without
  a journal it takes 100 to 600 µs beside inodes that were freed within some minutes; Matraz makes files elsewhere then
  (`crates/matraz-store/src/nursery.rs`).
- Looking at a file through the handle of its folder takes 1.4 µs on one core, 0.7 on two, by its whole path twice that.
  `status` looks at every file and at every object of the cache, and lists the folders: 40 to 45 ms for 20,000 files,
  which is more than the fiftieth part of DVC's time.
- Hashing files in the page cache with `add --no-commit`, whole command, beside a program that lists and reads the same
  files with two threads: 4 KiB 124 ms against 63 ms (the rest is two looks per file and the table of files), 256 KiB 76 ms
  against 50 ms, 16 MiB 141 ms against 97 ms. One file of 2 GiB takes 3.0 s, `openssl md5` 3.4 s.
- A stage of 50 that copy a file costs 7.6 ms: 2 to 3 ms are `cp` itself (5 ms through a shell, which is left out for plain
  words), the rest is waiting for the disk (`dvc.lock`, the run cache, `.gitignore`) and the birth of eight files."""


LOADS = """\
## Larger loads

Measured once with a release build, in turns with mlflow 3.18.0 with its defaults, each from an empty SQLite store; a
generator in Rust, as many connections as said. Not a part of `make bench`.

| what | Matraz | MLflow |
| --- | ---: | ---: |
| create run, 8 connections | 3,883 /s | 53 /s |
| `log-metric`, 1 / 8 / 64 connections | 3,192 / 4,974 / 5,528 /s | 19 / 107 / 87 /s |
| `log-batch` of 1,000 metrics, 1 / 4 connections, metrics | 135,820 / 122,030 /s | 5,470 / 10,080 /s |
| search of 10,000 runs with 20 metrics and 20 params each, p95: newest 100 | 17 ms | 880 ms |
| … by a metric and a param, ordered by a metric, 100 | 37 ms | 463 ms |
| … 1,000 ordered by a metric | 132 ms | 7.4 s |
| … by a pattern of a param and a time, 100 | 30 ms | 434 ms |
| a history of 100,000 points | 129 ms | 4.15 s |
| 320 points of it | 131 ms | 356 ms |
| upload / download of 500 MB | 714 / 2,688 MB/s | 297 / 188 MB/s |
| `experiments search` on the command line | 8 ms | 4.0 s |
| memory after all that | 78 MiB | 3,480 MiB |
| `models serve` of a pickled forest of 300 trees: until it answers | 3.0 s | 11.3 s |
| … requests of one row, 1 / 16 connections | 38 / 188 /s | 26 / 27 /s |
| … p99 at 16 connections | 174 ms | 839 ms |

- The pickled forest (measured with a development build) needs Python, which takes most of those times. The same forest as ONNX (30 MB) answers after 0.65 s, and
  6,600 and 18,900 requests a second, p99 2.4 ms at 16 connections.
- Over 30,000 runs the four searches take 43, 128, 181 and 62 ms (p95). A condition on a param or a metric costs SQLite one
  look into an index and one into a table for each run, 1.2 to 1.7 µs, as much as Python's `sqlite3` for the statement.
- 2,000 clients that log single metrics for a minute: 281,851 calls acknowledged and as many rows found afterwards, no error,
  p99 0.65 s, at most 139 MiB.
- A million files of 200 bytes in 1,000 folders: `add` 51 s (812 MiB), `status` 2.7 s (309 MiB), with one file changed 3.4 s.
- Recording costs 0.5 ms for each of 50 stages of `repro`. `exp show --json` of 2,000 experiments takes 0.70 s the first time
  and 0.09 s after that.
- SIGKILL of `add`, `checkout`, `push`, `pull`, `gc` and `repro` at 100 moments each (`make bench-faults`): every object had
  the bytes of its name, no lock entry of a stage that had not ended, and the next try completed."""


def page(rows, grown, data_files):
    """The page that tells the figures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [
        subprocess.run(command, capture_output=True, text=True).stdout.strip()
        for command in ([MATRAZ, "--version"], [str(BIN / "dvc"), "--version"], [str(BIN / "mlflow"), "--version"])
    ]
    lines = [
        "# Benchmarks",
        "",
        f"Measured by `make bench` on {datetime.date.today().isoformat()}: {os.cpu_count()} cores, {memory:.0f} GiB of "
        f"memory; {versions[0]}, DVC {versions[1]}, {versions[2].replace(', version', '')}.",
        "Each figure is the median of several rounds in which the tools took turns: wall time and their ratio, time of "
        "the processor, and the largest resident memory of the process (of a server: of all its processes, once it "
        "answers). The servers ran alone, with their defaults and one client. MLflow's acknowledged writes are synced "
        "to the disk one by one, ours are written ahead and survive a killed server, not a power cut.",
        "",
        "| what (peer) | Matraz | peer | ratio | processor | peer | memory | peer |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for what, ours, peer in rows:
        cells = [
            what,
            *(shown(cost.seconds) for cost in (ours, peer)),
            f"{peer.seconds / ours.seconds:.0f}×",
            *(shown(cost.cpu) for cost in (ours, peer)),
            *(shown_memory(cost.memory) for cost in (ours, peer)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "## Growth",
        "",
        "Matraz alone, files of 4 KiB; time, and the largest resident memory.",
        "",
        "| files | `add` | `status` | `status`, one file changed |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for files, *costs in grown:
        cells = [f"{shown(cost.seconds)}, {shown_memory(cost.memory)}" for cost in costs]
        lines.append(f"| {files:,} | {' | '.join(cells)} |")
    number, one, every = data_files
    lines += [
        "",
        f"In a project of {number:,} `.dvc` files, `status` of one of them takes {shown(one.seconds)} "
        f"({shown_memory(one.memory)}), of all of them {shown(every.seconds)} ({shown_memory(every.memory)}).",
        "",
        BOUNDS,
        "",
        LOADS,
    ]
    lines += ["", "To repeat it: `make bench`; `QUICK=1 make bench` is a short run that writes nothing."]
    return "\n".join(lines) + "\n"


def main():
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="matraz-bench-"))
    rows = []

    def row(what, figures):
        ours, peer = figures["matraz"], next(value for name, value in figures.items() if name != "matraz")
        rows.append((what, ours, peer))
        times = f"{shown(ours.seconds)} against {shown(peer.seconds)}, {peer.seconds / ours.seconds:.0f}x"
        print(f"{what}: {times}", flush=True)

    try:
        home = scratch / "home"
        home.mkdir()
        env = environment(home)
        subprocess.run(["git", "config", "--global", "user.email", "bench@localhost"], env=env, check=True)
        subprocess.run(["git", "config", "--global", "user.name", "Bench"], env=env, check=True)
        row("`--version` (DVC)", start_up("--version", scratch, env))
        row("`--help` (DVC)", start_up("--help", scratch, env))
        row("`--version` (MLflow)", start_up_of_mlflow("--version", scratch, env))
        row("`--help` (MLflow)", start_up_of_mlflow("--help", scratch, env))
        verbs = life_of_data(scratch, env)
        row(f"`add` of {FILES:,} files of 4 KiB (DVC)", verbs["add"])
        row("`status` of them, nothing changed (DVC)", verbs["status"])
        row("`checkout` of them (DVC)", verbs["checkout"])
        row("`push` of them to a folder (DVC)", verbs["push"])
        row("`pull` of them from it (DVC)", verbs["pull"])
        row(f"`add` of {FILES // 10:,} files of 256 KiB (DVC)", add_of(middling, scratch, env))
        row("`add` of one file of 2 GiB (DVC)", add_of(large, scratch, env))
        row(f"`repro` of {STAGES // 4} stages that copy a file (DVC)", pipeline_from_nothing(STAGES // 4, scratch, env))
        grown = list(growth(scratch, env))
        files = many_data_files(1000 if QUICK else 100_000, scratch, env)
        row(f"`repro` of {STAGES} stages, nothing changed (DVC)", pipeline(scratch, env))
        found = servers(scratch, env)
        row("server start until `/health` answers (MLflow)", found["start"])
        row("`log-metric`, one call (MLflow)", found["metric"])
        row("`log-batch` of 1,000 metrics, one call (MLflow)", found["batch"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if QUICK:
        print(page(rows, grown, files))
        return
    path = ROOT / "docs/benchmarks.md"
    path.write_text(page(rows, grown, files))
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
