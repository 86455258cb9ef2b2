"""Quiet scenes that fool a network are found, kept and shown again."""

import numpy as np
import pytest
from eqedge.convert.data.example import Example, onsets
from eqedge.convert.data.indexing import index_stead
from eqedge.convert.training import mining
from eqedge.convert.training.library import Library
from eqedge.convert.training.sampling import Mixture, Sampler
from eqedge.models.spec import ModelSpec

SPEC = ModelSpec("leqnet_gru", "leqnet-gru")


def afraid_of_spikes(windows):
    """A picker that calls P whatever sticks out by five deviations."""
    answers = np.zeros(windows.shape, np.float32)
    answers[:, :, 1] = np.abs(windows).max(axis=2) > 5.0
    return answers


@pytest.fixture
def sampler(stead_file):
    """Of all records, held-out ones too."""
    return Sampler(Library(index_stead(stead_file).records, {}), SPEC, Mixture())


def test_only_scenes_that_fool_are_kept(sampler):
    """Some quiet scenes hold a spike, most do not; a network afraid of nothing has no hard ones."""
    hard = mining.hard_scenes(sampler, afraid_of_spikes, SPEC, 150)
    assert 0 < len(hard) < 100
    calm = mining.hard_scenes(sampler, np.zeros_like, SPEC, 150)
    assert calm == []
    assert hard == mining.hard_scenes(sampler, afraid_of_spikes, SPEC, 150)


def answer_at(sample):
    """Probabilities with one sure P."""
    answer = np.zeros((6000, 3), np.float32)
    answer[sample - 5 : sample + 6, 1] = 0.9
    return answer


@pytest.mark.parametrize(("sample", "is_fooled"), [(3000, False), (3080, False), (3200, True)])
def test_a_labelled_onset_fools_nobody(sample, is_fooled):
    """A peak within a second of any onset is no false one."""
    waveform = np.zeros((6000, 3), np.float32)
    example = Example(waveform, onsets((3000, 1.0)), onsets((4000, 1.0)), waveform[:, 0])
    assert mining.fooled(example, answer_at(sample)) is is_fooled


def test_hard_scenes_are_drawn_as_often_as_asked(stead_file, sampler):
    """With a share of one every window is a hard scene; without any the batches are as before."""
    library = Library(index_stead(stead_file).records, {})
    plain = sampler.batch(5, 0, 4)
    assert np.array_equal(Sampler(library, SPEC, Mixture(), hard=()).batch(5, 0, 4)[0], plain[0])
    _, targets = Sampler(library, SPEC, Mixture(hard_share=1.0), hard=(3, 8)).batch(5, 0, 12)
    assert (targets[:, :, 1:] == 0).all() and (plain[1][:, :, 1:] > 0).any()


def test_a_resumed_run_shows_the_same_scenes(tmp_path):
    """The list is written whole and read back; a damaged one is named."""
    path = tmp_path / "hard_negatives.json"
    mining.save(path, [3, 1, 4])
    assert mining.load(path) == [3, 1, 4]
    path.write_text("[3, 1")
    with pytest.raises(mining.MiningError, match="in another --output"):
        mining.load(path)
