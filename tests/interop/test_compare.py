"""Metrics, parameters and plots: both tools print the same JSON about the same project."""

import itertools

import pytest

DEFINITIONS = """\
metrics:
- metrics.yaml
params:
- more.toml
stages:
  train:
    cmd: cp history.csv curve.csv && cp numbers.json metrics.json
    deps: [history.csv, numbers.json]
    params: [lr, net.layers]
    metrics: [metrics.json]
    plots:
    - curve.csv: {x: step, y: loss}
plots:
- pictures
- classes.csv: {x: actual, y: predicted, template: confusion}
- both:
    x: step
    y: {history.csv: [loss, acc], sub/other.json: loss}
    title: Both
- bars:
    x: {sub/other.json: loss}
    y: {sub/other.json: [name]}
    template: bar_horizontal
- curve.csv: {template: own, x_label: "<x>"}
"""


@pytest.fixture
def project(workspace):
    """A project that was run and committed, and changed since."""
    workspace.ours("init")
    workspace.write("dvc.yaml", DEFINITIONS)
    workspace.write("history.csv", "step,loss,acc\n0,1.0,0.1\n1,0.5,0.3\n")
    workspace.write("sub/other.json", '{"log": {"rows": [{"step": 0, "loss": 1e-7, "name": "a"}, {"step": 1, "loss": NaN, "name": "b"}]}}')
    workspace.write("classes.csv", "actual,predicted\na,a\nb,a\nb\n")
    workspace.write("numbers.json", '{"loss": 0.5, "deep": {"auc": 0.123456789, "list": [1]}, "ok": true, "name": "m"}')
    workspace.write("metrics.yaml", "acc: 1e-5\nnone: null\nbig: 12345678901234567890\n")
    workspace.write("params.yaml", "lr: 0.1\nnet: {layers: [1, 2], name: a}\n")
    workspace.write("more.toml", "n = 1\n[s]\nf = 2.50\n")
    workspace.write("pictures/1.png", b"\x89PNG one")
    workspace.write("pictures/2.svg", "<svg/>")
    workspace.write(".dvc/plots/own.json", '{"data": {"values": "<DVC_METRIC_DATA>"}, "t": "of <DVC_METRIC_TITLE>", "c": "<DVC_METRIC_COLOR>"}')
    workspace.ours("repro")
    workspace.commit("one")
    workspace.git("tag", "v1")
    workspace.write("history.csv", "step,loss,acc\n0,0.9,0.2\n1,0.4,0.4\n")
    workspace.write("numbers.json", '{"loss": 0.25, "ok": false, "name": "n", "new": 1}')
    workspace.write("params.yaml", "lr: 0.2\nnet: {layers: [1, 3]}\nextra: {a: 1}\n")
    workspace.write("more.toml", 'n = "one"\n')
    workspace.ours("repro")
    return workspace


def test_plots_are_the_same(project):
    for split in ([], ["--split"]):
        project.both("plots", "show", "--json", *split)
        project.both("plots", "diff", "--json", "v1", *split)
        project.both("plots", "diff", "--json", "-o", "out", *split)
    for target in (["both"], ["curve.csv", "pict"], ["sub/other.json"], ["absent.csv"], ["curve.csv", "-y", "absent"]):
        project.both("plots", "show", "--json", *target)
    project.both("plots", "diff", "absent", "--json", code=None)
    project.both("plots", "show", "curve.csv", "-t", "absent", code=None)


def test_every_template_is_filled_the_same(project):
    names = project.dvc("plots", "templates").out.split()
    assert project.ours("plots", "templates").out.split() == names
    for name in names:
        assert project.ours("plots", "templates", name).json() == project.dvc("plots", "templates", name).json()
    for name, target in zip(names, itertools.cycle(["both", "curve.csv"])):
        project.both("plots", "diff", "--json", "--split", "--targets", target, "-t", name)


def test_metrics_and_parameters_are_the_same(project):
    for arguments in (["show"], ["show", "-a"], ["show", "-T"], ["diff"], ["diff", "--all"], ["diff", "v1", "HEAD"], ["show", "absent.json", "sub"], ["diff", "--targets", "metrics.json"]):
        project.both("metrics", *arguments, "--json")
    for arguments in (["diff"], ["diff", "--all"], ["diff", "--deps", "--all"], ["diff", "v1"], ["diff", "--targets", "more.toml"]):
        project.both("params", *arguments, "--json")
    for arguments in (["metrics", "show"], ["metrics", "show", "--precision", "2", "--md"], ["params", "diff", "--targets", "params.yaml", "--md"], ["params", "diff", "--targets", "params.yaml", "--all", "--no-path"]):
        assert project.ours(*arguments).out == project.dvc(*arguments).out, arguments
    project.both("metrics", "diff", "absent", code=None)
