"""Usefulness: the score of generators whose use is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.audit.evidence.budget import Budget, budget
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.images import ImageSet
from zoo.audit.findings.finding import NotApplicable
from zoo.audit.planted import Honest
from zoo.audit.questions.usefulness import _worse, matched, run
from zoo.data.digits import load_digits
from zoo.data.pool import to_float
from zoo.features import extractor


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    images, labels = load_digits(16, 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(images).permute(0, 3, 1, 2)[order].contiguous(), torch.from_numpy(labels)[order]


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.audit.questions.usefulness.STEPS", 100)
    monkeypatch.setattr("zoo.audit.findings.figures.can_plot", lambda: False)


class Conditional:
    """Draws real images of the class asked for, or, where `deaf`, of any."""

    num_classes = 10

    def __init__(self, images: Tensor, labels: Tensor, deaf: bool) -> None:
        self.images, self.labels, self.deaf = images, labels, deaf

    def sample(self, n: int, *, seed: int = 0, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        draw = torch.Generator().manual_seed(seed)
        if self.deaf:
            return self.images[torch.randint(len(self.images), (n,), generator=draw)]
        return self.images[matched(self.labels, labels, 1, draw)]


def evidence(subject: object, digits: tuple[Tensor, Tensor], labelled: bool = True) -> Evidence:
    images, labels = digits
    parts = [
        ImageSet(name, images[rows], labels[rows] if labelled else None)
        for name, rows in (("train", slice(0, 700)), ("held_out", slice(700, 1200)))
    ]
    small = Budget(**{**vars(budget("quick")), "images": 600})
    return Evidence(as_subject(subject), parts[0], parts[1], small, 0, extractor("pixels"), {})


def test_matched_gives_the_classes_wanted_and_uses_images_as_often_as_requested() -> None:
    labels = torch.arange(3).repeat_interleave(50)
    wanted = torch.tensor([2, 0] * 20)
    draw = torch.Generator().manual_seed(0)
    for times, distinct in ((1, 40), (10, 4)):
        indices = matched(labels, wanted, times, draw)
        assert torch.equal(labels[indices], wanted)
        assert len(torch.unique(indices)) == distinct
    assert len(matched(labels, torch.zeros(200, dtype=torch.long), 1, draw).unique()) == 50  # there are no more


def test_the_paired_test_has_mcnemars_exact_p_value() -> None:
    right = torch.tensor([True] * 90 + [False] * 10)
    reference = torch.tensor([True] * 100)
    assert _worse(right, reference) == pytest.approx(0.5**10)
    assert _worse(reference, reference) == 1


def test_real_images_of_the_class_asked_for_teach_as_real_ones_do(digits: tuple[Tensor, Tensor]) -> None:
    found = run(evidence(Conditional(to_float(digits[0][1200:]), digits[1][1200:], deaf=False), digits))
    score = found["classification accuracy score"]
    assert (found.status, found.flags) == ("passed", {})
    assert score.null is not None
    assert score.value == pytest.approx(score.null, abs=0.12)
    assert score.value > 0.5
    assert "after as many real ones" in found.answer


def test_a_generator_that_ignores_its_labels_teaches_nothing(digits: tuple[Tensor, Tensor]) -> None:
    found = run(evidence(Conditional(to_float(digits[0][1200:]), digits[1][1200:], deaf=True), digits))
    assert (found.status, found.flags) == ("note", {})
    assert found["classification accuracy score"].value < 0.35
    assert "They teach least about class" in found.answer
    assert {row["class"] for row in found.protocol["table"]} == {str(c) for c in range(10)}


def test_without_classes_the_question_does_not_apply(digits: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(NotApplicable, match="its images have no classes"):
        run(evidence(Honest(to_float(digits[0][1200:])), digits))
    with pytest.raises(NotApplicable, match=r"give labels=\(training, held-out\)"):
        run(evidence(Conditional(to_float(digits[0][1200:]), digits[1][1200:], deaf=False), digits, labelled=False))
