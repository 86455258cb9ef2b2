"""`eqedge --version -v`."""

import sys

from eqedge.edge.tools.about import about


def test_runtime_model_and_packages_are_named(model):
    """With the hash that identifies the model of an event."""
    lines = {line.split()[0]: line for line in about()}
    assert "ai-edge-litert" in lines["runtime"]
    assert model.sha256 in lines["model"]
    assert "numpy" in lines["packages"]
    assert "python" in lines


def test_a_missing_part_has_a_line(monkeypatch):
    """It is the first command to run when something does not work, so it must work."""
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    assert "pip install ai-edge-litert" in about()[0]
