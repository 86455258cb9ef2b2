"""`eqedge evaluate`: score networks and runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from ... import EqedgeError, reason_of
from ...edge.replay.options import require_one_file, trace_selection
from ..console import report_line
from ..options import FiniteRange

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(context_settings={"show_default": True})
@click.option(
    "--weights",
    "networks",
    multiple=True,
    metavar="FILE|NAME",
    help="A network: .weights.h5, .h5, .tflite or a shipped model's name. Repeatable, and all are "
    "shown the same windows.",
)
@click.option(
    "--triggers",
    type=_FILE,
    multiple=True,
    metavar="FILE.jsonl",
    help="Output of `eqedge run --sim DATA`. Repeatable.",
)
@click.option(
    "--data",
    "labelled",
    type=_FILE,
    multiple=True,
    required=True,
    metavar="FILE.hdf5",
    help="STEAD layout, with a CSV of the same name or attributes. Repeatable.",
)
@click.option(
    "--noise",
    type=_FILE,
    multiple=True,
    metavar="FILE.hdf5",
    help="Continuous (n, 3) datasets without an earthquake: each pick there is false. Repeatable.",
)
@click.option(
    "--stream",
    "streams",
    type=_FILE,
    multiple=True,
    metavar="FILE.hdf5",
    help="Continuous (n, 3) datasets, scored hop by hop: how many P are announced an hour, and how "
    "many of them not confirmed 10 s later. Repeatable.",
)
@click.option(
    "--teacher",
    "teachers",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="Networks whose common picks mark unlabelled earthquakes. Repeatable.",
)
@click.option(
    "--labels",
    "label_folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("labels"),
    help="Folder of the teachers' labels and of indexes, made once.",
)
@click.option(
    "--threshold",
    "thresholds",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    multiple=True,
    default=(0.3,),
    help="Probability from which on a P or an S is picked; the card's presets are added. "
    "Repeatable.",
)
@click.option(
    "--split",
    type=click.Choice(["station", "event"]),
    help="What the training of the networks held out; one that a network's card contradicts is "
    "refused.  [default: by their cards; station without a card]",
)
@trace_selection("--data")
@click.option("--all-stations", is_flag=True, help="Also those that training may have seen.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Score networks on N records of --data at most, drawn by --seed.  [default: all]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Of --limit and --traces.",
)
@click.option(
    "--markdown",
    "document",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.md",
    help="Write the scores here as tables too.",
)
def evaluate(document: Path | None, **options: Any) -> None:
    """Score networks, or triggers of a run, against labels.

    Writes JSON to stdout. Networks are scored on what was held out of training, as the training
    card has it: P at random in the window. A run is scored on every trace it played: give --csv,
    --where, --traces and --seed as to that run.
    """
    if not options["networks"] and not options["triggers"]:
        raise click.UsageError("give --weights, --triggers or both")
    if options["triggers"] and len(options["labelled"]) != 1:
        raise click.UsageError("with --triggers give one --data: the file that was replayed")
    require_one_file(options["labels_csv"], options["labelled"])
    if document is not None and not document.parent.is_dir():
        raise EqedgeError(
            f"{document}: cannot be written, there is no such folder; make it or name another"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from ...edge.files import written_whole
    from ...edge.replay.selection import TraceSelection
    from ..data.files import DataFiles
    from ..progress import ProgressLines
    from .evaluate import EvaluationRequest
    from .evaluate import evaluate as run
    from .markdown import markdown

    report = run(
        EvaluationRequest(
            files=DataFiles(
                options["labelled"],
                (),
                options["teachers"],
                options["label_folder"],
                selection=TraceSelection(
                    options["labels_csv"], options["where"], options["traces"], options["seed"]
                ),
            ),
            networks=options["networks"],
            triggers=options["triggers"],
            noise=options["noise"],
            streams=options["streams"],
            thresholds=options["thresholds"],
            split=options["split"],
            all_stations=options["all_stations"],
            limit=options["limit"],
            seed=options["seed"],
            report=report_line,
            progress=ProgressLines(),
        )
    )
    for line in report.get("data", {}).get("remarks", ()):
        report_line(line)
    parts = [report.get("data", {}), *report["runs"].values()]
    for reason, count in (pair for one in parts for pair in one.get("skipped", {}).items()):
        report_line(f"{count}: {reason}")
    if document is not None:
        try:
            with written_whole(document) as unfinished:
                unfinished.write_text(markdown(report), encoding="utf-8")
        except OSError as error:
            raise EqedgeError(f"{document}: cannot be written ({reason_of(error)})") from error
    click.echo(json.dumps(report, indent=1, allow_nan=False))
