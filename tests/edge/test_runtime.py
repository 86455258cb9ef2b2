"""One place finds the interpreter, and opens models in it."""

import sys

import pytest
from eqedge.edge.runtime import RuntimeMissing, find_runtime, open_interpreter
from eqedge.models.registry import DEFAULT_MODEL, open_model

MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def hide(monkeypatch, *modules):
    """Make modules fail to import."""
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


def test_the_first_candidate_goes_first():
    """LiteRT is what the package requires on this machine."""
    runtime = find_runtime()
    assert runtime.name == "ai-edge-litert"
    assert runtime.version[0].isdigit()


def test_the_second_is_taken_without_the_first(monkeypatch, tmp_path):
    """Also where it was built by hand and no package manager knows its version."""
    hide(monkeypatch, "ai_edge_litert.interpreter")
    (tmp_path / "tflite_runtime").mkdir()
    (tmp_path / "tflite_runtime" / "__init__.py").write_text("")
    (tmp_path / "tflite_runtime" / "interpreter.py").write_text("class Interpreter: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    runtime = find_runtime()
    assert (runtime.name, runtime.version) == ("tflite-runtime", "of unknown version")
    for module in [name for name in sys.modules if name.startswith("tflite_runtime")]:
        del sys.modules[module]


def test_without_any_both_are_named(monkeypatch):
    """With the error of each of them, and what to install."""
    hide(monkeypatch, *MODULES)
    with pytest.raises(RuntimeMissing, match=r"ai-edge-litert: .*tflite-runtime: .*pip install"):
        find_runtime()


@pytest.mark.parametrize("keep_tensors", [False, True])
def test_a_model_opens_ready_to_run_and_without_output(keep_tensors, capfd):
    """Inner tensors can be read after a run where that is wanted; standard error stays empty."""
    interpreter = open_interpreter(open_model(DEFAULT_MODEL).data, keep_tensors=keep_tensors)
    interpreter.invoke()
    gone = 0
    for detail in interpreter.get_tensor_details():
        try:
            interpreter.get_tensor(detail["index"])
        except ValueError:
            gone += 1
    assert (gone == 0) is keep_tensors
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("data", [b"", b"abc", bytes(5000)])
def test_what_is_not_a_model_does_not_open(data):
    """The runtime's own error comes out: its callers name the file."""
    with pytest.raises(ValueError, match="model"):
        open_interpreter(data)
