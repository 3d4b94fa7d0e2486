import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.report.colours import LEVELS, PALETTE, Scale, colour_of, contrast, make_scale, text_colour, ticks


def red_green_blue(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def test_the_palette_is_cividis_from_yellow_to_blue():
    assert [PALETTE[0], PALETTE[-1]] == ["#fee838", "#00224e"]
    published = {40: "#273e6e", 64: "#434e6c", 76: "#4f576c", 128: "#7d7c78", 200: "#c4b468", 240: "#f0d846"}  # row of the table: colour
    for row, colour in published.items():
        assert np.abs(np.subtract(red_green_blue(colour_of(1 - row / 255)), red_green_blue(colour))).max() <= 5


def test_lightness_falls_all_the_way():
    light = [contrast(c, "#000000") for c in PALETTE]
    assert (np.diff(light) < 0).all()


@pytest.mark.parametrize("fill", PALETTE)
def test_text_can_be_read_on_any_colour(fill):
    assert contrast(text_colour(fill), fill) >= 4.5


@given(st.integers(0, 0xFFFFFF))
def test_text_can_be_read_on_any_colour_at_all(value):
    fill = f"#{value:06x}"
    assert contrast(text_colour(fill), fill) >= 4.5


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([5e-3], (2e-3, 1e-2, False, False)),
        ([1e-3, 2e-3], (1e-3, 2e-3, False, False)),
        ([1.1e-3, 4e-3, math.nan], (1e-3, 5e-3, False, False)),
        ([1e-3, 4e-3, -1e-5], (1e-3, 5e-3, True, False)),
        ([1e-3, 4e-3, 0.0], (1e-3, 5e-3, True, False)),
        ([-1e-5, 0.0], (5e-7, 2e-6, True, False)),
        ([*[1e-3] * 50, 2e-3, 0.4], (1e-3, 5e-2, False, True)),  # one pair that hardly works does not flatten the rest
        ([*[1e-3] * 50, 2e-3, 1e-9], (1e-3, 2e-3, True, False)),
    ],
)
def test_the_ends_of_a_scale(values, scale):
    assert make_scale(values) == Scale(low=scale[0], high=scale[1], below=scale[2], above=scale[3])


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan, math.inf]])
def test_no_scale_without_values(values):
    assert make_scale(values) is None


@given(st.lists(st.one_of(st.floats(-1e-3, 0.75), st.floats(1e-9, 1e-2), st.just(math.nan)), max_size=40))
def test_any_values_have_a_scale(values):
    scale = make_scale(values)
    v = np.array([x for x in values if not math.isnan(x)])
    if not v.size:
        assert scale is None
        return
    assert scale.high >= 2 * scale.low * (1 - 1e-9) > 0
    assert scale.below == (v < scale.low * (1 - 1e-9)).any()
    assert scale.above == (v > scale.high * (1 + 1e-9)).any()
    for end in (scale.low, scale.high):
        assert f"{end:.0e}"[0] in "125"
        assert float(f"{end:.0e}") == end
    level = scale.level(values)
    assert ((level == -1) == np.isnan(values)).all()
    assert level.max(initial=0) < LEVELS
    order = np.argsort(v)
    assert (np.diff(scale.level(v)[order]) >= 0).all()


@given(st.integers(-9, -1), st.sampled_from([1, 2, 5]), st.integers(1, 9), st.floats(0.1, 0.5))
def test_ticks_stand_apart(exponent, digit, steps, apart):
    low = float(f"{digit}e{exponent}")
    scale = Scale(low=low, high=float(f"1e{exponent + steps}") if digit == 1 else low * 10**steps, below=False, above=False)
    places = scale.share(ticks(scale, apart))
    assert [places[0], places[-1]] == [0, 1]
    assert (np.diff(places) >= min(apart, 1) - 1e-9).all()
