"""Folders with a git repository in which matraz and real DVC act."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from program import Done


# Real DVC leaves such files in the cache.
LEFT_BEHIND = re.compile(r"\.[A-Za-z0-9_-]{22}\.tmp")


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

    def __call__(self, *arguments, cwd, code=0, **variables):
        """Runs a command and checks its exit code; `code=None` takes any."""
        arguments = [str(argument) for argument in arguments]
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "environment": {**self.environment, **variables},
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
            root.mkdir(parents=True)
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

    def dvc(self, *arguments, code=0, cwd=None, **variables):
        return self._dvc(*arguments, cwd=cwd or self.root, code=code, **variables)

    def ours(self, *arguments, code=0, cwd=None):
        """Our program in DVC's grammar, which records no runs."""
        return self.matraz("dvc", *arguments, code=code, cwd=cwd)

    def both(self, *arguments, code=0):
        """A command that changes nothing, by both tools: the exit codes must be equal, and what they print as JSON."""
        ours, real = self.ours(*arguments, code=code), self.dvc(*arguments, code=code)
        assert ours.code == real.code, (ours, real)
        if "--json" in arguments and ours.code == 0:
            assert ours.json() == real.json(), (ours, real)
        return ours

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

    def tree(self, *below, mode=stat.S_IXUSR):
        """What is below the given folders (all without them): path to content and mode bits; `None` for a folder.

        Leaves out git's own folder and what each tool keeps for itself.
        """
        found = {}
        for start in below or (".",):
            for folder, folders, files in os.walk(self.root / start):
                inside = Path(folder).relative_to(self.root)
                folders[:] = [name for name in folders if name != ".git" and (inside.name, name) != (".dvc", "tmp")]
                found.update({str(inside / name): None for name in folders})
                for name in files:
                    if LEFT_BEHIND.fullmatch(name):
                        continue
                    path = Path(folder) / name
                    found[str(inside / name)] = (path.read_bytes(), oct(path.stat().st_mode & mode))
        return found

    def tracked(self):
        """What git would commit, and the cache with all its permissions."""
        if not (self.root / ".dvc/cache").exists():
            return self.tree(), {}
        return self.tree(), self.tree(".dvc/cache", mode=0o777)

    def assert_clean(self):
        """Both tools find nothing changed."""
        for tool, command in ((self.dvc, ["status"]), (self.dvc, ["data", "status", "--untracked-files=no"]), (self.ours, ["status"])):
            found = tool(*command, "--json").json()
            assert found == {}, (command, found)
