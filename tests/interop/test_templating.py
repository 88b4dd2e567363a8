"""`dvc.yaml` in all its forms: random pipelines are locked by both tools alike, broken ones are refused by both.

The random pipelines come from fixed seeds, so that a failure comes back; the seed is in the folder's name.
"""

import json
import random

import pytest
import yaml

TEXTS = ["m", "two words", "it's", 'q"q', "true", "1", "1e5", "~", "", "-x", "ünï", "a: b", "# no", "line\nbreak", "\\${x}", "null", "0x1F", "01", "1_000", "yes", "2020-01-01", "trail ", "[x]", "{y}", "*", "&a", "%", "@x", "!t", "|", "1.0", ".5", "word " * 20]
NUMBERS = [0, 1, -1, 10**16, 2**63, 0.1, 1.0, -0.0, 1e-5, 1e16, 123456789.123456789, float("inf"), 3.14, 5e-324]
FILES = ["a.txt", "sub/b.txt", "data", "sp ace.txt", "ü.txt"]


def scalar(r):
    return r.choice([r.choice(TEXTS), r.choice(NUMBERS), r.choice(NUMBERS), r.choice([True, False, None])])


def value(r, depth=0):
    kind = r.random()
    if depth > 2 or kind < 0.6:
        return scalar(r)
    if kind < 0.8:
        return [value(r, depth + 1) if r.random() < 0.2 else scalar(r) for _ in range(r.randint(0, 4))]
    return {r.choice(["lr", "x-y", "a_b", "k 1"]): value(r, depth + 1) for _ in range(r.randint(0, 3))}


def leaves(found, prefix=""):
    """The dotted names of scalars and mappings that a template may name."""
    items = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, inner in items:
        if not set(str(key)) & set(" .-"):
            path = f"{prefix}.{key}" if isinstance(found, dict) and prefix else f"{prefix}[{key}]" if prefix else str(key)
            yield path, inner
            yield from leaves(inner, path)


def becomes_options(found):
    """Whether a mapping may stand in a command: its lists hold no lists or mappings."""
    if isinstance(found, dict):
        return all(map(becomes_options, found.values()))
    return not isinstance(found, list) or not any(isinstance(item, (list, dict)) for item in found)


class Pipeline:
    """A random `dvc.yaml` and the files that it reads."""

    def __init__(self, seed):
        self.r = r = random.Random(seed)
        self.values = {"params.yaml": {f"p{n}": value(r) for n in range(4)}}
        self.values["more.json"] = {f"j{n}": value(r) for n in range(3)}
        self.names = [*leaves(self.values["params.yaml"])]
        self.document = {}
        if r.random() < 0.7:
            local = {f"v{n}": value(r) for n in range(2)}
            self.document["vars"] = [r.choice(["more.json", "more.json:j0,j2"]), local]
            loaded = self.values["more.json"]
            if ":" in self.document["vars"][0]:
                loaded = {key: loaded[key] for key in ("j0", "j2")}
            self.names += [*leaves(local), *leaves(loaded)]
        self.document["stages"] = {f"s{n}": self.definition(n) for n in range(3)}

    def template(self, text, local, mappings=False):
        names = [name for name, inner in self.names if not isinstance(inner, list) and (not isinstance(inner, dict) or mappings and becomes_options(inner))]
        names += local * 3
        if not names or self.r.random() < 0.4:
            return text
        name = "${" + self.r.choice(["", " "]) + self.r.choice(names) + self.r.choice(["", " "]) + "}"
        return self.r.choice([f"{text} {name}", f"x{name}{name}", f"\\{name} {text}", f"x-{name}$", f"$ {name} }}"])

    def stage(self, number, local):
        r = self.r
        stage = {"cmd": self.template(r.choice(["echo 1", "echo 'a b'", "echo a\necho b\n"]), local, mappings=True)}
        if r.random() < 0.2:
            stage["cmd"] = [stage["cmd"], self.template("true", local)]
        if r.random() < 0.5:
            stage["deps"] = r.sample(FILES, r.randint(0, 3))
        if r.random() < 0.6:
            keys = [name for name, _ in self.names if name[0] == "p" and "[" not in name]
            stage["params"] = [*r.sample(keys, min(2, len(keys))), {"more.json": r.choice([None, ["j0"]])}]
        if not local:
            stage[r.choice(["outs", "metrics", "plots"])] = [{f"o{number}": {"cache": False, "desc": "d"}}, f"o{number}"]
        items = list(stage.items())
        r.shuffle(items)
        return dict(items)

    def definition(self, number):
        r = self.r
        kind = r.random()
        if kind < 0.5:
            return self.stage(number, [])
        if kind < 0.75:
            lists = [name for name, inner in self.names if isinstance(inner, list) and "" not in inner and inner]
            items, local = r.choice(
                [
                    (["a", 1, 2.5, True, None], ["item"]),
                    ([{"p": 1}, {"p": "x y"}], ["item.p"]),
                    ({"us": {"p": 1}, "uk": {"p": 2}}, ["item.p", "key"]),
                    ("${" + r.choice(lists) + "}", []) if lists else (["x", "x"], ["item"]),
                ]
            )
            return {"foreach": items, "do": self.stage(number, local)}
        axes = {axis: r.choice([["a", "b"], [1, 2.5], [True, None], [{"q": 1}, [2]]]) for axis in ("os", "ver")}
        local = ["key", *(f"item.{axis}" for axis, items in axes.items() if not isinstance(items[0], dict))]
        return {"matrix": axes, **self.stage(number, local)}


def test_random_pipelines_are_locked_alike(twins):
    seeds = range(40)
    for workspace, tool in zip(twins, ("ours", "dvc")):
        workspace.dvc("init", "--no-scm", "-q")
        for seed in seeds:
            pipeline = Pipeline(seed)
            for file in FILES:
                workspace.write(f"{seed}/{file}" + ("/one" if file == "data" else ""), file)
            for number in range(3):
                workspace.write(f"{seed}/o{number}", str(number))
            workspace.write(f"{seed}/more.json", json.dumps(pipeline.values["more.json"]))
            for name, content in (("params.yaml", pipeline.values["params.yaml"]), ("dvc.yaml", pipeline.document)):
                workspace.write(f"{seed}/{name}", yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
        getattr(workspace, tool)("commit", "-f", "-q")
    ours, real = twins
    for seed in seeds:
        found, expected = (yaml.safe_load(workspace.read(f"{seed}/dvc.lock")) for workspace in (ours, real))
        assert found == expected, ours.read(f"{seed}/dvc.yaml")


BROKEN = {
    "a key": "stages: {s: {cmd: x, depz: [a]}}",
    "a top key": "stage: {s: {cmd: x}}",
    "no command": "stages: {s: {deps: [a]}}",
    "a number as command": "stages: {s: {cmd: 5}}",
    "an empty list of outputs": "stages: {s: {cmd: x, outs: }}",
    "a number as dependency": "stages: {s: {cmd: x, deps: [5]}}",
    "a text as truth": "stages: {s: {cmd: x, frozen: 'yes'}}",
    "foreach without do": "stages: {s: {foreach: [a]}}",
    "foreach with a command": "stages: {s: {foreach: [a], do: {cmd: x}, cmd: y}}",
    "foreach over a number": "stages: {s: {foreach: '${n}', do: {cmd: x}}}",
    "matrix over a text": "stages: {s: {matrix: {a: 'x', b: 5}, cmd: x}}",
    "an unknown value": "stages: {s: {cmd: 'echo ${nope}'}}",
    "no expression": "stages: {s: {cmd: 'echo ${}'}}",
    "a bad expression": "stages: {s: {cmd: 'echo ${a..b}'}}",
    "a list in a command": "stages: {s: {cmd: 'echo ${l}'}}",
    "a mapping in a dependency": "stages: {s: {cmd: x, deps: ['${d}']}}",
    "an index too far": "stages: {s: {cmd: 'echo ${l[9]}'}}",
    "vars that are not there": "vars: [absent.yaml]\nstages: {s: {cmd: x}}",
    "vars with a template": "vars: [{a: '${n}'}]\nstages: {s: {cmd: x}}",
    "vars that redefine": "vars: [{n: 2}]\nstages: {s: {cmd: x}}",
    "vars loaded twice": "vars: ['params.yaml:n']\nstages: {s: {cmd: x}}",
    "a reserved name": "stages: {s: {foreach: [a], do: {cmd: x, vars: [{item: 1}]}}}",
    "an artifact without a path": "artifacts: {m: {type: model}}",
    "a plot with a wrong key": "plots: [{p: {z: 1}}]",
    "the same key twice": "stages: {s: {cmd: x, cmd: y}}",
    "not YAML": "stages: {s: {cmd: x",
}


def test_broken_pipelines_are_refused(workspace):
    workspace.dvc("init", "--no-scm", "-q")
    workspace.write("params.yaml", "n: 1\nl: [1, 2]\nd: {a: 1}\n")
    for what, document in BROKEN.items():
        workspace.write("dvc.yaml", document + "\n")
        ours, real = (tool("stage", "list", code=None).code for tool in (workspace.ours, workspace.dvc))
        assert (what, ours) == (what, real) == (what, 255)


@pytest.mark.parametrize("style", ["bool = boolean_optional", "list = append"])
def test_mappings_become_options_alike(twins, style):
    for workspace, tool in zip(twins, ("ours", "dvc")):
        workspace.dvc("init", "--no-scm", "-q")
        workspace.write(".dvc/config", f"[core]\n    no_scm = True\n[parsing]\n    {style}\n")
        workspace.write("params.yaml", "d: {lr: 1e-5, on: true, off: false, name: 'two words', tags: [a, 'b c', 1], none: null, deep: {er: {x: '$y'}}, empty: {}}\n")
        workspace.write("dvc.yaml", "stages: {s: {cmd: 'run ${d} end ${d.deep}'}}\n")
        getattr(workspace, tool)("commit", "-f", "-q")
    assert twins[0].read("dvc.lock") == twins[1].read("dvc.lock")
