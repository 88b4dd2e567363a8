"""Folders with a git repository in which matraz and real DVC act."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from program import Done


class RealDvc:
    """The real `dvc`, kept loaded."""

    def __init__(self, environment, scratch):
        self.environment = environment
        self.out, self.err = scratch / "dvc.out", scratch / "dvc.err"
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).parent / "dvc_forks.py"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments, cwd, code=0):
        """Runs a command and checks its exit code; `code=None` takes any."""
        arguments = [str(argument) for argument in arguments]
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "environment": self.environment,
            "out": str(self.out),
            "err": str(self.err),
        }
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        ended = int(self.process.stdout.readline())
        done = Done("dvc " + " ".join(arguments), ended, self.out.read_text(), self.err.read_text())
        assert code is None or done.code == code, done
        return done

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Workspace:
    """A git repository and the tools to act in it."""

    def __init__(self, root, matraz, dvc, clone_of=None):
        self.root, self._matraz, self._dvc = root, matraz, dvc
        if clone_of is None:
            root.mkdir()
            self.git("init", "--quiet", "--initial-branch=main")
        else:
            subprocess.run(
                ["git", "clone", "--quiet", clone_of.root, root], env=matraz.environment, check=True
            )

    def clone(self, name="clone"):
        """A clone of what is committed, beside this one."""
        return Workspace(self.root.parent / name, self._matraz, self._dvc, clone_of=self)

    def git(self, *arguments):
        done = subprocess.run(
            ["git", *map(str, arguments)], cwd=self.root, env=self._matraz.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done
        return done.stdout

    def commit(self, message="A change"):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)

    def matraz(self, *arguments, code=0, cwd=None, **variables):
        return self._matraz(*arguments, cwd=cwd or self.root, code=code, **variables)

    def start(self, *arguments, **options):
        return self._matraz.start(*arguments, cwd=self.root, **options)

    def dvc(self, *arguments, code=0, cwd=None):
        return self._dvc(*arguments, cwd=cwd or self.root, code=code)

    def tool(self, name):
        """`matraz` or `dvc`, by name."""
        return {"matraz": self.matraz, "dvc": self.dvc}[name]

    def path(self, name):
        return self.root / name

    def write(self, name, content, executable=False):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if executable:
            path.chmod(path.stat().st_mode | 0o111)
        return path

    def read(self, name):
        return (self.root / name).read_text()

    def remove(self, *names):
        for name in names:
            path = self.root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()

    def tree(self, *below):
        """Every file below the given folders (all without them): path to content, and whether it can be run."""
        found = {}
        for start in below or (".",):
            for folder, folders, files in os.walk(self.root / start):
                folders[:] = [name for name in folders if name != ".git"]
                for name in files:
                    path = Path(folder) / name
                    mode = path.stat().st_mode
                    content = path.read_bytes()
                    found[str(path.relative_to(self.root))] = (content, bool(mode & stat.S_IXUSR))
        return found

    def cache(self):
        """The objects of the cache and the entries of the run cache: path to content and permissions."""
        base = self.root / ".dvc/cache"
        files = (path for path in base.rglob("*") if path.is_file())
        return {
            str(path.relative_to(base)): (path.read_bytes(), oct(stat.S_IMODE(path.stat().st_mode))) for path in files
        }

    def assert_clean(self):
        """Both tools find nothing changed."""
        assert self.dvc("status", "--json").json() == {}
        assert self.dvc("data", "status", "--json", "--untracked-files=no").json() == {}
        assert self.matraz("status", "--json").json() == {}
