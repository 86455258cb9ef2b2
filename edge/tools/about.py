"""List the parts of this installation, for `eqedge --version -v`."""

from __future__ import annotations

import platform
from importlib import metadata

from ... import EqedgeError
from ...models.registry import DEFAULT_MODEL, open_model
from ..runtime import RuntimeMissing, find_runtime


def about() -> list[str]:
    """Return lines for people; a missing part has a line too, and raises nothing."""
    try:
        runtime = find_runtime()
        interpreter = f"{runtime.name} {runtime.version}"
    except RuntimeMissing as error:
        interpreter = str(error)
    try:
        model = open_model(DEFAULT_MODEL)
        built_in = f"{model.name}, sha256 {model.sha256}"
    except EqedgeError as error:
        built_in = str(error)
    packages = ("numpy", "pyserial", "h5py", "paho-mqtt")
    return [
        f"runtime   {interpreter}",
        f"model     {built_in}",
        f"packages  {', '.join(f'{name} {metadata.version(name)}' for name in packages)}",
        f"python    {platform.python_version()} on {platform.machine()}, {platform.platform()}",
    ]
