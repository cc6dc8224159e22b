"""Faults without copies, FLD's gap and attacks on membership in the benchmark: numbers by their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from zoo.audit.benchmark.density import gap_of_sets
from zoo.audit.benchmark.membership import attack, black_box
from zoo.audit.benchmark.missing import (
    SUPPORTS,
    Gallery,
    faults,
    few_images,
    gallery,
    lacking,
    measure,
    power_of_missing,
)
from zoo.audit.benchmark.power import Design, halves
from zoo.audit.benchmark.sorting import by_classes, by_clusters
from zoo.audit.benchmark.white_box import white_box
from zoo.audit.evidence.images import ImageSet
from zoo.audit.questions.support import ALLOWED_PAIRS
from zoo.audit.statistics.birthday import find_duplicates, fit_thresholds
from zoo.audit.statistics.distances import nearest
from zoo.audit.statistics.fld import generalisation_gap
from zoo.audit.zoo_model import adapt
from zoo.errors import UserError
from zoo.metrics import density_and_coverage, neighbour_statistics, precision_and_recall
from zoo.metrics.frechet import frechet_distance_of_rows
from zoo.metrics.kid import squared_discrepancy
from zoo.metrics.neighbours import Rule
from zoo.metrics.vendi import vendi_score

WIDTH, CLASSES = 6, 4


def normal(n: int, seed: int, width: int = WIDTH) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def classed(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points in four classes far apart, and their classes."""
    labels = torch.arange(n) % CLASSES
    return normal(n, seed) + 12 * torch.eye(CLASSES, WIDTH)[labels], labels


@pytest.fixture(scope="module")
def known() -> Gallery:
    """600 held-out points in four classes."""
    (train, labels), (held_out, truth) = classed(400, 1), classed(600, 2)
    sorting = by_classes(train, labels, held_out, truth, nearest(held_out, train, 5))
    return gallery((held_out, held_out[:, :3]), held_out, sorting)


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_small_support_repeats_as_a_draw_from_so_many_images_does() -> None:
    rng, pool = torch.Generator().manual_seed(0), torch.arange(1_000, 1_500)
    assert len(few_images(pool, 300, rng, support=20).unique()) == 20
    distinct = [len(few_images(pool, 300, rng, support=10_000).unique()) for _ in range(40)]
    expected = 10_000 * (1 - (1 - 1 / 10_000) ** 300)
    assert sum(distinct) / 40 == pytest.approx(expected, abs=1.5)  # its standard deviation is 0.33
    assert set(few_images(pool, 300, rng, support=10_000).tolist()) <= set(pool.tolist())


def test_one_kind_is_left_out_or_rare() -> None:
    rng, kinds = torch.Generator().manual_seed(0), torch.arange(800) % 4
    pool = torch.arange(400, 800)
    counts = torch.bincount(kinds[lacking(pool, 150, rng, kinds, 0.0)], minlength=4)
    assert sorted(counts.tolist())[0] == 0
    assert int((counts > 25).sum()) == 3
    rare = [
        sorted(torch.bincount(kinds[lacking(pool, 150, rng, kinds, 0.25)], minlength=4).tolist())[0] for _ in range(20)
    ]
    assert sum(rare) / 20 == pytest.approx(150 * 0.25 / 3.25, abs=3)


def test_clusters_take_the_place_of_classes() -> None:
    (train, _), (held_out, _) = classed(400, 1), classed(600, 2)
    sorting = by_clusters(train, held_out, 250)
    assert sorting.truth is None
    assert sorting.count == 5
    assert list(faults(sorting)) == [*(f"{k:,} images" for k in SUPPORTS), "a cluster missing", "a cluster rare"]
    assert torch.equal(sorting.votes.sum(1), torch.ones(600, dtype=torch.float64))


# --- tests -----------------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_their_definitions(known: Gallery) -> None:
    features, other = known.spaces
    (half, pool, rng) = next(halves(600, 1))
    rows = few_images(pool, 140, rng, support=120)
    numbers = measure(known, half.rows, 140)(rows)
    fake, peers, reference = features[rows], features[half.rows[:140]], features[half.rows]
    recalls, covers = neighbour_statistics(peers, fake, [Rule(3, strict=False), Rule(5, strict=True)])
    assert -numbers["recall"] == pytest.approx(float(precision_and_recall(recalls)["recall"]))
    assert -numbers["coverage"] == pytest.approx(float(density_and_coverage(covers, 5)["coverage"]))
    name = "Fréchet distance, 64 components"
    assert numbers[name] == pytest.approx(float(frechet_distance_of_rows(reference, fake)), rel=1e-5)
    assert numbers["Vendi score, 64 components"] == pytest.approx(-float(vendi_score(fake)))
    within = squared_discrepancy(fake.double(), fake.double())  # the part within the set, and that towards itself
    kernel = (fake.double() @ fake.double().T / WIDTH + 1) ** 3
    towards = ((fake.double() @ reference.double().T / WIDTH + 1) ** 3).mean()
    inside = (kernel.sum() - kernel.trace()) / (140 * 139)
    assert float(within) == pytest.approx(float(2 * inside - 2 * kernel.mean()))
    assert numbers["KID"] == pytest.approx(float(inside - 2 * towards), rel=1e-5)
    setting = half.rows[::2]
    thresholds = fit_thresholds([features[setting], other[setting]], ALLOWED_PAIRS)
    assert numbers["birthday: pairs of duplicates"] == find_duplicates([fake, other[rows]], thresholds).count


def test_each_fault_is_found_by_the_test_that_is_made_for_it(known: Gallery) -> None:
    design = Design(150, (0.1,), seeds=2, honest=100, planted=5)
    found = {(row["test"], row["kind"]): row["found"] for row in power_of_missing(known, design)}
    assert found["birthday: pairs of duplicates", "100 images"] == [1.0, 1.0]
    assert found["birthday: pairs of duplicates", "a class missing"] == [0.0, 0.0]
    for test in ("audit: share of a kind", "recall", "coverage", "KID"):
        assert found[test, "a class missing"] == [1.0, 1.0], test
    assert found["audit: share of a kind", "10,000 images"] == [0.0, 0.0]
    alarms = [value for (_, kind), values in found.items() if kind == "honest" for value in values]
    assert sum(alarms) / len(alarms) < 0.03


def test_the_gap_of_a_set_is_that_of_the_audit() -> None:
    train, held_out = normal(300, 1), normal(400, 2)
    images = torch.cat([held_out, train[:100]])
    reference = torch.arange(200)
    statistic = gap_of_sets(train, images, reference, seed=0)
    honest, copied = torch.arange(200, 350), torch.cat([torch.arange(200, 300), torch.arange(400, 450)])
    for rows in (honest, copied):
        assert statistic(rows) == pytest.approx(
            -generalisation_gap(train, held_out[:200], images[rows]).value, rel=1e-3, abs=0.05
        )
    assert statistic(copied) > statistic(honest) + 20


# --- membership ------------------------------------------------------------------------------------------------------


def test_an_attack_by_hand() -> None:
    others = torch.arange(1_000.0)  # one of them may be taken for a member: the bound is 998
    found = attack(torch.tensor([2_000.0, 998.5, 998.0, -1.0]), others)
    assert found.tpr == 0.5
    assert found.auc == pytest.approx((1_000 + 999 + 998.5 + 0) / 4_000)
    assert attack(others, others).auc == 0.5
    assert attack(torch.tensor([5.0, 3.0]), torch.tensor([4.0, 1.0])).tpr == 0.5  # with few others none may be


def test_only_copied_images_betray_that_they_were_trained_on() -> None:
    train, held_out = normal(300, 1), normal(600, 2)
    images = torch.cat([held_out, train[:60]])
    rows = black_box(train, images, {"exact": torch.arange(600, 660)}, 600, Design(120, (0.25,), 2, 100, 4))
    found = {row["kind"]: row for row in rows}
    assert found["exact"]["tpr"] == pytest.approx([0.1, 0.1], abs=0.02)  # 30 of 300 are copied
    assert sum(found["honest"]["tpr"]) / 2 < 0.02
    assert found["exact"]["auc"] == pytest.approx([0.55, 0.55], abs=0.04)
    assert math.isclose(sum(found["honest"]["auc"]) / 2, 0.5, abs_tol=0.04)


class PlantedDiscriminator(torch.nn.Module):
    """A subject whose score of an image is minus its distance to the nearest of the images that it knows by heart."""

    channels, resolution, num_classes = 1, 4, 0

    def __init__(self, known: Tensor) -> None:
        super().__init__()
        self.known = known.flatten(1)

    def score(self, images: Tensor) -> Tensor:
        return -torch.cdist(images.flatten(1), self.known).amin(1)

    def sample(self, n: int, seed: int = 0) -> Tensor:
        return torch.zeros(n, 1, 4, 4)


def test_a_discriminator_that_knows_its_images_by_heart_betrays_all_and_one_that_does_not_none() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (900, 1, 4, 4), dtype=torch.uint8, generator=generator).expand(-1, 3, -1, -1)
    train, held_out = ImageSet("train", pixels[:300]), ImageSet("held_out", pixels[300:])
    grey = train.images()[:, :1]
    knows_all = white_box(adapt(PlantedDiscriminator(grey), "by heart"), train, held_out, 2)
    assert knows_all == {"model": "by heart", "members": 300, "auc": [1.0, 1.0], "tpr": [1.0, 1.0]}
    knows_a_tenth = white_box(adapt(PlantedDiscriminator(grey[:30])), train, held_out, 2)
    assert knows_a_tenth["tpr"] == pytest.approx([0.1, 0.1])
    knows_others = white_box(adapt(PlantedDiscriminator(2 * torch.rand(300, 1, 4, 4) - 1)), train, held_out, 4)
    assert sum(knows_others["auc"]) / 4 == pytest.approx(0.5, abs=0.05)
    assert max(knows_others["tpr"]) < 0.03
    with pytest.raises(UserError, match=r"it judges images of 4 px; .* reads them at 8 px\. Give resolution=4"):
        white_box(adapt(PlantedDiscriminator(grey)), ImageSet("train", torch.zeros(3, 3, 8, 8)), held_out, 1)
