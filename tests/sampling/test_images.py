from __future__ import annotations

import pytest
import torch

from tests.helpers.training import equal, tiny_dcgan, tiny_mlp, weights
from zoo.sampling.images import interpolate, slerp, truncated


def test_a_seed_fixes_the_images_and_leaves_the_random_state_alone() -> None:
    model = tiny_dcgan()
    state = torch.get_rng_state()
    first, second, other = model.sample(6, seed=1), model.sample(6, seed=1), model.sample(6, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert not torch.equal(model.sample(6), model.sample(6))


@pytest.mark.parametrize("mode", [True, False])
def test_sampling_leaves_modes_and_buffers_as_they_were(mode: bool) -> None:
    model = tiny_dcgan().train(mode)
    before, modes = weights(model), [m.training for m in model.modules()]
    model.sample(6)
    assert equal(before, weights(model))
    assert modes == [m.training for m in model.modules()]


def test_samples_are_float32_images_in_range_and_do_not_depend_on_the_batch_size() -> None:
    model = tiny_dcgan(channels=3, num_classes=4)
    images = model.sample(10, seed=0)
    assert images.shape == (10, 3, 16, 16)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    torch.testing.assert_close(images, model.sample(10, seed=0, batch_size=3), rtol=1e-5, atol=1e-6)
    assert model.sample(0).shape == (0, 3, 16, 16)


def test_samples_come_from_the_average() -> None:
    model = tiny_dcgan()
    before = model.sample(4, seed=0)
    with torch.no_grad():
        for parameter in model.generator.parameters():
            parameter.zero_()
    assert torch.equal(model.sample(4, seed=0), before)


def test_labels_are_one_for_all_or_one_each() -> None:
    model = tiny_dcgan(num_classes=4)
    assert torch.equal(model.sample(3, seed=0, labels=2), model.sample(3, seed=0, labels=[2, 2, 2]))
    assert not torch.equal(model.sample(3, seed=0, labels=2), model.sample(3, seed=0, labels=torch.tensor([2, 1, 2])))


def test_wrong_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="this model is unconditional"):
        tiny_dcgan().sample(2, labels=1)
    model = tiny_dcgan(num_classes=4)
    with pytest.raises(ValueError, match=r"must lie in 0..3; got 1 to 4"):
        model.sample(2, labels=[1, 4])
    with pytest.raises(ValueError, match=r"one for each of 2 images; got shape \(3,\)"):
        model.sample(2, labels=[1, 2, 3])


def test_truncated_latents_are_a_truncated_normal() -> None:
    torch.manual_seed(0)
    z = truncated(lambda n: torch.randn(n, 50), 2000, 0.5)
    assert z.abs().max() <= 0.5
    assert z.std().item() == pytest.approx(0.2832, abs=0.003)  # of a normal cut at +-0.5, in closed form
    with pytest.raises(ValueError, match="must be positive; got 0"):
        tiny_mlp().sample(1, truncation=0)


def test_great_circles_keep_the_length_and_meet_their_ends() -> None:
    start = torch.nn.functional.normalize(torch.randn(5, 20), dim=1)
    end = torch.nn.functional.normalize(torch.randn(5, 20), dim=1)
    path = slerp(start, end, torch.linspace(0, 1, 7)).view(5, 7, 20)
    torch.testing.assert_close(path.norm(dim=2), torch.ones(5, 7))
    torch.testing.assert_close(path[:, 0], start)
    torch.testing.assert_close(path[:, -1], end)
    angles = torch.acos((path[:, :-1] * path[:, 1:]).sum(2))
    torch.testing.assert_close(angles, angles.mean(1, keepdim=True).expand(-1, 6), rtol=1e-3, atol=1e-4)


def test_a_walk_has_its_rows_in_order_and_one_class_each() -> None:
    model = tiny_dcgan(num_classes=4)
    walk = interpolate(model, 2, 5, seed=0, labels=[1, 3])
    assert walk.shape == (10, 1, 16, 16)
    with pytest.raises(ValueError, match="at least 2 steps"):
        interpolate(model, 2, 1)


def test_images_are_drawn_in_batches_of_at_least_one() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        tiny_dcgan().sample(4, batch_size=0)
