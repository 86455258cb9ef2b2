import pickle

import h5py
import numpy as np
import pytest
from eqedge.convert.data.files import DataFiles, index_files, teacher_labels
from eqedge.convert.data.indexing import index_stead
from eqedge.convert.data.label_track import label_track
from eqedge.convert.data.picker import Picker
from eqedge.convert.data.teacher_labels import (
    LabelCacheError,
    TeacherLabelStore,
    labelled_keys,
    write_labels,
)
from eqedge.convert.data.waveforms import Unusable, WaveformCache
from eqedge.convert.training.student import build
from eqedge.models.spec import ModelSpec

SPEC = ModelSpec("teacher", "teacher")


def ramp(windows):
    """Answer with the position in the window, 0 to 1: shows how windows are joined."""
    return np.broadcast_to(np.linspace(0, 1, 6000)[:, None], windows.shape)


class Loudest:
    """Picks P where the vertical is largest, and counts the windows."""

    def __init__(self):
        self.windows = 0
        self.picker = Picker("loudest", "", (SPEC,), self)

    def __call__(self, windows):
        """Return a bump of P at the largest vertical sample of each window."""
        self.windows += len(windows)
        answer = np.zeros(windows.shape, np.float32)
        for row, window in zip(answer, windows, strict=True):
            row[int(np.abs(window[:, 2]).argmax()), 1] = 0.9
        return answer


def test_track_covers_the_record_and_averages():
    """Every sample is answered; in the middle early and late positions cancel out."""
    track = label_track(
        Picker("ramp", "", (SPEC,), ramp), np.random.default_rng(0).normal(size=(20_000, 3)), 500
    )
    assert track.shape == (20_000, 3)
    assert np.isfinite(track).all()
    assert track[8000:12_000].min() > 0.4 and track[8000:12_000].max() < 0.6


def test_labels_are_made_once(stead_file, tmp_path):
    """What the file holds is not labelled again, so that an interrupted labelling goes on."""
    records, teacher = index_stead(stead_file).records, Loudest()
    path = tmp_path / "labels.hdf5"
    write_labels(path, records[:4], teacher.picker, WaveformCache())
    write_labels(path, records, teacher.picker, WaveformCache())
    assert teacher.windows == len(records)
    assert labelled_keys(path) == {r.key for r in records}


def test_answers_are_read_when_asked_for(stead_file, tmp_path):
    """A book of answers holds paths only, travels to another process, and knows its gaps."""
    records, path = index_stead(stead_file).records, tmp_path / "labels.hdf5"
    write_labels(path, records[:-1], Loudest().picker, WaveformCache())
    book = pickle.loads(pickle.dumps(TeacherLabelStore({str(stead_file): [path, path]})))
    key = (records[0].path, records[0].key)
    assert len(book[key]) == 2 and book[key][0].p.shape == (1, 2)
    assert (records[-1].path, records[-1].key) not in book
    assert len(book) == len(records) - 1


def test_unusable_records_have_no_labels(stead_file, tmp_path):
    """A record of NaN is counted and passed over."""
    with h5py.File(stead_file, "a") as file:
        next(iter(file["data"].values()))[...] = np.nan
    records, path = index_stead(stead_file).records, tmp_path / "labels.hdf5"
    skipped = write_labels(path, records, Loudest().picker, WaveformCache())
    assert skipped == {"NaN or infinite samples": 1}
    assert len(labelled_keys(path)) == len(records) - 1


def test_damaged_cache_is_named(stead_file, tmp_path):
    """A cache cut off while it was written is one clear line with the remedy."""
    path = tmp_path / "labels.hdf5"
    path.write_bytes(b"\x89HDF half a file")
    with pytest.raises(LabelCacheError, match="delete it"):
        labelled_keys(path)
    with pytest.raises(LabelCacheError, match="delete it"):
        TeacherLabelStore({"data": [path]})["data", "trace@0"]


def test_our_own_weights_teach(stead_file, tmp_path):
    """A network of ours is a teacher by its weight file alone."""
    path = tmp_path / "own.weights.h5"
    build("leqnet-gru", 0.0).save_weights(path)
    files = DataFiles((stead_file,), teachers=(path,), label_folder=tmp_path / "labels")
    index = index_files(files)
    labels = teacher_labels(files, index, Unusable())
    assert set(labels) == {(r.path, r.key) for r in index.records}
    assert all(len(answers) == 1 for answers in labels.values())
