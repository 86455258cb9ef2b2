"""`eqedge models`: list the architectures and the shipped models."""

from __future__ import annotations

import click


@click.command()
def models() -> None:
    """List the report's architectures and the shipped models.

    Parameters include batch statistics; MMAC is million multiply-accumulates for one 60-s window.
    """
    from .architectures import ARCHITECTURES
    from .registry import DEFAULT_MODEL, open_model, shipped

    click.echo(f"{'ARCHITECTURE':24} {'PARAMETERS':>10} {'MMAC':>8}  --arch")
    for entry in ARCHITECTURES.values():
        click.echo(
            f"{entry.title:24} {entry.parameters:>10,} {entry.macs / 1e6:>8.2f}  {entry.name}"
        )
    click.echo(f"\n{'MODEL':24} {'PARAMETERS':>10} {'MMAC':>8} {'KB':>6}  PRECISION  sha256")
    for name in shipped():
        model = open_model(name)
        architecture = ARCHITECTURES[model.spec.architecture]
        click.echo(
            f"{name:24} {architecture.parameters:>10,} {architecture.macs / 1e6:>8.2f} "
            f"{len(model.data) / 1000:>6.0f}  {model.card.get('precision', '?'):9}  "
            f"{model.sha256[:12]}{'  (default)' if name == DEFAULT_MODEL else ''}"
        )
