"""Copies of training images are found where they were moved, mirrored or cropped, and listed with what they copy."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from torch import Tensor

from zoo.audit import Finding, Report, audit
from zoo.audit.evidence.images import ImageSet
from zoo.audit.findings.finding import Table
from zoo.audit.statistics import copies
from zoo.audit.statistics.candidates import (
    Joined,
    _coarse,
    _cut,
    _placements,
    _tried,
    best_windows,
    candidates,
    fit_components,
    products,
    views_of,
)
from zoo.audit.statistics.changes import CHANGES
from zoo.audit.statistics.copies import Calibration, calibrate, closest_training_images, share_of_copies
from zoo.audit.statistics.kinds_of_change import change_between
from zoo.audit.statistics.registration import Registered, register
from zoo.data.pool import to_float
from zoo.rendering.pictures import to_uint8

SIDE, TRAIN, HELD_OUT, GENERATED = 32, 300, 200, 200
COPIES = 6  # of each kind


def scenes(n: int, seed: int) -> Tensor:
    """Random pictures (n, 3, SIDE, SIDE), uint8: smooth structure at three scales."""
    rng = torch.Generator().manual_seed(seed)
    parts = [
        weight
        * torch.nn.functional.interpolate(
            torch.randn(n, 3, cells, cells, generator=rng), (SIDE, SIDE), mode="bicubic", align_corners=False
        )
        for cells, weight in ((4, 0.4), (8, 0.25), (16, 0.15))
    ]
    return to_uint8(torch.stack(parts).sum(0).clamp(-1, 1))


def planted() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training, held-out and generated images, of which the first are copies, and what these are copies of."""
    real = scenes(TRAIN + HELD_OUT + GENERATED, 0)
    train, held_out, generated = (part.clone() for part in real.split([TRAIN, HELD_OUT, GENERATED]))
    rng = torch.Generator().manual_seed(1)
    truth = torch.randperm(TRAIN, generator=rng)[: COPIES * len(CHANGES)]
    for chosen, change, first in zip(truth.split(COPIES), CHANGES.values(), range(0, GENERATED, COPIES)):
        generated[first : first + COPIES] = to_uint8(change(to_float(train[chosen]), rng))
    return train, held_out, generated, truth


def listed(report: Report, folder: Path) -> list[dict[str, str]]:
    report.save(folder)
    with (folder / "copies.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_changed_copies_are_named_listed_and_counted(tmp_path: Path) -> None:
    train, held_out, generated, truth = planted()
    report = audit(generated, train, held_out, budget="quick", only=["copying"], features="pixels")
    assert report.verdict == ("memorising",)
    rows = listed(report, tmp_path)
    copied = len(truth)
    right = {int(row["generated"]): row for row in rows if int(row["generated"]) < copied}
    right = {i: row for i, row in right.items() if int(row["training"]) == int(truth[i])}
    assert len(right) >= 0.95 * copied
    assert len(rows) - len(right) <= 8  # 1.6 of 164 honest images are expected; more than 8 have p < 0.0001
    assert [float(row["p_value"]) for row in rows] == sorted(float(row["p_value"]) for row in rows)
    assert max(float(row["p_value"]) for row in rows) <= 0.01
    texts = {"shifted": "shifted by ", "mirrored": "exact, mirrored", "cropped": "cropped to "}
    texts |= {"re-encoded": "noise", "brightened": "brighter", "blended": "noise"}
    for number, kind in enumerate(CHANGES):
        mine = [right[i]["change"] for i in range(number * COPIES, (number + 1) * COPIES) if i in right]
        assert sum(texts[kind] in text for text in mine) >= COPIES - 1, (kind, mine)
    share = report["copying"]["share of copies"]
    assert share.low is not None
    assert share.high is not None
    assert share.low <= 100 * copied / GENERATED <= share.high
    assert f"copies.csv lists the {len(rows)} generated images" in report["copying"].answer
    assert report["copying"].figures[0].name == "copies"


def test_honest_images_are_no_copies(tmp_path: Path) -> None:
    train, held_out, generated = scenes(TRAIN + HELD_OUT + GENERATED, 7).split([TRAIN, HELD_OUT, GENERATED])
    report = audit(generated, train, held_out, budget="quick", only=["copying"], features="pixels")
    assert report["copying"].flags == {}
    assert report["copying"]["share of copies"].low == 0
    assert len(listed(report, tmp_path)) <= 9  # 2 of 200 are expected; more than 9 have p < 0.0001


def test_registration_finds_the_motion() -> None:
    train = scenes(40, 3)
    moved = torch.stack([train[5].roll((3, -4), (1, 2)), train[6].flip(2), train[7]])
    own = torch.tensor([-1, -1, 7])
    found = register(Joined((Pixels(moved),)), Pixels(train), own, 0)
    assert found.indices[:2, 0].tolist() == [5, 6]
    assert 7 not in found.indices[2].tolist()  # an image is no candidate for itself
    assert float(found.distances[:2, 0].max()) < 0.02
    change = change_between(moved[0], train[5], found.motions[0, 0])
    assert (change.x, change.y) == (pytest.approx(-4, abs=0.2), pytest.approx(3, abs=0.2))
    assert (change.scale, change.degrees) == (pytest.approx(1, abs=0.01), pytest.approx(0, abs=1))
    assert not change.mirrored
    assert change_between(moved[1], train[6], found.motions[1, 0]).text(SIDE) == "exact, mirrored"


def test_products_by_convolution_are_products_of_matrices() -> None:
    draw = torch.Generator().manual_seed(0)
    for n, m in ((1, 1), (16, 5), (37, 20), (160, 300)):
        left, right = (torch.randn(rows, 64, generator=draw) for rows in (n, m))
        torch.testing.assert_close(products(left, right), left @ right.T, rtol=1e-5, atol=1e-5)


def test_candidates_are_those_of_all_products() -> None:
    """The most similar windows, against all of them at once, beyond one tile of real images and of queries."""
    draw = torch.Generator().manual_seed(1)
    real, queries = (torch.randint(0, 256, (n, 1, 16, 16), generator=draw, dtype=torch.uint8) for n in (1_030, 35))
    describe = fit_components(Pixels(real), 0)
    views = views_of(Pixels(queries), describe)
    own = torch.full((35,), -1)
    own[0] = 1_029
    searched: list[int] = []
    found = candidates(views, Pixels(real), describe, own, searched.append)
    assert sum(searched) == 1_030
    windows = torch.stack([describe(_cut(_coarse(real), placement)) for placement in _placements()])
    every = torch.stack([views[variant] @ windows[window].T for variant, window in _tried()]).amax(0)
    every[0, 1_029] = -torch.inf
    best = every.topk(6, dim=1)
    torch.testing.assert_close(every.gather(1, found), best.values, rtol=1e-5, atol=1e-5)
    starts = best_windows(views, found, Pixels(real), describe)
    moved = best_windows(views[:, 3:5], found[3:5], Pixels(real), describe)
    assert torch.equal(starts[3:5], moved)


def test_brightness_and_contrast_do_not_count() -> None:
    train = scenes(20, 4)
    dull = (train[:4].float() * 0.5 + 60).round().to(torch.uint8)
    found = register(Pixels(dull), Pixels(train), torch.full((4,), -1), 0)
    assert found.indices[:, 0].tolist() == [0, 1, 2, 3]
    assert float(found.distances[:, 0].max()) < 0.05
    change = change_between(dull[0], train[0], found.motions[0, 0])
    assert change.contrast == pytest.approx(0.5, abs=0.02)


class Pixels:
    """Images that are registered."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def rows(self, chosen: Tensor) -> Tensor:
        return self.pixels[chosen]


def result(distances: list[list[float]], indices: list[list[int]]) -> Registered:
    d = torch.tensor(distances, dtype=torch.float64)
    return Registered(d, torch.tensor(indices), torch.zeros(*d.shape, 5))


def test_only_training_images_are_copied() -> None:
    found = result([[0.1, 0.5, 0.8], [0.3, 0.4, 0.6]], [[12, 3, 11], [11, 12, 13]])
    closest = closest_training_images(found, 10)  # images from 10 on are held-out ones
    assert closest.indices[0] == 3
    assert closest.ratios[0] == pytest.approx(0.5 / 0.8)
    assert closest.distances[1] == copies.FAR


def test_p_values_are_ranks_among_held_out_images() -> None:
    n = 199
    ratios = torch.arange(1, n + 1, dtype=torch.float64) / n
    held_out = copies.Closest(torch.full((n,), 0.9), ratios, torch.zeros(n), torch.zeros(n, 5))
    found = calibrate(held_out)
    assert found.near_copies == 0
    assert found.p_values(torch.tensor([0.0, 1.5 / n, 2.0], dtype=torch.float64)).tolist() == [1 / 200, 2 / 200, 1.0]
    assert found.threshold == 2 / n  # below it, at most one of 199 is smaller: p of at most 2 / 200
    assert calibrate(copies.Closest(*(value[:98] for value in vars(held_out).values()))).threshold == -torch.inf


def test_held_out_images_that_are_copies_themselves_do_not_set_the_threshold() -> None:
    n = 500
    distances = torch.linspace(0.7, 1.1, n, dtype=torch.float64)
    distances[:10] = 0.05  # two per cent of the held-out images are second scans of training images
    found = calibrate(copies.Closest(distances, distances, torch.zeros(n), torch.zeros(n, 5)))
    assert found.near_copies == 10
    assert found.threshold > 0.7
    assert found.false_alarms >= 10  # they count where the share of copies is corrected


def test_the_share_of_copies_is_corrected_for_false_alarms_and_for_copies_that_are_missed() -> None:
    calibration = Calibration(torch.linspace(0.5, 1, 1_000), 0, 0.5, 10)
    value, low, high = share_of_copies(59, 1_000, calibration, {"a": (40, 40), "b": (40, 40), "c": (20, 40)})
    assert value == pytest.approx((0.059 - 0.01) / (1 - 0.01))
    assert low < 0.05 < high
    assert high > 0.1  # half of the kind c are missed, so there may be twice as many
    assert share_of_copies(10, 1_000, calibration, {"a": (40, 40)})[:2] == (0.0, 0.0)


def test_tables_are_files_that_a_later_report_replaces(tmp_path: Path) -> None:
    table = Table("copies", ("generated", "training"), (("a, b.png", 3), ("c.png", 4)))
    Report("x", (Finding("copying", "?", "passed", "!", tables=(table,)),), {}).save(tmp_path)
    assert (tmp_path / "copies.csv").read_text() == 'generated,training\n"a, b.png",3\nc.png,4\n'
    Report("x", (Finding("copying", "?", "skipped", "!"),), {}).save(tmp_path)
    assert not (tmp_path / "copies.csv").exists()


def test_indices_are_those_of_the_images_that_were_given(tmp_path: Path) -> None:
    images = ImageSet("train", scenes(6, 0)).take(torch.tensor([4, 2, 5])).take(torch.tensor([2, 0]))
    assert [images.name_of(i) for i in range(2)] == ["5", "4"]
    files = tuple(tmp_path / "photos" / name for name in ("a/1.png", "b/2.png"))
    assert ImageSet("train", scenes(2, 0), files=files).name_of(1) == "b/2.png"
