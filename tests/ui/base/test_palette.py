"""The two palettes can be read by people who do not see as well as their designer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ui.base.palette import (
    DARK,
    LIGHT,
    SHAPE_RATIO,
    TEXT_RATIO,
    Colours,
    contrast,
    luminance,
    mix,
    shape_pairs,
    text_pairs,
)

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda c: c.name)


def test_contrast_is_the_ratio_wcag_defines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@BOTH
def test_every_text_pair_can_be_read(colours: Colours) -> None:
    named = colours.named()
    weak = {
        (words, plane): round(contrast(named[words], named[plane]), 2)
        for words, plane in text_pairs()
        if contrast(named[words], named[plane]) < TEXT_RATIO
    }
    assert not weak


@BOTH
def test_every_control_can_be_found(colours: Colours) -> None:
    named = colours.named()
    weak = [(a, b) for a, b in shape_pairs() if contrast(named[a], named[b]) < SHAPE_RATIO]
    assert not weak


@BOTH
def test_chart_colours_stand_out_from_the_surface(colours: Colours) -> None:
    assert all(contrast(series, colours.surface) >= SHAPE_RATIO for series in colours.series)
    assert len(set(colours.series)) == len(colours.series)


def test_a_palette_refuses_what_is_not_a_colour() -> None:
    with pytest.raises(ValueError, match="accent is 'teal'"):
        replace(LIGHT, accent="teal")
    with pytest.raises(ValueError, match="not a colour"):
        luminance("#fff")


def test_dark_is_dark() -> None:
    assert DARK.is_dark
    assert not LIGHT.is_dark


def test_mix_goes_from_one_colour_to_the_other() -> None:
    assert mix("#ffffff", "#000000", 0.0) == "#000000"
    assert mix("#ffffff", "#000000", 1.0) == "#ffffff"
    assert mix("#ff0000", "#0000ff", 0.5) == "#800080"
