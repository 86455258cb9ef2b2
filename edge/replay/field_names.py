"""Name the fields of a trace that are read, as STEAD, SeisBench and ObsPy call them."""

from __future__ import annotations

START_FIELD = "trace_start_time"
LABEL_FIELDS = ("p_arrival_sample", "s_arrival_sample", "coda_end_sample")
RATE_FIELDS = (
    "sampling_rate_hz",
    "trace_sampling_rate_hz",
    "sampling_rate",
    "sample_rate",
    "trace_sampling_rate",
    "sample_rate_hz",
    "sampling_frequency",
    "sampling_frequency_hz",
    "samp_rate",
    "samplerate",
    "samprate",
    "sps",
    "fs",
)
INTERVAL_FIELDS = ("trace_dt_s", "dt_s", "sampling_interval", "delta", "dt")
"""Seconds from one sample to the next, the other way to state a rate."""
UNIT_FIELDS = ("unit", "units", "trace_unit", "waveform_unit")
"""Fields that may state the unit of the samples; STEAD has none of them."""
SEISBENCH = {
    "trace_p_arrival_sample": "p_arrival_sample",
    "trace_s_arrival_sample": "s_arrival_sample",
    "trace_coda_end_sample": "coda_end_sample",
    "trace_p_status": "p_status",
    "trace_snr_db": "snr_db",
    "station_network_code": "network_code",
    "station_code": "receiver_code",
}
"""SeisBench's names of STEAD's fields, where they differ."""
COMPARED = (*LABEL_FIELDS, START_FIELD, "trace_category", *RATE_FIELDS, *INTERVAL_FIELDS)
"""Fields that decide what a trace is: it must not state two values of one of them."""


def steads_name(name: str) -> str:
    """Return STEAD's name of a field that is written in capitals, or as SeisBench has it."""
    small = name.lower()
    return SEISBENCH.get(small, small)
