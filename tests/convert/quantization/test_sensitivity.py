"""The search for the fewest stages to keep in float."""

from eqedge.convert.quantization.sensitivity import (
    FileVerdict,
    groups_of,
    is_tuned,
    most_steps,
    search,
)
from hypothesis import given
from hypothesis import strategies as st

STAGES = ["encoder_0", "encoder_1", "residual_0", "bilstm_0", "bilstm_1", "recurrence", "decoder_P"]


def test_numbered_stages_stay_together():
    """Encoder and residual stack, which are tuned together, are one group."""
    assert groups_of(STAGES) == [
        ("encoder", "residual"), ("bilstm",), ("recurrence",), ("decoder_P",),
    ]  # fmt: skip


def test_what_is_kept_in_float_is_not_tuned():
    """Weights fitted to int8 are not those that float wants; also where the name is cut short."""
    assert is_tuned(()) and is_tuned(("bilstm", "decoder"))
    assert not is_tuned(("encoder_1",)) and not is_tuned(("bilstm", "res"))


def judge_of(costs, limit, tried):
    """Return a judge to whom each stage in int8 costs something."""

    def judge(kept):
        tried.append(kept)
        error = sum(cost for name, cost in costs.items() if name not in kept)
        return FileVerdict(error, None if error <= limit else f"{error} is more than {limit}")

    return judge


def test_int8_is_enough():
    """Nothing is tried beyond it."""
    steps = search([("a",), ("b",)], judge_of({"a": 1, "b": 1}, 2, tried := []))
    assert [step.kept for step in steps] == tried == [()]


def test_one_group_is_enough():
    """The one that helps is found, and no other is kept."""
    groups = [("a",), ("b",), ("c",)]
    steps = search(groups, judge_of({"a": 1, "b": 9, "c": 2}, 3, []))
    assert steps[-1].kept == ("b",)


def test_nothing_satisfies():
    """The last step has every group in float and is refused."""
    steps = search([("a",), ("b",)], judge_of({"a": 1, "b": 1, "elsewhere": 5}, 2, []))
    assert set(steps[-1].kept) == {"a", "b"} and steps[-1].verdict.refusal is not None


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 9), min_size=1),
    st.integers(0, 30),
)
def test_what_is_found_does_and_nothing_in_it_can_go(costs, limit):
    """Few files are made, none twice; what is found satisfies, and less of it would not."""
    tried: list = []
    judge = judge_of(costs, limit, tried)
    groups = [(name,) for name in costs]
    found = search(groups, judge)[-1]
    assert len(tried) <= most_steps(len(groups))
    assert len({frozenset(kept) for kept in tried}) == len(tried)
    assert found.verdict.refusal is None
    for name in found.kept:
        fewer = tuple(other for other in found.kept if other != name)
        assert judge(fewer).refusal is not None
