import numpy as np
import pytest
from eqedge.convert.data.example import Example, noise_example, onsets
from eqedge.convert.data.records import Record
from eqedge.convert.data.teacher_labels import TeacherLabels, summarise
from eqedge.convert.training.labels import annotate, detection_box, target_curves
from eqedge.convert.training.options import LabelOptions


def record(**changes):
    """A manually picked event."""
    facts = dict(
        path="f", dataset="d", first=0, n_samples=6000, station="A.B", source="s", kind="event",
        p_arrival_sample=1000, s_arrival_sample=1500, coda_end_sample=None, manual=True,
    )  # fmt: skip
    return Record(**(facts | changes))


def teacher(p=(), s=(), detection=0.0):
    """What a teacher says, detection the same throughout."""
    return TeacherLabels(onsets(*p), onsets(*s), np.full(600, detection, np.float32))


WAVEFORM = np.zeros((6000, 3), np.float32)


def test_targets_have_the_networks_shape_and_range():
    """(n, 3) float32 between 0 and 1, one at the onset itself."""
    example = annotate(record(), WAVEFORM, [])
    targets = target_curves(example, LabelOptions())
    assert targets.shape == (6000, 3) and targets.dtype == np.float32
    assert targets.min() == 0 and targets.max() == 1
    assert targets[:, 1].argmax() == 1000 and targets[:, 2].argmax() == 1500


def test_gaussian_has_its_width():
    """A Gaussian falls to exp(-1/2) one width off."""
    targets = target_curves(annotate(record(), WAVEFORM, []), LabelOptions(p_width_samples=10))
    assert targets[1010, 1] == pytest.approx(np.exp(-0.5))


def test_triangle_has_its_base():
    """A triangle is half at half its base and nothing beyond it."""
    options = LabelOptions(label_type="triangle", p_width_samples=20)
    targets = target_curves(annotate(record(), WAVEFORM, []), options)
    assert targets[1010, 1] == pytest.approx(0.5)
    assert targets[1020:, 1].max() == 0


def test_box_ends_after_s_or_at_the_coda():
    """P to S + 1.4 (S-P), or to the coda's end where it is known, within the record."""
    assert detection_box(record()) == (1000, 2200)
    assert detection_box(record(coda_end_sample=1800)) == (1000, 1800)
    assert detection_box(record(s_arrival_sample=4000)) == (1000, 6000)


def test_a_person_stands_above_the_teacher():
    """A manual pick replaces the teacher's near it; the teacher adds what no label covers."""
    found = teacher(p=[(1040, 0.9), (3000, 0.9)], s=[(3300, 0.9)], detection=0.0)
    example = annotate(record(), WAVEFORM, [found])
    assert example.p[:, 0].tolist() == [3000, 1000]
    assert sorted(example.s[:, 0].tolist()) == [1500, 3300]


def test_an_automatic_pick_moves_to_the_teachers():
    """An automatic pick takes the teacher's place, and half its height where there is none."""
    with_teacher = annotate(record(manual=False), WAVEFORM, [teacher(p=[(1040, 0.9)])])
    alone = annotate(record(manual=False), WAVEFORM, [teacher()])
    assert with_teacher.p.tolist() == [[1040, 1]]
    assert alone.p.tolist() == [[1000, 0.5]]


def test_teachers_who_disagree_make_a_low_label():
    """The first teacher counts double; a pick of the second one alone is doubtful."""
    bare = record(kind="continuous", p_arrival_sample=None, s_arrival_sample=None)
    both, first, second = (
        annotate(bare, WAVEFORM, answers).p
        for answers in (
            [teacher(p=[(2000, 0.9)]), teacher(p=[(2010, 0.9)])],
            [teacher(p=[(2000, 0.9)]), teacher()],
            [teacher(), teacher(p=[(2000, 0.9)])],
        )
    )
    assert both[0, 1] == 1
    assert first[0, 1] == 1
    assert 0 < second[0, 1] < 0.5


def test_noise_records_believe_no_teacher():
    """What a person called noise holds no event."""
    example = annotate(
        record(kind="noise", p_arrival_sample=None, s_arrival_sample=None),
        WAVEFORM,
        [teacher(p=[(2000, 0.9)], detection=1.0)],
    )
    assert target_curves(example, LabelOptions()).max() == 0


def test_a_track_shrinks_to_peaks_and_a_slow_detection():
    """Peaks keep sample and height; detection keeps a mean each tenth of a second."""
    track = np.zeros((6005, 3), np.float32)
    track[995:1006, 1] = [0.1, 0.2, 0.4, 0.6, 0.7, 0.8, 0.7, 0.6, 0.4, 0.2, 0.1]
    track[2000:3000, 0] = 0.5
    kept = summarise(track)
    assert kept.p.tolist() == [[1000, pytest.approx(0.8)]]
    assert kept.s.shape == (0, 2)
    assert kept.detection.shape == (600,) and kept.detection[200:300].tolist() == [0.5] * 100


def test_cut_moves_labels_with_the_samples():
    """A label outside the cut is gone; one inside keeps its distance to the waveform."""
    example = Example(WAVEFORM, onsets((500, 1), (2500, 1)), onsets((2600, 1)), WAVEFORM[:, 0])
    cut = example.cut(2000, 1000)
    assert cut.p.tolist() == [[500, 1]] and cut.s.tolist() == [[600, 1]]
    assert cut.waveform.shape == (1000, 3)


def test_nothing_is_nothing():
    """Noise has targets of zero throughout."""
    assert target_curves(noise_example(WAVEFORM), LabelOptions()).max() == 0
