"""The benchmark of tests for memorisation: copies as described, statistics by hand, and powers known beforehand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import zoo
from zoo.audit.benchmark import plants
from zoo.audit.benchmark.bank import Half, View, view_of
from zoo.audit.benchmark.command import benchmark
from zoo.audit.benchmark.detectors import detectors
from zoo.audit.benchmark.power import Design, interval, power
from zoo.audit.benchmark.table import markdown
from zoo.audit.statistics.distances import nearest
from zoo.audit.statistics.memory import real_neighbours
from zoo.data.digits import load_digits
from zoo.data.pool import to_float
from zoo.errors import UserError
from zoo.metrics.data_copying import closeness_score

FIXED = "fixed: below 0.5 of the mean of the 50 nearest (Carlini et al. 2023), points"


def pictures(n: int, size: int = 16) -> Tensor:
    levels = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(n))
    return to_float(levels.to(torch.uint8))


def copies(kind: str, images: Tensor) -> Tensor:
    return to_float(plants.planted_copies(kind, images, torch.Generator().manual_seed(0)))


# --- copies ----------------------------------------------------------------------------------------------------------


def test_copies_are_what_they_are_called() -> None:
    images = pictures(40)
    level = 1 / 127.5
    assert torch.equal(copies("exact", images), images)
    assert torch.equal(copies("mirrored", images).flip(3), images)
    noise = copies("noisy", images) - images
    assert float(noise[images.abs() < 0.5].std()) == pytest.approx(plants.NOISE, rel=0.03)
    brighter = (1.1 * images + 0.1).clamp(-1, 1)
    assert float((copies("brightened", images) - brighter).abs().max()) <= level / 2 + 1e-6
    patched = copies("patched", images)
    assert torch.equal(patched[..., :8], images[..., :8])
    assert torch.equal(patched[..., 8:], images.roll(1, 0)[..., 8:])


# --- statistics ------------------------------------------------------------------------------------------------------


def normal(n: int, seed: int, width: int = 4) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def known() -> tuple[View, Half, tuple[Tensor, Tensor, Tensor]]:
    """A view of 300 training points, 200 held-out ones and 60 exact copies, with half of the held-out as reference."""
    train, held_out = normal(300, 1), normal(200, 2)
    made = train[:60].clone()
    order = torch.randperm(200, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(200, dtype=torch.bool)
    mask[order[:100]] = True
    return view_of("points", train, held_out, made, 0), Half(order[:100], mask), (train, held_out, made)


def test_neighbours_are_those_among_the_training_images_and_the_reference(known: Any) -> None:
    view, half, (train, held_out, made) = known
    found = view.neighbours(half.mask)
    queries = torch.cat([held_out[half.rows], made])
    reference = held_out[half.rows]
    to_reference = nearest(queries, reference, 6)
    ours = torch.cat([half.rows, torch.arange(200, 260)])
    for i, row in enumerate(ours.tolist()):
        own = i < 100  # an image of the reference is no neighbour of itself
        distances = to_reference.distances[i, 1:] if own else to_reference.distances[i, :5]
        joined = torch.cat([nearest(queries[i : i + 1], train, 5).distances[0], distances]).sort().values
        assert float(found.ratios[row]) == pytest.approx(float(joined[0] / joined[4]), abs=1e-12)
    assert found.held_out == 100
    assert found.train == 300
    assert (found.winners[200:] == torch.arange(60)).all()  # copies are nearest to what they copy


def test_the_statistics_are_those_of_their_definitions(known: Any) -> None:
    view, half, (train, held_out, made) = known
    tests = detectors({"points": view}, half, torch.zeros(260, dtype=torch.bool))
    others = torch.tensor([row for row in range(200) if not half.mask[row]])
    rows = torch.cat([others[:70], torch.arange(200, 230)])
    images = torch.cat([held_out, made])[rows]
    distances = nearest(images, train).distances[:, 0]
    assert tests["mean nearest distance, points"](rows) == pytest.approx(-float(distances.mean()), rel=1e-12)
    bound = nearest(held_out[half.rows], train).distances[:, 0].quantile(0.01)
    assert tests["share closer than 99 % of held-out, points"](rows) == float((distances <= bound).double().mean())
    cosines = torch.nn.functional.cosine_similarity(images[:, None], train[None], dim=2).abs().amax(1)
    assert tests["MiFID's distance, points"](rows) == pytest.approx(-float((1 - cosines).mean()), abs=1e-6)
    total = weight = 0.0
    for cell in range(3):
        inside, reference = rows[view.cells[rows] == cell], half.rows[view.cells[half.rows] == cell]
        if len(inside) > 20:
            z = closeness_score(view.cell_distances[inside], view.cell_distances[reference])
            total, weight = total + len(reference) * z, weight + len(reference)
    assert weight
    assert tests["C_T, points"](rows) == pytest.approx(-total / weight, rel=1e-9)
    joined = real_neighbours(
        nearest(images, train, 5), nearest(images, held_out[half.rows], 5), 300, 100
    )  # none of the images is in the reference
    assert tests["exchange test, points"](rows) == pytest.approx(-math.log10(joined.exchange().p), rel=1e-9)


# --- power -----------------------------------------------------------------------------------------------------------


def test_powers_that_are_known_beforehand() -> None:
    """Fifty copies of 100 are found by every test of single distances; copies far away by none but by chance."""
    train, held_out, width = normal(400, 1, 8), normal(800, 2, 8), 8
    far = 50 + normal(60, 3, width)
    view = view_of("points", train, held_out, torch.cat([train[:60], far]), 0)
    rows = {"near": torch.arange(800, 860), "far": torch.arange(860, 920)}
    equal = torch.zeros(920, dtype=torch.bool)
    design = Design(100, (0.5,), seeds=2, honest=150, planted=10)
    found = power(lambda half: detectors({"points": view}, half, equal), rows, 800, design)
    by = {(row["test"], row["kind"]): row["found"] for row in found}
    tests = {row["test"] for row in found}
    assert tests == {
        *(f"{name}, points" for name in ("mean nearest distance", "C_T", "AuthPct", "exchange test")),
        *("share closer than 99 % of held-out, points", "MiFID's distance, points", "audit: all views"),
        FIXED,
    }
    for test in tests - {"MiFID's distance, points"}:
        assert by[test, "near"] == [1.0, 1.0], test
    for test in ("mean nearest distance, points", "share closer than 99 % of held-out, points", "AuthPct, points"):
        assert by[test, "far"] == [0.0, 0.0], test
    alarms = [value for row in found if row["kind"] == "honest" and row["test"] != FIXED for value in row["found"]]
    assert np.mean(alarms) < 0.04
    assert by[FIXED, "honest"] == [1.0, 1.0]  # in every set some honest point is as near: its threshold is no rate


def test_the_fixed_threshold_of_sscd_is_a_cosine() -> None:
    """Directions at 59 degrees to a training image are above the similarity 0.5, those at 61 degrees below it."""
    train, held_out = (torch.eye(800, 900)[part] for part in (slice(0, 300), slice(300, 800)))
    images = []
    for degrees in (59.0, 61.0):
        angle = math.radians(degrees)
        images.append(math.cos(angle) * train[:60] + math.sin(angle) * torch.eye(900)[800:860])
    view = view_of("sscd", train, held_out, torch.cat(images), 0)
    rows = {"near": torch.arange(500, 560), "far": torch.arange(560, 620)}
    half = Half(torch.arange(250), torch.arange(500) < 250)
    found = detectors({"sscd": view}, half, torch.zeros(620, dtype=torch.bool))
    (fixed,) = [test for name, test in found.items() if name.startswith("fixed: similarity above 0.5 (Somepalli")]
    assert fixed.fixed == 0.0
    assert [fixed.statistic(part) for part in (rows["near"], rows["far"], torch.arange(500))] == [1.0, 0.0, 0.0]


def test_a_few_exact_copies_are_found_by_their_equality() -> None:
    train, held_out = normal(400, 1, 8), normal(800, 2, 8)
    view = view_of("points", train, held_out, train[:60], 0)
    equal = torch.arange(860) >= 800
    design = Design(100, (0.04,), seeds=2, honest=100, planted=10)
    copies = {"exact": torch.arange(800, 860)}
    found = power(lambda half: detectors({"points": view}, half, equal), copies, 800, design)
    by = {(row["test"], row["kind"]): row["found"] for row in found}
    assert by["audit: all views", "exact"] == [1.0, 1.0]


def test_an_interval_over_seeds() -> None:
    assert interval([1.0, 1.0, 1.0]) == (1.0, 1.0, 1.0)
    mean, low, high = interval([0.0, 1.0] * 5)
    assert mean == 0.5
    assert 0.1 < low < 0.4 < 0.6 < high < 0.9


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    images, _ = load_digits(16, 1)
    np.save("train.npy", images[:800])
    np.save("held_out.npy", images[800:1400])
    return tmp_path


def test_the_command_writes_numbers_and_a_table(digits: Path) -> None:
    result = benchmark(
        "train.npy",
        "held_out.npy",
        extractor="pixels",
        options={"size": 8},
        kinds="exact,mirrored",
        shares=0.2,
        n=150,
        seeds=2,
        honest=100,
        planted=2,
        copies=20,
        tests="copying,missing,membership",
    )
    assert json.loads(Path("power.json").read_text()) == json.loads(json.dumps(result))
    assert result["protocol"]["n"] == 150
    assert result["protocol"]["training images that copies are made of"] == 30  # a fifth of 150
    by = {(row["test"], row["kind"]): row["found"] for row in result["rows"]}
    assert by["audit: all views", "exact"] == by["audit: all views", "mirrored"] == [1.0, 1.0]
    registered = "share listed in copies.csv, registered pixels"
    assert by[registered, "exact"] == by[registered, "mirrored"] == [1.0, 1.0]
    text = Path("power.md").read_text()
    assert text == markdown(result) + "\n"
    assert "**20 % of a set are copies** (30 of 150)" in text
    assert "| audit: all views | " in text
    assert "| test | honest | exact | mirrored |" in text
    assert "- FLD gap (Jiralerspong et al. 2023): not in tests=" in text.partition("Not run:")[2]
    assert "| test | honest | 100 images | 1,000 images | 10,000 images | a cluster missing | a cluster rare |" in text
    missing = {(row["test"], row["kind"]): row["found"] for row in result["missing"]}
    assert missing["birthday: pairs of duplicates", "100 images"] == [1.0, 1.0]
    attacks = {(space, row["kind"]): row for space, rows in result["membership"].items() for row in rows}
    assert np.mean(attacks["pixels", "exact"]["tpr"]) == pytest.approx(30 / 800, abs=0.005)
    assert "| pixels | 3.8 | " in text


def test_only_what_is_asked_for_is_measured(digits: Path) -> None:
    given = {"extractor": "pixels", "options": {"size": 8}, "n": 150, "seeds": 1, "honest": 100, "planted": 1}
    result = benchmark("train.npy", "held_out.npy", kinds="exact", shares=0.2, tests=["membership"], copies=20, **given)
    assert result["rows"] == []
    assert "missing" not in result
    assert list(result["membership"]) == ["pixels-8px", "pixels"]
    assert "% of a set are copies" not in Path("power.md").read_text()


def test_the_discriminator_of_a_run_is_one_more_attack(digits: Path) -> None:
    given = {"extractor": "pixels", "options": {"size": 8}, "n": 150, "honest": 100, "planted": 1, "copies": 20}
    words: dict[str, Any] = {"kinds": "exact", "shares": 0.1, "tests": "membership", "seeds": 2, **given}
    zoo.fit(
        "dcgan_digits",
        out="run",
        images=64,
        model={"width": 4, "num_classes": 0},
        trainer={"accelerator": "cpu"},
        callbacks={"SampleGrid": None, "SampleMetrics": None, "Alarms": None},
    )
    result = benchmark("train.npy", "held_out.npy", discriminator="run", **words)
    assert result["discriminator"]["members"] == 800
    assert result["discriminator"]["auc"] == pytest.approx([0.5, 0.5], abs=0.06)  # it has seen 64 of them, once
    assert "white box" not in " ".join(result["protocol"]["not run"])
    assert "**The discriminator of run** scores a training image higher than another one in " in markdown(result)
    with pytest.raises(UserError, match="discriminator=zoo:dcgan_digits: it judges an image by its class as well"):
        benchmark("train.npy", "held_out.npy", discriminator="zoo:dcgan_digits", **words)


def test_a_class_is_left_out_where_the_subfolders_name_classes(digits: Path) -> None:
    images, classes = load_digits(16, 1)
    for folder, rows in (("train", range(400)), ("held_out", range(400, 800))):
        for i in rows:
            place = Path(folder) / str(int(classes[i]))
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[i].squeeze()).save(place / f"{i}.png")
    given = {"extractor": "pixels", "options": {"size": 8}, "n": 100, "seeds": 1, "honest": 100, "planted": 10}
    result = benchmark("train", "held_out", kinds="exact", shares=0.2, tests="missing", copies=20, **given)
    assert result["protocol"]["faults without copies"]["a class missing"].startswith("one class of 10 is not drawn; ")
    assert "recognises the class of " in result["protocol"]["faults without copies"]["a class missing"]
    assert {row["kind"] for row in result["missing"]} >= {"honest", "a class missing", "a class rare"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": "exakt"}, "kinds: there is no kind 'exakt'. Did you mean exact? Known: exact, noisy"),
        (
            {"tests": "copies"},
            "tests: there is no test 'copies'. Did you mean copying? Known: copying, fld, membership, missing",
        ),
        ({"labels": "subfolders"}, "the images of train are an array"),
        ({"shares": [0.1, 0]}, "shares: numbers above 0 and at most 1; got 0"),
        ({"shares": []}, "shares: numbers above 0 and at most 1; got []"),
        ({"seeds": 0}, "seeds: at least 1; got 0"),
        ({"honest": 50}, "honest: at least 100 sets, since the threshold is what 1% of them exceed; got 50"),
        ({"out": "power.txt"}, "out: a file ending in .json; got 'power.txt'"),
        ({"held_out": "few.npy"}, "held_out: at least 400 images; few.npy has 50"),
        ({"train": "few.npy", "shares": 1.0}, "train: 500 images to copy are needed, which few.npy has not: 50"),
        ({"train": "nowhere"}, "train: there is no folder nowhere"),
    ],
)
def test_mistakes_are_explained(digits: Path, options: dict[str, Any], message: str) -> None:
    np.save("few.npy", np.load("train.npy")[:50])
    given = {"train": "train.npy", "held_out": "held_out.npy", "extractor": "pixels", **options}
    with pytest.raises(UserError) as raised:
        benchmark(**given)
    assert message in str(raised.value)
    assert not Path("power.json").exists()
