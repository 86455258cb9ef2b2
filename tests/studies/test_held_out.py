"""The records of stations held out, in files of their own."""

import subprocess
import sys

import h5py
import numpy as np
from eqedge.convert.data.records import held_out, station_key


def test_earthquakes_of_stations_held_out_and_all_noise_are_copied(tmp_path, root, rng):
    """With labels and samples as they were; a file that exists is not overwritten."""
    data, events, noise = (tmp_path / f"{name}.hdf5" for name in ("data", "events", "noise"))
    stations = [f"S{number}" for number in range(60)]
    with h5py.File(data, "w") as file:
        for station in stations:
            for kind, end in (("earthquake_local", "EV"), ("noise", "NO")):
                samples = rng.normal(size=(6000, 3))
                one = file.create_dataset(f"data/{station}.XX_2020_{end}", data=samples)
                one.attrs.update(
                    receiver_code=station, network_code="XX", trace_category=kind,
                    trace_start_time="2020-01-01T00:00:00",
                )  # fmt: skip
                if kind != "noise":
                    one.attrs["p_arrival_sample"] = 1000.0
    command = [sys.executable, "-m", "studies.held_out", data, "--events", events, "--noise", noise]
    subprocess.run(command, cwd=root, check=True, timeout=300)
    with h5py.File(data) as source, h5py.File(events) as copied, h5py.File(noise) as quiet:
        names = set(copied["data"])
        assert names == {f"{s}.XX_2020_EV" for s in stations if held_out(station_key("XX", s))}
        assert 0 < len(names) < len(stations) == len(quiet["data"])
        for name in names:
            assert np.array_equal(copied["data"][name], source["data"][name])
            assert copied["data"][name].attrs["p_arrival_sample"] == 1000.0
    again = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=300
    )
    assert again.returncode == 2 and "give a new file" in again.stderr
