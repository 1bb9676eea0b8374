"""Network rows of an evaluation by level: one, or two where classifier-free guidance is on."""

import math

import pytest
import torch

from its.levels import Columns
from its.model.slots import Slots
from its.sampler.noise_paths import EDM, Flow, linear_vp


@pytest.mark.parametrize(
    ("path", "interval", "times", "expected"),
    [
        (linear_vp(), [200, 600], (999, 601, 600, 400, 200, 199, 0), [1, 1, 2, 2, 2, 1, 1]),
        (Flow(), [0.1, 0.3], (1.0, 0.301, 0.1 + 0.2, 0.3, 0.1, 0.0999), [1, 1, 2, 2, 2, 1]),
        (Flow(time_scale=1000), [100, 300], (301, 300, 100, 0.2), [1, 2, 2, 1]),
        (EDM(), [0.28, 2.9], [sigma ** (1 / 7) for sigma in (80, 2.91, 2.9, 1, 0.28, 0.27)], [1, 1, 2, 2, 2, 1]),
    ],
    ids=["vp", "flow", "flow-1000", "edm"],
)
def test_slots_are_two_between_both_ends_included(path, interval, times, expected):
    """Of EDM's path the ends are values of sigma, of the others native times; both up to rounding."""
    slots, levels = Slots.of(2.0, interval, path), [path.level(time) for time in times]
    assert [slots.at(level) for level in levels] == expected
    assert (1 + slots.inside(Columns.of(levels, 4, "cpu")).int()).tolist() == expected
    assert (slots.most, slots.fewest) == (2, 1)


@pytest.mark.parametrize(("scale", "rows"), [(1.0, 1), (0.0, 2), (2.0, 2)])
def test_slots_without_an_interval_are_the_same_everywhere(scale, rows):
    slots = Slots.of(scale, None, linear_vp())
    assert {slots.at(linear_vp().level(time)) for time in (999, 500, 0, -1)} == {rows}
    assert (slots.most, slots.fewest, slots.inside(torch.zeros(1))) == (rows, rows, None)


@pytest.mark.parametrize(
    "interval",
    [[600, 200], [200, 200], [200], [1, 2, 3], [], "200,600", 200, [0, math.nan], [0, math.inf], [True, 3], ["a", 3]],
    ids=str,
)
def test_slots_refuse_what_is_no_interval(interval):
    with pytest.raises(ValueError, match="it is a list of two ascending numbers"):
        Slots.of(2.0, interval, linear_vp())


def test_slots_of_autoguidance_are_two_everywhere_or_refused():
    slots = Slots.of(1.42, None, Flow(), autoguided=True)
    assert (slots.most, slots.fewest) == (2, 2)
    with pytest.raises(ValueError, match=r"model\.autoguidance is never asked; set model\.autoguidance=null"):
        Slots.of(1.0, None, Flow(), autoguided=True)
    with pytest.raises(ValueError, match=r"guidance_interval is \[0, 1\] beside model\.autoguidance"):
        Slots.of(1.42, [0, 1], Flow(), autoguided=True)


def test_slots_refuse_an_interval_of_no_guidance():
    with pytest.raises(
        ValueError, match=r"guidance_interval is \[200, 600\] and model.guidance_scale is 1, under which"
    ):
        Slots.of(1.0, [200, 600], linear_vp())


@pytest.mark.parametrize(
    ("interval", "expected", "skipped"),
    [(None, [2, 3, 3, 2, 2], [0, 1, 1, 0, 0]), ([0.3, 0.8], [1, 1, 3, 2, 1], [0, 0, 1, 0, 0])],
)
def test_slots_are_three_where_layers_are_skipped_and_guidance_is_on(interval, expected, skipped):
    slots = Slots.of(2.0, interval, Flow(), skip_interval=[0.5, 0.9])
    levels = [Flow().level(time) for time in (1.0, 0.9, 0.5, 0.4, 0.2)]
    columns = Columns.of(levels, 4, "cpu")
    assert [slots.at(level) for level in levels] == expected
    assert (1 + slots.inside(columns).int() + slots.skipped(columns).int()).tolist() == expected
    assert slots.skipped(columns).int().tolist() == skipped
    assert (slots.most, slots.fewest) == (3, 1)


def test_slots_refuse_to_skip_layers_without_guidance():
    with pytest.raises(ValueError, match=r"model\.skip_interval is \[0\.5, 0\.9\] and model\.guidance_scale is 1"):
        Slots.of(1.0, None, Flow(), skip_interval=[0.5, 0.9])
    with pytest.raises(ValueError, match=r"between which layers are skipped, both included, or null for nowhere"):
        Slots.of(2.0, None, Flow(), skip_interval=[0.9, 0.5])
