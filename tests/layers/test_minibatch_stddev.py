from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.layers.minibatch_stddev import ConsecutiveDeviation, MinibatchStdDev, NeighbourDeviation


def by_hand(x: Tensor, group: int) -> list[float]:
    """Compute the statistic of each image pixel by pixel: groups are strided, the variance is biased."""
    batch, channels, height, width = x.shape
    count = batch // group  # of groups
    found = []
    for i in range(batch):
        members = [x[j] for j in range(batch) if j % count == i % count]
        assert len(members) == group
        total = 0.0
        for c in range(channels):
            for row in range(height):
                for column in range(width):
                    values = [member[c, row, column].item() for member in members]
                    mean = sum(values) / group
                    total += (sum((v - mean) ** 2 for v in values) / group + 1e-8) ** 0.5
        found.append(total / (channels * height * width))
    return found


@pytest.mark.parametrize(
    ("batch", "group_size", "group"),
    [(8, 4, 4), (4, 4, 4), (12, 4, 4), (2, 4, 2), (1, 4, 1), (6, 4, 3), (7, 4, 1), (14, 4, 2), (10, 5, 5), (9, 9, 9)],
)
def test_it_is_the_deviation_within_strided_groups(batch: int, group_size: int, group: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(batch, 3, 2, 4)
    result = MinibatchStdDev(group_size)(x)
    assert result.shape == (batch, 4, 2, 4)
    assert torch.equal(result[:, :3], x)
    expected = torch.tensor(by_hand(x, group))
    torch.testing.assert_close(result[:, 3], expected[:, None, None].expand(-1, 2, 4))


def test_equal_images_give_the_root_of_epsilon() -> None:
    x = torch.randn(1, 3, 4, 4).expand(8, -1, -1, -1)
    torch.testing.assert_close(MinibatchStdDev()(x)[:, 3], torch.full((8, 4, 4), 1e-4))


def test_one_outlier_is_seen_by_its_own_group_only() -> None:
    x = torch.zeros(8, 1, 2, 2)
    x[3] = 1.0  # groups {0, 2, 4, 6} and {1, 3, 5, 7}
    extra = MinibatchStdDev()(x)[:, 1, 0, 0]
    assert (extra[0::2] < 2e-4).all()
    torch.testing.assert_close(extra[1::2], torch.full((4,), (3 / 16) ** 0.5))  # variance of {0, 1, 0, 0}


def test_equal_images_have_finite_first_and_second_derivatives() -> None:
    x = torch.zeros(4, 2, 2, 2, requires_grad=True)
    (first,) = torch.autograd.grad(MinibatchStdDev()(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((first + x).square().sum(), x)
    assert first.isfinite().all()
    assert second.isfinite().all()


def test_bf16_images_are_compared_in_float32() -> None:
    torch.manual_seed(0)
    x = (torch.randn(4, 2, 2, 2) * 1e-3 + 1).bfloat16()
    result = MinibatchStdDev()(x)
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, MinibatchStdDev()(x.float()).bfloat16())


@pytest.mark.parametrize("batch", [1, 3, 4, 6, 8, 12])
def test_the_two_layers_of_pytorch_gan_zoo_differ_in_the_grouping_alone(batch: int) -> None:
    """Row M9: since July 2019 four neighbours are a group; before, an image got the number of other images."""
    torch.manual_seed(0)
    x = torch.randn(batch, 3, 2, 4)
    size = 4 if batch % 4 == 0 else batch
    groups = [x[i : i + size] for i in range(0, batch, size)]
    strided = [x[i :: batch // size] for i in range(batch // size)]
    for layer, members in ((NeighbourDeviation(), groups), (ConsecutiveDeviation(), strided)):
        numbers = [torch.tensor(0.0) if size == 1 else (m.var(0) + 1e-8).sqrt().mean() for m in members]
        expected = torch.stack(numbers).repeat_interleave(size)
        result = layer(x)
        assert torch.equal(result[:, :3], x)
        torch.testing.assert_close(result[:, 3], expected[:, None, None].expand(-1, 2, 4))
