"""The validation loss: what it is, what is kept of it, and when it ends a training."""

import json
from itertools import count, islice

import numpy as np
import pytest
from eqedge.convert.training import loop
from eqedge.convert.training.best import Best
from eqedge.convert.training.loop import LoopSettings
from eqedge.convert.training.session import choose
from eqedge.convert.training.stream import StreamError
from eqedge.convert.training.student import Student, StudentSettings
from eqedge.convert.training.validation import ValidationSet, losses

IDENTITY = {"seed": 1}


class Counting:
    """A student whose only weight is a function of the steps that it took."""

    def __init__(self):
        self.steps = 0
        self.average = [np.zeros(1)]

    def learn(self, windows, targets, rate):
        """Take a step."""
        self.steps += 1
        self.average = [self.average[0] * 0.5 + self.steps + rate]
        return 0.1

    def state(self):
        """What a checkpoint has."""
        return {"steps": np.asarray(self.steps), "average/0": self.average[0]}

    def restore(self, state):
        """Take up a state."""
        self.steps, self.average = int(state["steps"]), [state["average/0"]]


def losses_by_step(values):
    """A validation whose loss is given for each of the validations, by their steps."""
    return lambda student: dict.fromkeys(("loss", "detection", "P", "S"), values[student.steps])


def stream(first):
    """Batches of nothing."""
    for _ in count(first):
        yield np.zeros((1, 1)), np.zeros((1, 1))


def run(folder, validate, steps=20, resumed=False, **settings):
    """Train, or go on; the student, what it has of the best, and whether it ended."""
    folder.mkdir(exist_ok=True)
    student = Counting()
    best = loop.resume(folder, student, IDENTITY) if resumed else Best()
    given = LoopSettings(steps=steps, validations=5, **settings)
    ended = loop.train(student, 1.0, stream, given, folder, IDENTITY, None, validate, best)
    return student, best, ended


LOSSES = {4: 0.5, 8: 0.3, 12: 0.4, 16: 0.3, 20: 0.6}


def test_the_lowest_loss_is_kept(tmp_path):
    """At even parts of the schedule; of equals the earlier one; the history has them all."""
    student, best, ended = run(tmp_path / "a", losses_by_step(LOSSES))
    assert ended and student.steps == 20
    assert (best.loss, best.steps, best.since, best.validated) == (0.3, 8, 3, 20)
    last = student.average
    notes = [json.loads(x) for x in (tmp_path / "a" / "history.jsonl").read_text().splitlines()]
    assert {n["steps"]: n["validation"]["loss"] for n in notes if "validation" in n} == LOSSES
    choose(student, best, losses_by_step({}))
    assert student.average[0] == best.weights[0] != last[0]


@pytest.mark.parametrize("broken_at", [1, 4, 7, 8, 13, 19])
def test_a_run_taken_up_has_the_same_best_to_the_bit(tmp_path, broken_at):
    """Wherever it was broken off: student, weights of the lowest loss, and validations since."""
    whole, best, _ = run(tmp_path / "whole", losses_by_step(LOSSES))

    student, folder = Counting(), tmp_path / "broken"
    folder.mkdir()

    def breaking(first):
        yield from islice(stream(first), broken_at)
        raise StreamError("broken off")

    given = LoopSettings(steps=20, validations=5)
    with pytest.raises(StreamError, match="broken off"):
        loop.train(
            student, 1.0, breaking, given, folder, IDENTITY, None, losses_by_step(LOSSES), Best()
        )
    other, its, ended = run(folder, losses_by_step(LOSSES), resumed=True)
    assert ended
    for one, two in ((whole.state(), other.state()), (best.state(), its.state())):
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[key], two[key]) for key in one)


def test_patience_ends_a_training(tmp_path, capfd):
    """After two validations in a row without a lower loss; taken up again it is at its end."""
    validate = losses_by_step(LOSSES)
    student, best, ended = run(tmp_path / "a", validate, patience=2)
    assert ended and student.steps == 16 and best.steps == 8
    assert "ended at step 16: no lower validation loss in the last 2" in capfd.readouterr().err
    again, _, ended = run(tmp_path / "a", validate, patience=2, resumed=True)
    assert ended and again.steps == 16


def test_the_last_weights_are_validated_before_one_is_chosen(tmp_path):
    """A run that a signal ends between two validations: its last weights count too."""
    student, best, _ = run(tmp_path / "a", losses_by_step(LOSSES))
    student.learn(None, None, 0.0)
    last = [one.copy() for one in student.average]
    choose(student, best, losses_by_step({21: 0.1}))
    assert best.steps == 21 and np.array_equal(student.average, last)


def test_an_older_checkpoint_has_no_best(tmp_path):
    """It is taken up, and its first validation is the lowest so far."""
    loop.save(tmp_path, Counting(), 1.0, IDENTITY)
    assert loop.resume(tmp_path, Counting(), IDENTITY) == Best()


def test_a_setting_that_only_one_of_two_runs_has_is_refused(tmp_path):
    """Given now and not then, or then and not now."""
    loop.save(tmp_path, Counting(), 1.0, IDENTITY | {"scenes": {"a": 1}})
    with pytest.raises(loop.CheckpointError, match=r"made with scenes .*, now None"):
        loop.resume(tmp_path, Counting(), IDENTITY)
    loop.save(tmp_path, Counting(), 1.0, IDENTITY)
    with pytest.raises(loop.CheckpointError, match="made with scenes None, now"):
        loop.resume(tmp_path, Counting(), IDENTITY | {"scenes": {"a": 1}})


def test_the_loss_is_the_training_s_own():
    """Of random answers and targets, head by head and in all, as the student computes it."""
    rng = np.random.default_rng(4)
    answers = rng.random((3, 6000, 3)).astype(np.float32)
    targets = (rng.random((3, 6000, 3)) < 0.1).astype(np.float32)
    settings = StudentSettings()
    found = losses(lambda windows: answers, ValidationSet(answers, targets), settings)
    own = Student(settings, seed=1)._heads_loss(targets, answers)
    assert found["loss"] == pytest.approx(float(np.mean(own)), rel=1e-5)
    alone = targets[..., 1], answers[..., 1]
    entropy = -np.where(alone[0] > 0, np.log(alone[1]), np.log(1 - alone[1]))
    weight = np.where(alone[0] > 0, 1.5, 1.0)
    assert found["P"] == pytest.approx(float((entropy * weight).mean()), rel=1e-4)
