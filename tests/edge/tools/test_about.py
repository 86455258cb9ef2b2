"""`eqedge --version -v`."""

import sys

from eqedge.edge.tools.about import about


def test_runtime_model_and_packages_are_named(model):
    """With the hash by which an event's model is recognised."""
    lines = {line.split()[0]: line for line in about()}
    assert "ai-edge-litert" in lines["runtime"]
    assert model.sha256 in lines["model"]
    assert "numpy" in lines["packages"]
    assert "python" in lines


def test_what_is_missing_is_said(monkeypatch):
    """It is the first thing asked for when something does not work, so it must work."""
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    assert "pip install ai-edge-litert" in about()[0]
