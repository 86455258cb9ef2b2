"""Write a figure to a file of its suffix, or show it in a window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ... import EqedgeError, how_to_install, reason_of
from ...edge.files import written_whole
from .plot_style import SETTINGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 160


class PlotError(EqedgeError):
    """A figure that cannot be drawn."""


def present(
    size_inches: tuple[float, float], draw: Callable[[Figure], None], output: Path | None
) -> None:
    """Draw a figure and write it, or open it in a window until that is closed.

    Args:
        size_inches: Width and height.
        draw: Fills an empty figure.
        output: `.png`, `.svg` or `.pdf`; written under a temporary name, then renamed. None
            opens a window.

    Raises:
        PlotError: matplotlib is missing, the suffix is of none of these, the file cannot be
            written, or there is no display.
    """
    if output is not None and output.suffix not in SUFFIXES:
        raise PlotError(
            f"{output}: cannot write {output.suffix or 'a file without suffix'}; "
            f"name it {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotError(
            f"matplotlib cannot be imported ({error}); {how_to_install('plot')}"
        ) from error
    except ValueError as error:  # of MPLBACKEND, or a damaged matplotlibrc
        raise PlotError(f"matplotlib does not start ({error}); unset MPLBACKEND") from error
    with matplotlib.rc_context(SETTINGS):
        if output is None:
            _window(size_inches, draw)
            return
        figure = Figure(figsize=size_inches)
        draw(figure)
        _write(figure, output)


def _write(figure: Figure, output: Path) -> None:
    # without a date the same figure is the same file
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(output.suffix, {})
    try:
        with written_whole(output) as unfinished:
            figure.savefig(
                unfinished, format=output.suffix[1:], dpi=DOTS_PER_INCH, metadata=metadata
            )
    except OSError as error:
        raise PlotError(
            f"{output}: cannot be written ({reason_of(error)}); name a file in a folder that exists"
        ) from error


def _window(size_inches: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    try:
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=size_inches)
    except (ImportError, RuntimeError) as error:
        raise PlotError(f"no window can be opened ({error}); give --output FILE.png") from error
    if figure.canvas.required_interactive_framework is None:
        raise PlotError("there is no display to open a window on; give --output FILE.png")
    draw(figure)
    pyplot.show()
