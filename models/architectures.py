"""The report's networks by name, with figures that need no TensorFlow."""

from dataclasses import dataclass

from .. import EqedgeError


class UnknownArchitecture(EqedgeError):
    """No network of that name."""


@dataclass(frozen=True)
class Architecture:
    """One network of the report.

    Attributes:
        name: As `--arch` takes it.
        title: As the report calls it.
        family: Module of this package that builds it.
        cell: Recurrence of the P and S pickers.
        parameters: Weights, batch statistics included, at the report's depth.
        macs: Multiply-accumulates for one 60-s window.
    """

    name: str
    title: str
    family: str
    cell: str
    parameters: int
    macs: int


# Both figures are asserted against the Keras networks in tests/models/test_networks.py.
ARCHITECTURES = {
    entry.name: entry
    for entry in (
        Architecture(
            "eqtransformer", "EQTransformer (LSTM)", "eqtransformer", "lstm", 331_255, 126_610_368
        ),
        Architecture(
            "eqtransformer-gru", "EQTransformer-GRU", "eqtransformer", "gru", 330_199, 126_562_240
        ),
        Architecture("leqnet", "LEQNet (LSTM)", "leqnet", "lstm", 39_776, 12_670_400),
        Architecture("leqnet-gru", "LEQNet-GRU", "leqnet", "gru", 38_720, 12_613_056),
    )
}


def architecture(name: str) -> Architecture:
    """Return an architecture by name.

    Raises:
        UnknownArchitecture: There is none; the message lists the names.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(ARCHITECTURES)
        raise UnknownArchitecture(f"architecture {name!r} is unknown; use one of {known}") from None
