"""Write figures to files of their suffix, or show them in windows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ... import EqedgeError, how_to_install, reason_of
from ...edge.files import written_whole
from .plot_style import SETTINGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 200


class PlotError(EqedgeError):
    """A figure that cannot be drawn."""


@dataclass(frozen=True)
class Page:
    """One figure.

    Attributes:
        size_inches: Width and height.
        draw: Fills an empty figure.
    """

    size_inches: tuple[float, float]
    draw: Callable[[Figure], None]


def check_suffix(output: Path) -> None:
    """Refuse a file that no picture can be written to.

    Raises:
        PlotError: Its suffix is of another kind of file, or there is no such folder.
    """
    if output.suffix not in SUFFIXES:
        raise PlotError(
            f"{output}: cannot write {output.suffix or 'a file without suffix'}; "
            f"name it {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    if not output.parent.is_dir():
        raise PlotError(f"{output}: there is no folder {output.parent}; make it or name another")


def present(
    size_inches: tuple[float, float], draw: Callable[[Figure], None], output: Path | None
) -> None:
    """Draw one figure; arguments and errors are those of `Page` and `present_pages`."""
    present_pages([Page(size_inches, draw)], output)


def present_pages(pages: Sequence[Page], output: Path | None) -> list[Path]:
    """Draw figures and write them, or open windows until those are closed.

    Args:
        pages: One or more.
        output: `.png`, `.svg` or `.pdf`; written under a temporary name, then renamed. Several
            figures are the pages of one `.pdf`; a `.png` or `.svg` is written for each, with its
            number before the suffix. None opens a window for each.

    Returns:
        The files.

    Raises:
        PlotError: matplotlib is missing, the suffix is of none of these, a file cannot be
            written, or there is no display.
    """
    if output is not None:
        check_suffix(output)
    try:
        import matplotlib
    except ImportError as error:
        raise PlotError(
            f"matplotlib cannot be imported ({error}); {how_to_install('plot')}"
        ) from error
    except ValueError as error:  # of MPLBACKEND, or a damaged matplotlibrc
        raise PlotError(f"matplotlib does not start ({error}); unset MPLBACKEND") from error
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # drawn as a box
        if output is None:
            _windows(pages)
            return []
        if len(pages) == 1 or output.suffix == ".pdf":
            _write(pages, output)
            return [output]
        width = len(str(len(pages)))
        files = []
        for number, page in enumerate(pages, start=1):
            files.append(output.with_name(f"{output.stem}-{number:0{width}d}{output.suffix}"))
            _write([page], files[-1])
        return files


def _drawn(page: Page) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=page.size_inches)
    page.draw(figure)
    return figure


def _write(pages: Sequence[Page], output: Path) -> None:
    # without a date the same figure is the same file
    try:
        with written_whole(output) as unfinished:
            if output.suffix == ".pdf":
                from matplotlib.backends.backend_pdf import PdfPages

                with PdfPages(unfinished, metadata={"CreationDate": None}) as book:
                    for page in pages:
                        book.savefig(_drawn(page))
            else:
                metadata = {"Date": None} if output.suffix == ".svg" else {}
                _drawn(pages[0]).savefig(
                    unfinished, format=output.suffix[1:], dpi=DOTS_PER_INCH, metadata=metadata
                )
    except OSError as error:
        raise PlotError(
            f"{output}: cannot be written ({reason_of(error)}); name a file in a folder that exists"
        ) from error


def _windows(pages: Sequence[Page]) -> None:
    try:
        from matplotlib import pyplot

        figures = [pyplot.figure(figsize=page.size_inches) for page in pages]
    except (ImportError, RuntimeError) as error:
        raise PlotError(f"no window can be opened ({error}); give --output FILE.png") from error
    if figures[0].canvas.required_interactive_framework is None:
        raise PlotError("there is no display to open a window on; give --output FILE.png")
    for figure, page in zip(figures, pages, strict=True):
        page.draw(figure)
    pyplot.show()
