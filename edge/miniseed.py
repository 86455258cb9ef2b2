"""Write samples as miniSEED records of 512 bytes, for events and for recordings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .. import EqedgeError, how_to_install

RECORD_BYTES = 512
LONGEST_CODES = (2, 5, 2)
"""Letters of network, station and location code that version 2 has room for."""


class MiniSeedError(EqedgeError):
    """The library that writes miniSEED is not installed."""


def require_library() -> None:
    """Check that miniSEED can be written.

    Raises:
        MiniSeedError: pymseed is not installed.
    """
    try:
        import pymseed  # noqa: F401
    except ImportError as error:
        raise MiniSeedError(f"pymseed is not installed; {how_to_install('mseed')}") from error


def version_for(network: str, station: str, location: str) -> int:
    """Return the version of miniSEED: 2, which all programs read, or 3 where a code is too long."""
    codes = (network, station, location)
    fits = all(len(code) <= most for code, most in zip(codes, LONGEST_CODES, strict=True))
    return 2 if fits else 3


def source_id(network: str, station: str, location: str, channel: str) -> str:
    """Return the FDSN source identifier of a channel such as HHZ."""
    return f"FDSN:{network}_{station}_{location}_{'_'.join(channel)}"


class Packer:
    """Pack samples into records as they come; samples that follow on each other share records.

    Args:
        version: Of miniSEED, see `version_for`.
        compress: Use Steim 1, which needs about a third of the space; otherwise 32-bit integers.
    """

    def __init__(self, version: int, *, compress: bool) -> None:
        from pymseed import DataEncoding, MS3TraceList

        self._traces = MS3TraceList()
        self._version = version
        self._encoding = DataEncoding.STEIM1 if compress else DataEncoding.INT32

    def add(
        self, source: str, samples: NDArray[np.int32], *, start_ns: int, rate_hz: float
    ) -> None:
        """Add samples of one channel.

        Args:
            source: Its source identifier, see `source_id`.
            samples: Counts, one dimension.
            start_ns: UTC of the first one, nanoseconds since 1970.
            rate_hz: Samples a second.
        """
        counts = np.ascontiguousarray(samples, dtype=np.int32)
        self._traces.add_data(source, counts, "i", rate_hz, starttime=start_ns)

    def full_records(self) -> Iterator[bytes]:
        """Yield the records that are full; samples that do not fill one yet stay."""
        return self._records(flush=False)

    def all_records(self) -> Iterator[bytes]:
        """Yield all records, also those that are not full."""
        return self._records(flush=True)

    def _records(self, *, flush: bool) -> Iterator[bytes]:
        records: Iterator[bytes] = self._traces.generate(
            max_record_length=RECORD_BYTES,
            encoding=self._encoding,
            format_version=self._version,
            flush_data=flush,
            remove_packed=True,
        )
        return records
