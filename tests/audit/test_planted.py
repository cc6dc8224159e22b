"""Planted subjects have the fault they are named for, and an audit names it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.audit import audit, planted
from zoo.data import Digits
from zoo.errors import UserError

QUESTIONS = ["discriminator", "copying", "support", "coverage", "sharpness"]
Parts = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def digits() -> dict[str, Parts]:
    """Training, held-out and spare digits with their classes."""
    data = Digits(resolution=16)
    data.setup()
    parts = [split.batch(torch.arange(len(split))) for split in (data.train, data.held_out)]
    images = torch.cat([part.images for part in parts]).float() / 127.5 - 1
    labels = torch.cat([part.labels for part in parts if part.labels is not None])
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    sizes = {"train": 700, "held_out": 500, "spare": len(images) - 1_200}
    return {name: (images[chosen], labels[chosen]) for name, chosen in zip(sizes, order.split(list(sizes.values())))}


def test_each_subject_is_what_it_is_called(digits: dict[str, Parts]) -> None:
    (train, _), (spare, labels) = digits["train"], digits["spare"]

    def different(images: Tensor) -> int:
        return len(torch.unique(images.flatten(1), dim=0))

    assert different(planted.Honest(spare).sample(500)) == different(spare[torch.randperm(597)[:597]]) - (597 - 500)
    assert different(planted.Finite(spare, 7).sample(500)) == 7
    assert different(planted.OneImagePerClass(spare, labels).sample(500)) == 10
    copies = planted.Memoriser(train, 0.2, spare).sample(500)
    known = {image.numpy().tobytes() for image in train}
    assert sum(image.numpy().tobytes() in known for image in copies) == 100
    dropper = planted.Dropper(spare, labels, (3, 4))
    assert dropper.labels is not None
    assert not torch.isin(dropper.labels, torch.tensor([3, 4])).any()
    flat = torch.full((30, 1, 8, 8), 0.25)
    torch.testing.assert_close(planted.Blurred(flat).sample(5), flat[:5])  # a blur keeps what is even
    noise = planted.Noisy(flat, 0.1).sample(30) - 0.25
    assert float(noise.std()) == pytest.approx(0.1, rel=0.1)
    discriminator = planted.WithMemorisingDiscriminator(spare, train, noise=0.0)
    assert discriminator.score(train).unique().tolist() == [1.0]
    assert discriminator.score(spare).unique().tolist() == [-1.0]


def test_the_same_seed_draws_the_same(digits: dict[str, Parts]) -> None:
    spare, labels = digits["spare"]
    for subject in (
        planted.Honest(spare),
        planted.Finite(spare, 9),
        planted.OneImagePerClass(spare, labels, noise=0.1),
        planted.Noisy(spare),
        planted.Memoriser(spare, shift=1, noise=0.1),
    ):
        assert torch.equal(subject.sample(50, seed=3), subject.sample(50, seed=3))
        assert not torch.equal(subject.sample(50, seed=3), subject.sample(50, seed=4))


def test_subjects_refuse_what_they_cannot_be(digits: dict[str, Parts]) -> None:
    spare = digits["spare"][0]
    with pytest.raises(UserError, match="598 generated images were asked for, there are 597"):
        planted.Honest(spare).sample(598)
    with pytest.raises(UserError, match="k: at most as many as there are images, 597; got 600"):
        planted.Finite(spare, 600)
    with pytest.raises(UserError, match=r"share: above 0 and at most 1.*got 0\.5"):
        planted.Memoriser(spare, 0.5)


@pytest.mark.parametrize(
    "name", ["healthy", "memorising", "collapsed", "dropping classes", "noisy", "blurred", "discriminator overfitted"]
)
def test_the_verdict_names_the_fault(name: str, digits: dict[str, Parts]) -> None:
    """One seed of `studies/planted_faults.py` on scikit-learn's digits, for each verdict."""
    (train, known), (held_out, new), (spare, labels) = (digits[part] for part in ("train", "held_out", "spare"))
    subject = {
        "healthy": lambda: planted.Honest(spare),
        "memorising": lambda: planted.Memoriser(train, 0.2, spare),
        "collapsed": lambda: planted.OneImagePerClass(spare, labels, noise=0.02),
        "dropping classes": lambda: planted.Dropper(spare, labels, (1, 2, 3)),
        "noisy": lambda: planted.Noisy(spare),
        "blurred": lambda: planted.Blurred(spare),
        "discriminator overfitted": lambda: planted.WithMemorisingDiscriminator(spare, train),
    }[name]()
    report = audit(subject, train, held_out, labels=(known, new), features="digits", only=QUESTIONS, budget="quick")
    assert name in report.verdict
    assert (report.verdict == ("healthy",)) == (name == "healthy")


def test_the_same_seed_gives_the_same_report(digits: dict[str, Parts]) -> None:
    train, held_out, spare = (digits[part][0][:200] for part in ("train", "held_out", "spare"))
    known, new = (digits[part][1][:200] for part in ("train", "held_out"))
    first, second = (
        audit(
            planted.Memoriser(train, 0.2, spare),
            train,
            held_out,
            labels=(known, new),
            features="digits",
            only=["copying", "sharpness"],
            budget="quick",
        )
        for _ in range(2)
    )
    assert [f.statistics for f in first.findings] == [f.statistics for f in second.findings]
    assert first["copying"]["exact copies"].value == pytest.approx(20, abs=0.2)
