"""Truths of latent recovery: linear generators, whose nearest images are known in closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.audit import Report, audit
from zoo.audit.evidence import latent_search
from zoo.audit.evidence.subject import SubjectAdapter
from zoo.data import Digits


class Linear:
    """Images z @ basis + offset, of a class where there are several."""

    def __init__(self, basis: Tensor, shape: tuple[int, ...], offsets: Tensor | None = None) -> None:
        self.basis, self.shape, self.latent_dim = basis, shape, len(basis)
        self.offsets = torch.zeros(1, basis.shape[1]) if offsets is None else offsets
        self.num_classes = 0 if offsets is None else len(offsets)

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        offset = self.offsets[torch.zeros(len(latents), dtype=torch.long) if labels is None else labels]
        return (latents @ self.basis + offset).view(-1, *self.shape)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.generate(torch.randn(n, self.latent_dim), labels).clamp(-1, 1)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    data = Digits(resolution=16, channels=1, batch_size=8, held_out=0.1)
    data.setup()
    batch = data.train.batch(torch.arange(len(data.train)))
    assert batch.labels is not None
    return batch.images.float() / 127.5 - 1, batch.labels


def ask(subject: Any, train: Any, held_out: Any, **how: Any) -> Report:
    return audit(subject, train, held_out, only="recovery", features="pixels", budget="quick", **how)


def principal(images: Tensor, rank: int) -> Linear:
    """Draws from the Gaussian with the first components of images: a generator that stores no image."""
    flat = images.flatten(1)
    mean = flat.mean(0)
    _, s, v = torch.linalg.svd(flat - mean, full_matrices=False)
    found = Linear(v[:rank] * s[:rank, None] / len(flat) ** 0.5, tuple(images.shape[1:]))
    found.offsets = mean[None]
    return found


def memoriser(images: Tensor) -> Linear:
    """Every training image is the image of a latent of usual length."""
    return Linear(images.flatten(1) / 3, tuple(images.shape[1:]))


def test_the_nearest_image_of_a_linear_generator_is_the_projection() -> None:
    draw = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(64, 6, generator=draw)).Q.T * 0.3
    subject = SubjectAdapter(Linear(basis, (1, 8, 8)))
    inside = torch.randn(10, 6, generator=draw) * 0.5
    targets = (inside @ basis).view(10, 1, 8, 8) + 0.05 * torch.randn(10, 1, 8, 8, generator=draw)
    prior = torch.randn(1_000, 6, generator=draw)
    found = latent_search.reconstruct(subject, targets, None, prior, steps=300, restarts=2, seed=0)
    flat = targets.flatten(1)
    remains = flat - flat @ torch.linalg.pinv(basis) @ basis
    torch.testing.assert_close(found.errors, remains.square().mean(1).sqrt().double(), rtol=0.01, atol=1e-4)
    torch.testing.assert_close(found.images.flatten(1), flat - remains, rtol=0, atol=0.01)


def test_no_latent_leaves_the_ball_of_the_prior() -> None:
    subject = SubjectAdapter(Linear(torch.eye(4), (1, 2, 2)))
    prior = torch.randn(1_000, 4, generator=torch.Generator().manual_seed(0)) * 0.1
    targets = torch.ones(3, 1, 2, 2)  # a latent of length 2, far outside
    found = latent_search.reconstruct(subject, targets, None, prior, steps=100, restarts=1, seed=0)
    radius = prior.norm(dim=1).quantile(latent_search.PRIOR_SHARE)
    torch.testing.assert_close(found.norms, radius.expand(3))
    expected = (2 - radius.double()) / 2  # what is missing, over 4 pixels
    torch.testing.assert_close(found.errors, expected.expand(3), rtol=0.01, atol=0)


def test_rows_do_not_touch_each_other() -> None:
    draw = torch.Generator().manual_seed(0)
    subject = SubjectAdapter(principal(torch.rand(30, 1, 8, 8, generator=draw) * 2 - 1, 5))
    targets, starts = torch.rand(4, 1, 8, 8, generator=draw) * 2 - 1, torch.randn(4, 5, generator=draw)
    four = latent_search._descend(subject, starts, targets, None, None, 20, 0.1, 5.0)
    one = latent_search._descend(subject, starts[:1], targets[:1], None, None, 20, 0.1, 5.0)
    for all_rows, first_row in zip(four, one):
        torch.testing.assert_close(all_rows[:1], first_row)


def test_a_memoriser_is_found_and_a_sound_generator_is_not(digits: tuple[Tensor, Tensor]) -> None:
    images = digits[0]
    for seed in range(3):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        train, held_out, others = images[order[:24]], images[order[24:424]], images[order[424:]]
        caught = ask(memoriser(train), train, held_out, seed=seed)
        assert caught.verdict == ("memorising",), caught["recovery"].answer
        found = caught["recovery"]
        assert (
            found["reconstruction error of training images"].value
            < 0.5 * found["reconstruction error of held-out images"].value
        )
        assert "times that of training images" in caught["recovery"].flags["memorising"]
        sound = ask(principal(others, 24), train, held_out, seed=seed)
        assert sound["recovery"].status == "passed", sound["recovery"].answer
        assert not sound["recovery"].flags
        assert sound["recovery"]["reconstruction error of own images"].value < 0.1
        assert sound["recovery"]["AUC of own against held-out images"].value > 0.9


def test_images_of_classes_are_searched_within_their_class(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    means = torch.stack([images[labels == c].mean(0).flatten() for c in range(10)])
    basis = torch.randn(4, 256, generator=torch.Generator().manual_seed(0)) * 0.01
    subject = Linear(basis, (1, 16, 16), means)
    known, new = slice(0, 100), slice(100, 300)
    found = ask(subject, images[known], images[new], labels=(labels[known], labels[new]))["recovery"]
    to_own = (images - means[labels].view_as(images)).flatten(1).square().mean(1).sqrt()
    assert found["reconstruction error of held-out images"].value < float(to_own.quantile(0.9))
    without = ask(subject, images[known], images[new])["recovery"]
    assert without.status == "skipped"
    assert "labels=(train, held_out)" in without.answer


def test_every_class_is_tried_where_the_class_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image of class 97 is its offset, which no other class is near."""
    levels = torch.linspace(-0.9, 0.9, 100)[:, None].expand(100, 16)
    subject = SubjectAdapter(Linear(torch.zeros(3, 16), (1, 4, 4), levels))
    start = latent_search._starts(subject, levels[97].view(1, 1, 4, 4), None, 1, 0)
    assert start[1] is not None
    assert start[1].tolist() == [97]


def test_what_cannot_be_asked_says_what_it_takes(digits: tuple[Tensor, Tensor]) -> None:
    images = digits[0]
    found = ask(images[:50], images[50:100], images[100:150])["recovery"]
    assert found.status == "skipped"
    assert "generate(latents)" in found.answer


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_global_state(digits: tuple[Tensor, Tensor]) -> None:
    images = digits[0]
    subject = principal(images[600:], 8)
    before = torch.get_rng_state()
    a, b = (ask(subject, images[:100], images[100:300], seed=4).as_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for found in (a, b):
        found["about"].pop("seconds")
        for finding in found["findings"]:
            finding.pop("seconds")
    assert a == b
