"""The augmentation pipeline compared with closed forms, transformation by transformation: issue 23, point 3."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.helpers.training import tiny_dcgan
from zoo.training.augment import augmented
from zoo.training.augmentation_pipeline import (
    COLOUR,
    FACTORS,
    GEOMETRIC,
    Parameters,
    backward_maps,
    colour_maps,
    low_pass,
    pipeline,
    transformed,
)

SIZES = [4, 5, 16, 64]


def images(n: int = 6, channels: int = 3, size: int = 16) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def smooth_images(size: int, n: int = 4) -> Tensor:
    """Images of low frequencies, whose values between the pixels are known: of a place (x, y) from the centre."""
    places = torch.arange(size) - (size - 1) / 2
    return at(places[None, None, :].expand(n, size, size), places[None, :, None].expand(n, size, size), size)


def at(x: Tensor, y: Tensor, size: int) -> Tensor:
    wave = (2 * math.pi * x / size).sin() + (2 * math.pi * (x + 2 * y) / size).cos()
    return wave[:, None] / 2


def with_values(n: int, **values: Any) -> Parameters:
    parameters = Parameters.identity(n)
    for name, value in values.items():
        setattr(parameters, name, torch.as_tensor(value, dtype=torch.float32).expand_as(getattr(parameters, name)))
    return parameters


def reflected(x: Tensor) -> Tensor:
    """Images with their mirror images on all sides, three times as wide and high."""
    wide = torch.cat([x.flip(3), x, x.flip(3)], 3)
    return torch.cat([wide.flip(2), wide, wide.flip(2)], 2)


# --- nothing ---------------------------------------------------------------------------------------------------------


def test_with_probability_0_the_images_themselves_are_returned_and_nothing_is_drawn() -> None:
    batch, before = zoo.Batch(images(), torch.arange(6)), torch.get_rng_state()
    assert pipeline(batch.images, 0.0) is batch.images
    assert augmented(batch, ("pipeline",), 0.0) is batch
    assert torch.equal(torch.get_rng_state(), before)


def test_parameters_that_change_nothing_leave_every_bit() -> None:
    x = images()
    assert transformed(x, Parameters.identity(6)) is x
    one = with_values(6)
    one.before[2] = 0.3
    found = transformed(x, one)
    assert [torch.equal(a, b) for a, b in zip(found, x)] == [True, True, False, True, True, True]


@pytest.mark.parametrize("size", SIZES)
def test_the_finer_grid_and_back_is_the_identity_on_any_image(size: int) -> None:
    filters = low_pass(size, torch.device("cpu"), torch.float64)
    torch.testing.assert_close(filters.T @ filters / 2, torch.eye(size, dtype=torch.float64))
    torch.testing.assert_close(filters.sum(1), torch.ones(2 * size, dtype=torch.float64))  # grey stays grey
    x = images(size=size)
    torch.testing.assert_close(transformed(x, with_values(6, drift=1e-7)), x, rtol=0, atol=1e-4)


# --- geometry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_flips_and_quarter_turns_are_those_of_torch(size: int, channels: int) -> None:
    x = images(4, channels, size)
    assert torch.equal(transformed(x, with_values(4, flip=1)), x.flip(3))
    found = transformed(x, with_values(4, turns=[0, 1, 2, 3]))
    for k in range(4):
        assert torch.equal(found[k], torch.rot90(x[k], k, (1, 2)))
    both = transformed(x, with_values(4, flip=1, turns=1))  # in this order
    assert torch.equal(both, torch.rot90(x.flip(3), 1, (2, 3)))


@pytest.mark.parametrize("size", SIZES)
def test_whole_shifts_move_pixels_and_reflect_at_the_edges(size: int) -> None:
    x = images(3, size=size)
    shifts = [(1, 0), (0, -2), (-3, 3)]
    found = transformed(x, with_values(3, shift=shifts))
    for image, moved, (right, down) in zip(reflected(x), found, shifts):
        assert torch.equal(moved, image[:, size - down : 2 * size - down, size - right : 2 * size - right])


def test_a_rotation_by_a_right_angle_is_a_quarter_turn() -> None:
    x = images()
    for name in ("before", "after"):
        found = transformed(x, with_values(6, **{name: math.pi / 2}))
        torch.testing.assert_close(found, torch.rot90(x, 1, (2, 3)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(
    "values",
    [
        {"scale": 1.3},
        {"scale": 0.8},
        {"before": 0.5},
        {"stretch": 1.25},
        {"drift": (2.5, -1.25)},
        {"before": 0.4, "stretch": 1.2, "after": -0.9, "scale": 1.1, "drift": (1.3, 0.6), "flip": 1, "turns": 3},
    ],
)
def test_an_image_of_low_frequencies_is_resampled_as_its_formula_says(size: int, values: dict[str, Any]) -> None:
    parameters = with_values(4, **values)
    found = transformed(smooth_images(size), parameters)
    linear, offset = backward_maps(parameters)
    places = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(places, places, indexing="ij")
    source = torch.einsum("bij,jhw->bihw", linear, torch.stack([x, y])) + offset[:, :, None, None]
    inside = (source.abs() < size / 2 - 4).all(1)[:, None]  # beyond, edges are reflected
    error = (found - at(source[:, 0], source[:, 1], size)).abs()[inside]
    assert inside.float().mean() > 0.3
    assert error.max() < 0.02  # bilinear interpolation on the finer grid


def test_maps_are_those_of_the_transformations_undone_from_the_last_to_the_first() -> None:
    """Against 3x3 matrices multiplied out one by one."""
    torch.manual_seed(0)
    p = Parameters.draw(50, 1.0, 32)
    linear, offset = backward_maps(p)

    def forward(a: float, b: float, c: float, d: float, right: float = 0.0, down: float = 0.0) -> Tensor:
        return torch.tensor([[a, b, right], [c, d, down], [0, 0, 1]], dtype=torch.float64)

    def turned(angle: float) -> Tensor:  # counterclockwise on the screen, whose y points down
        return forward(math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))

    for i in range(50):
        scale, stretch = float(p.scale[i]), float(p.stretch[i])
        steps = [
            forward(1 - 2 * float(p.flip[i]), 0, 0, 1),
            turned(math.pi / 2 * float(p.turns[i])),
            forward(1, 0, 0, 1, *p.shift[i].tolist()),
            forward(scale, 0, 0, scale),
            turned(float(p.before[i])),
            forward(stretch, 0, 0, 1 / stretch),
            turned(float(p.after[i])),
            forward(1, 0, 0, 1, *p.drift[i].tolist()),
        ]
        whole = torch.eye(3, dtype=torch.float64)
        for step in steps:
            whole = step @ whole
        expected = torch.linalg.inv(whole)
        torch.testing.assert_close(linear[i].double(), expected[:2, :2], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(offset[i].double(), expected[:2, 2], rtol=1e-4, atol=1e-4)


# --- colour ----------------------------------------------------------------------------------------------------------


def colours() -> Tensor:
    """Red, yellow, grey, black and white, in [-1, 1]: (5, 3, 1, 1)."""
    return torch.tensor([[1, -1, -1], [1, 1, -1], [0.2, 0.2, 0.2], [-1, -1, -1], [1, 1, 1.0]])[:, :, None, None]


def test_brightness_and_contrast_are_added_and_multiplied_in_this_order() -> None:
    found = transformed(colours(), with_values(5, brightness=0.3, contrast=2.0))
    torch.testing.assert_close(found, 2 * (colours() + 0.3))


def test_the_luma_flip_inverts_grey_keeps_hues_and_undoes_itself() -> None:
    flipped = transformed(colours(), with_values(5, luma=-1))
    torch.testing.assert_close(flipped[2:], -colours()[2:])
    mean = colours().mean(1, keepdim=True)
    torch.testing.assert_close(flipped, colours() - 2 * mean)
    torch.testing.assert_close(transformed(flipped, with_values(5, luma=-1)), colours())


def test_hue_turns_around_grey() -> None:
    x = colours()
    mean = x.mean(1, keepdim=True)
    torch.testing.assert_close(transformed(x, with_values(5, hue=math.pi)), 2 * mean - x)
    third = transformed(x, with_values(5, hue=2 * math.pi / 3))  # red becomes green, green blue, blue red
    torch.testing.assert_close(third, x.roll(1, dims=1))
    torch.testing.assert_close(third[2:], x[2:])


def test_saturation_0_gives_luma_and_2_doubles_the_distance_from_it() -> None:
    x = colours()
    mean = x.mean(1, keepdim=True)
    torch.testing.assert_close(transformed(x, with_values(5, saturation=0)), mean.expand_as(x))
    torch.testing.assert_close(transformed(x, with_values(5, saturation=2)), mean + 2 * (x - mean))


def test_one_channel_has_brightness_contrast_and_luma_and_nothing_else() -> None:
    x = images(channels=1)
    assert transformed(x, with_values(6, hue=1.0, saturation=3.0)) is x
    found = transformed(x, with_values(6, brightness=0.25, contrast=0.5, luma=-1, hue=1.0, saturation=3.0))
    torch.testing.assert_close(found, -0.5 * (x + 0.25))
    matrices, offsets = colour_maps(with_values(1, saturation=2.0, hue=1.0, brightness=0.1), 2)  # two have no hue
    torch.testing.assert_close(matrices[0], torch.tensor([[1.5, -0.5], [-0.5, 1.5]]))
    assert offsets.tolist() == pytest.approx([0.1])


def test_cutout_hides_a_square_of_half_the_size_around_its_centre() -> None:
    hidden = transformed(torch.ones(2, 3, 16, 16), with_values(2, hole=1, centre=[(0.5, 0.5), (0.0, 1.0)])) == 0
    expected = torch.zeros(2, 16, 16, dtype=torch.bool)
    expected[0, 4:12, 4:12] = True
    expected[1, 12:, :4] = True
    assert torch.equal(hidden, expected[:, None].expand(-1, 3, -1, -1))


# --- draws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FACTORS])
@pytest.mark.parametrize("p", [0.1, 0.7])
def test_each_transformation_is_applied_to_a_share_p_of_the_images(name: str, p: float) -> None:
    """A drawn flip is none in half of the cases, and a drawn quarter turn in a quarter, as in the paper."""
    n = 4000
    torch.manual_seed(0)
    one = images(1).expand(n, -1, -1, -1)
    only = dict.fromkeys(FACTORS, 0.0) | {name: 0.5}
    found = pipeline(one, p, only)
    share = (found != one).flatten(1).any(1).float().mean().item()
    visible = {"xflip": 1 / 2, "lumaflip": 1 / 2, "rotate90": 3 / 4, "xint": 24 / 25}.get(name, 1.0)
    expected = 0.5 * p * visible
    assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / n))


def test_strengths_are_those_of_the_paper() -> None:
    """Appendix B: deviations of 0.2 octaves, 0.125 of the size, 0.2 of brightness, 0.5 and 1 octave."""
    torch.manual_seed(0)
    p = Parameters.draw(40_000, 1.0, 32)
    deviations = {
        "scale": p.scale.log2(),
        "stretch": p.stretch.log2(),
        "drift": p.drift / 32,
        "brightness": p.brightness,
        "contrast": p.contrast.log2(),
        "saturation": p.saturation.log2(),
    }
    expected = {"scale": 0.2, "stretch": 0.2, "drift": 0.125, "brightness": 0.2, "contrast": 0.5, "saturation": 1.0}
    assert {name: float(x.std()) for name, x in deviations.items()} == pytest.approx(expected, rel=0.02)
    assert {name: float(x.mean()) for name, x in deviations.items()} == pytest.approx(
        dict.fromkeys(expected, 0.0), abs=0.02
    )
    assert p.shift.unique().tolist() == list(range(-4, 5))
    for angle in (p.before, p.after, p.hue):
        assert -math.pi <= angle.min() < -3.13
        assert 3.13 < angle.max() <= math.pi
    either = Parameters.draw(40_000, 0.5, 32)
    assert float(((either.before != 0) | (either.after != 0)).float().mean()) == pytest.approx(0.5, abs=0.01)


def test_images_are_transformed_independently_of_each_other_and_of_the_rest_of_the_batch() -> None:
    torch.manual_seed(0)
    one = images(1).expand(200, -1, -1, -1)
    found = pipeline(one, 0.5)
    assert len({image.numpy().tobytes() for image in found}) > 190
    torch.manual_seed(0)
    assert torch.equal(found, pipeline(one, 0.5))


# --- in a model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_the_generators_gradient_goes_through(channels: int) -> None:
    batch = images(5, channels, 6).double().requires_grad_()

    def fixed(x: Tensor) -> Tensor:
        torch.manual_seed(3)
        return pipeline(x, 0.8, {**FACTORS, "cutout": 0.3})

    assert not torch.equal(fixed(batch), batch)
    assert torch.autograd.gradcheck(fixed, batch)


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_types_and_layouts_stay_and_half_precision_is_computed_in_float32(size: int, channels: int) -> None:
    x = images(8, channels, size)
    expected = None
    for dtype in (torch.float32, torch.bfloat16):
        for layout in (torch.contiguous_format, torch.channels_last):
            torch.manual_seed(1)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
                found = pipeline(x.to(dtype).contiguous(memory_format=layout), 0.6)
            assert (found.dtype, found.shape) == (dtype, x.shape)
            assert found.isfinite().all()
            expected = found if expected is None else expected
            torch.testing.assert_close(found.float(), expected, rtol=0.01, atol=0.06 if dtype is not x.dtype else 1e-5)


def test_a_filter_that_was_made_for_inference_serves_training_too() -> None:
    low_pass.cache_clear()
    with torch.inference_mode():
        transformed(images(), with_values(6, before=0.3))
    x = images().requires_grad_()
    transformed(x, with_values(6, before=0.3)).sum().backward()
    assert x.grad is not None


def test_points_of_one_pixel_have_colours_alone() -> None:
    torch.manual_seed(0)
    found = pipeline(torch.zeros(50, 2, 1, 1), 1.0)
    assert found.isfinite().all()
    assert (found != 0).any()


def test_factors_are_checked_and_merged() -> None:
    model = tiny_dcgan(augment="pipeline", augment_strength=1.0, augment_factors={"hue": 0.5, "cutout": 1})
    assert model.augmentation.factors == {**FACTORS, "hue": 0.5, "cutout": 1}
    assert {*GEOMETRIC, *COLOUR, "cutout"} == {*FACTORS}
    with pytest.raises(ValueError, match=r"augment_factors takes xflip, .*; got 'hues'. Did you mean hue"):
        tiny_dcgan(augment="pipeline", augment_factors={"hues": 0.5})
    with pytest.raises(ValueError, match=r"augment_factors\.hue must be at least 0; got -1"):
        tiny_dcgan(augment="pipeline", augment_factors={"hue": -1})
    with pytest.raises(ValueError, match=r"augment_strength is a probability, from 0 to 1; got 1\.5"):
        tiny_dcgan(augment="pipeline", augment_strength=1.5)
    with pytest.raises(ValueError, match=r"augment=pipeline has colour and shifts of its own and stands alone; got co"):
        tiny_dcgan(augment=("color", "pipeline"))
