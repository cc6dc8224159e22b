"""Coverage: shares and variety of kinds with known answers, nulls of honest images, alarms on planted subjects."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.helpers.collapsed_class import CollapsedClass
from zoo.audit.evidence.budget import budget
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.kinds import kinds_of
from zoo.audit.findings.finding import NotApplicable
from zoo.audit.planted import Dropper, Honest, OneImagePerClass
from zoo.audit.questions import coverage
from zoo.audit.statistics.manifolds import curves, frequencies, neighbourhoods, over_halves
from zoo.audit.statistics.shares import agreement, confusion_corrected_shares, median_distances, shares, variety
from zoo.data.digits import load_digits
from zoo.data.pool import to_float
from zoo.features import extractor


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.audit.findings.figures.can_plot", lambda: False)  # they are slow, and tested by themselves


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    images, labels = load_digits(16, 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(3))
    return torch.from_numpy(images).permute(0, 3, 1, 2)[order].contiguous(), torch.from_numpy(labels)[order]


def evidence(subject: object, digits: tuple[Tensor, Tensor], labelled: bool = True, **extras: object) -> Evidence:
    images, labels = digits
    parts = [
        ImageSet(name, images[rows], labels[rows] if labelled else None)
        for name, rows in (("train", slice(0, 700)), ("held_out", slice(700, 1200)))
    ]
    network = extractor("digits")
    return Evidence(as_subject(subject), parts[0], parts[1], budget("quick"), 0, network, dict(extras))


def rest(digits: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return to_float(digits[0][1200:]), digits[1][1200:]


# --- shares and variety ----------------------------------------------------------------------------------------------


def test_a_kind_that_is_never_drawn_is_dropped_and_one_by_chance_rarer_is_not() -> None:
    rows = shares(torch.tensor([0, 90, 110]), torch.tensor([50, 100, 100]))
    assert [row.dropped for row in rows] == [True, False, False]
    assert [row.ratio for row in rows] == pytest.approx([0, 0.45 / 0.4, 0.55 / 0.4])
    assert not any(row.dropped for row in shares(torch.tensor([0, 20]), torch.tensor([2, 20])))  # too few to tell
    much = shares(torch.tensor([6_000, 14_000]), torch.tensor([10_000, 10_000]))
    assert much[0].differs  # beyond doubt, but more than half of its share
    assert not much[0].dropped


def test_agreement_counts_images_seen_as_asked() -> None:
    asked = torch.arange(2).repeat_interleave(100)
    right = asked == 0  # class 1 is never what was asked for
    found = agreement(right, asked, torch.ones(200).bool(), asked, 2)
    assert [(row.generated[0], row.n, row.held_out[0]) for row in found] == [(1, 100, 1), (0, 100, 1)]
    assert [row.dropped for row in found] == [False, True]


def classified(classes: Tensor, mistakes: Tensor, draw: torch.Generator) -> Tensor:
    """One-hot memberships of images of these classes, by a classifier with these probabilities of each answer."""
    answers = torch.multinomial(mistakes[classes], 1, generator=draw)[:, 0]
    return torch.eye(len(mistakes), dtype=torch.float64)[answers]


MISTAKES = torch.tensor([[0.6, 0.3, 0.1], [0.3, 0.65, 0.05], [0.1, 0.05, 0.85]])


def test_a_dropped_class_is_found_behind_the_mistakes_of_the_classifier() -> None:
    draw = torch.Generator().manual_seed(0)
    true = torch.arange(3).repeat_interleave(400)
    seen_usual = classified(true, MISTAKES, draw)
    seen = classified(torch.tensor([1, 2]).repeat_interleave(600), MISTAKES, draw)  # no class 0
    plain = shares(seen.sum(0).long(), seen_usual.sum(0).long())
    assert not plain[0].dropped  # a fifth is taken for it, 0.6 of the usual share
    found = confusion_corrected_shares(seen, seen_usual, true)
    assert found is not None
    assert [row.dropped for row in found] == [True, False, False]
    assert [row.generated[0] for row in found] == pytest.approx([0, 0.5, 0.5], abs=0.08)
    assert all(row.generated[1] <= share <= row.generated[2] for row, share in zip(found, (0, 0.5, 0.5)))
    assert [row.held_out[0] for row in found] == pytest.approx([1 / 3] * 3)


def test_shares_behind_a_classifier_without_mistakes_are_the_counts() -> None:
    true = torch.arange(2).repeat_interleave(50)
    mine = torch.eye(2).double()[torch.arange(2).repeat_interleave(torch.tensor([30, 70]))]
    found = confusion_corrected_shares(mine, torch.eye(2).double()[true], true)
    assert found is not None
    assert [row.generated[0] for row in found] == pytest.approx([0.3, 0.7])
    assert found[0].p == pytest.approx(2 * 0.00489, rel=0.01)  # z = 0.2 / sqrt(0.2525 * 2 / 100) = 2.814


def test_honest_shares_differ_behind_a_bad_classifier_as_rarely_as_chance_allows() -> None:
    draw = torch.Generator().manual_seed(1)
    lowest = []
    for _ in range(300):
        sides = [torch.randint(3, (300,), generator=draw) for _ in range(2)]
        found = confusion_corrected_shares(*(classified(side, MISTAKES, draw) for side in sides), sides[1])
        assert found is not None
        lowest.append(min(row.p for row in found))
    assert 2 <= sum(p < 0.05 for p in lowest) <= 25  # 15 expected at most, Holm's correction is careful


def test_mistakes_that_cannot_be_undone_are_left() -> None:
    draw = torch.Generator().manual_seed(0)
    true = torch.arange(3).repeat_interleave(400)
    blind = classified(true, torch.full((3, 3), 1 / 3), draw)
    assert confusion_corrected_shares(blind, blind, true) is None
    few = torch.cat([true[:5], true[400:]])  # five images of class 0
    assert confusion_corrected_shares(blind, classified(few, MISTAKES, draw), few) is None


def test_variety_is_the_median_distance_to_the_others() -> None:
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert median_distances(line).tolist() == [3.0, 2.0, 3.0, 6.0]  # the lower of two middle ones is torch's median


def test_variety_finds_the_one_collapsed_kind_although_some_images_are_sorted_in_wrongly() -> None:
    draw = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(200, 5, generator=draw) for _ in range(2))
    kinds = torch.arange(2).repeat_interleave(100)
    fake[100:180] *= 0.01  # 80 of the 100 images of kind 1
    found = variety(fake, kinds, real, kinds, 2, draw)
    assert [row.collapsed for row in found] == [False, True]
    assert found[0].ratio == pytest.approx(1, abs=0.15)
    assert variety(fake[:5], kinds[:5], real, kinds, 2, draw) == []  # too few to say anything


# --- the distributions -----------------------------------------------------------------------------------------------


def test_generated_and_null_share_reference_and_size() -> None:
    draw = torch.Generator().manual_seed(0)
    real, fake = torch.randn(101, 2, generator=draw), torch.randn(300, 2, generator=draw) + 100
    seen = []

    def measure(reference: Tensor, other: Tensor) -> dict[str, float]:
        seen.append((reference, other))
        return {"mean": float(other.mean())}

    found = over_halves(real, fake, measure, 2, 0)
    assert [(len(a), len(b)) for a, b in seen] == [(50, 50)] * 4
    assert torch.equal(seen[0][0], seen[1][0])  # the same reference
    both = torch.cat([seen[1][0], seen[1][1]])
    assert len(torch.unique(both, dim=0)) == 100  # disjoint halves
    assert found.statistic("mean").value == pytest.approx(100, abs=0.5)
    assert found.statistic("mean").null == pytest.approx(0, abs=0.5)


def test_the_curve_of_images_of_one_kind_of_two_ends_at_half_the_recall() -> None:
    draw = torch.Generator().manual_seed(0)
    real = torch.randn(400, 2, generator=draw) + 100 * (torch.arange(400) % 2)[:, None]
    fake = torch.randn(300, 2, generator=draw)
    (precision, recall), (_, recall_of_real) = curves(real, fake, 3, 0)
    assert precision.max() > 0.9
    assert recall.max() == pytest.approx(0.5, abs=0.1)
    assert recall_of_real.max() > 0.9


def test_far_clouds_have_no_overlap_and_equal_frequencies_no_distance() -> None:
    draw = torch.Generator().manual_seed(0)
    real = torch.randn(60, 3, generator=draw)
    assert neighbourhoods(real, real + 100) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    hot = torch.eye(2).repeat(30, 1)
    assert frequencies(hot, hot.flip(0)) == {"class frequencies, Fréchet distance": pytest.approx(0, abs=1e-9)}
    one = torch.eye(2)[torch.zeros(60, dtype=torch.long)]
    # means (0.5, 0.5) against (1, 0): 0.5; the constant side has no covariance, the other tr = 2 * 0.25 * 60 / 59
    assert frequencies(hot, one)["class frequencies, Fréchet distance"] == pytest.approx(0.5 + 0.5 * 60 / 59)


# --- the question ----------------------------------------------------------------------------------------------------


def test_honest_images_pass_beside_their_null(digits: tuple[Tensor, Tensor]) -> None:
    for labelled in (True, False):
        found = coverage.run(evidence(Honest(*rest(digits)), digits, labelled))
        assert (found.status, found.flags) == ("passed", {})
        for name in ("precision", "recall", "density", "coverage"):
            assert found[name].value == pytest.approx(found[name].null, abs=0.08)
        assert found["dropped classes" if labelled else "dropped kinds"].value == 0


def test_a_dropped_class_is_named_with_numbers(digits: tuple[Tensor, Tensor]) -> None:
    found = coverage.run(evidence(Dropper(*rest(digits), (3, 7)), digits))
    assert list(found.flags) == ["dropping classes"]
    assert "class 3" in found.flags["dropping classes"]
    assert "class 7" in found.flags["dropping classes"]
    assert "It drops 2 of 10 classes: class" in found.answer
    assert found["dropped classes"].value == 2
    assert found["recall"].value < found["recall"].null


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_collapse_inside_classes_is_found_in_all_or_in_one(digits: tuple[Tensor, Tensor], noise: float) -> None:
    images, labels = rest(digits)
    found = coverage.run(evidence(OneImagePerClass(images, labels, 0, noise), digits))
    assert list(found.flags) == ["collapsed"]
    assert found["collapsed classes"].value == 10
    found = coverage.run(evidence(CollapsedClass(images, labels, 6, noise), digits))
    assert list(found.flags) == ["collapsed"]
    assert "images of class 6 are nearly identical" in found.flags["collapsed"]


class Asked(Honest):
    """A conditional generator that draws the requested classes, except that it draws nines for the class `deaf`."""

    num_classes = 10

    def __init__(self, images: Tensor, labels: Tensor, deaf: int) -> None:
        super().__init__(images, labels)
        self.deaf = deaf

    def sample(self, n: int, *, seed: int = 0, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        assert self.labels is not None
        wanted = torch.where(labels == self.deaf, 9, labels)
        draw = torch.Generator().manual_seed(seed)
        match = [(self.labels == int(c)).nonzero()[:, 0] for c in wanted]
        return self.images[torch.stack([m[torch.randint(len(m), (), generator=draw)] for m in match])]


def test_a_class_that_is_not_drawn_when_requested_is_dropped(digits: tuple[Tensor, Tensor]) -> None:
    found = coverage.run(evidence(Asked(*rest(digits), deaf=2), digits))
    assert list(found.flags) == ["dropping classes"]
    assert found.flags["dropping classes"] == "class 2 not drawn when requested"
    assert found.protocol["shares"] == "given by the requested labels"
    assert coverage.run(evidence(Asked(*rest(digits), deaf=-1), digits)).flags == {}


def test_modes_are_counted_where_they_are_known(digits: tuple[Tensor, Tensor]) -> None:
    found = coverage.run(evidence(Dropper(*rest(digits), (0, 1, 2)), digits, modes=10))
    assert 7 <= found["modes"].value < 10
    assert found["modes"].null == 10


def test_the_rule_for_classes_is_as_right_as_it_says(digits: tuple[Tensor, Tensor]) -> None:
    kinds = kinds_of(evidence(Honest(*rest(digits)), digits))
    assert kinds.right is not None
    assert kinds.right > 0.95
    assert float((kinds.held_out == digits[1][700:1200]).double().mean()) == kinds.right


def test_too_few_images_say_how_many_are_needed(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = rest(digits)
    with pytest.raises(NotApplicable, match="at least 40 generated and 40 held-out images; got 30 and 500"):
        coverage.run(evidence(Honest(images[:30], labels[:30]), digits))


def test_figures_are_drawn_also_where_a_share_is_at_its_end(
    digits: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.undo()
    found = coverage.run(evidence(Dropper(*rest(digits), (0,)), digits))
    assert [figure.name for figure in found.figures] == ["shares", "variety", "precision-recall"]
    found = coverage.run(evidence(Asked(*rest(digits), deaf=-1), digits))  # all of a class right: the end of Wilson's
    assert found.figures[0].png[1:4] == b"PNG"
