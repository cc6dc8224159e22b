"""A card says what its release's other files say, number by number."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import zoo
from tests.helpers.training import tiny_dcgan
from zoo import hub
from zoo.errors import ReleaseError, UserError
from zoo.io.files import sha256_of
from zoo.releases import references, release_format
from zoo.releases.audited import card_of
from zoo.releases.card import card, weaknesses
from zoo.releases.card_wording import WITHOUT_WIDGET
from zoo.releases.writing import this_platform, write_release
from zoo.runs.packing import pack
from zoo.sampling.grids import draw

RELEASES = zoo.pretrained()


def number(key: str, value: float | None, floor: float | None = None, **changes: Any) -> dict[str, Any]:
    """As zoo.evaluate writes one."""
    return {
        "key": key,
        "label": f"{key}-digits",
        "value": value,
        "low": None,
        "high": None,
        "floor": floor,
        "floor_n": [50, 50],
        "higher_is_better": key in ("recall", "coverage", "precision"),
        "protocol": {"metric": key, "n_real": 90, "n_fake": 80, "seed": 7, "extractor": "digits", "images_seen": 0},
        **changes,
    }


def metrics(*numbers: dict[str, Any], **row: Any) -> dict[str, Any]:
    return {
        "evaluations": [
            {"subject": "it", "notes": ["n is small"], "rows": [{"truncation": None, "numbers": list(numbers), **row}]}
        ]
    }


def numbers_in(table_row: str) -> list[float]:
    cells = [cell.strip() for cell in table_row.strip("|").split("|")][1:]
    return [float(found) for cell in cells for found in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?", cell)]


def written(n: dict[str, Any]) -> list[float]:
    """The numbers that a card must show for one of metrics.json, in order."""
    sizes = [n["protocol"]["n_fake"], n["protocol"]["n_real"]]
    shown = [v for v in (n["value"], n["low"], n["high"], n["floor"]) if v is not None]
    at = [] if n["floor"] is None or n["floor_n"][0] == n["protocol"]["n_real"] else [n["floor_n"][0]]
    return [float(f"{v:.5g}") for v in shown] + at + sizes


def check_numbers(text: str, found: dict[str, Any]) -> int:
    """Hold the table rows of a card against metrics.json; returns how many there are."""
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if re.match(r"\| [\w/]+-", line)}
    expected = [n for one in found["evaluations"] for row in one["rows"] for n in row["numbers"]]
    assert set(rows) == {n["label"] for n in expected}
    for n in expected:
        assert numbers_in(rows[n["label"]]) == written(n), n["label"]
    return len(expected)


@pytest.mark.parametrize("name", RELEASES)
def test_every_number_of_a_shipped_card_is_in_its_metrics(name: str) -> None:
    folder = references.releases_folder() / name
    text, found = (folder / "README.md").read_text(), json.loads((folder / "metrics.json").read_text())
    assert check_numbers(text, found) >= 3
    matter = yaml.safe_load(text.split("---")[1])
    values = {n["name"]: n["value"] for n in matter["model-index"][0]["results"][0]["metrics"]}
    assert values == {
        n["label"]: n["value"]
        for one in found["evaluations"]
        for row in one["rows"]
        for n in row["numbers"]
        if row["truncation"] is None and n["value"] is not None
    }
    assert {n["type"] for n in matter["model-index"][0]["results"][0]["metrics"]}.isdisjoint({"fid", "kid", "is"})
    model, config = zoo.from_pretrained(name), json.loads((folder / "config.json").read_text())
    assert f"{model.images_seen:,} images shown" in text
    for one in found["evaluations"]:
        for row in one["rows"]:
            assert all(n["protocol"]["images_seen"] == model.images_seen for n in row["numbers"])
    assert config["about"]["data"]["licence"] in text
    assert "not recorded" not in text


@pytest.mark.parametrize("name", RELEASES)
def test_the_grid_of_a_shipped_card_is_what_the_model_draws(name: str) -> None:
    folder = references.releases_folder() / name
    grid = json.loads((folder / "config.json").read_text())["grid"]
    assert grid["seed"] == 0  # of all cards
    picture = Image.open(folder / "grid.png").convert("RGB")
    assert hashlib.sha256(picture.tobytes()).hexdigest() == grid["pixels_sha256"]
    fresh = draw(zoo.from_pretrained(name), grid["rows"], grid["columns"], grid["seed"])
    difference = np.abs(np.asarray(picture).astype(int) - np.asarray(fresh).astype(int)).max()
    assert difference <= (0 if grid["platform"] == this_platform() else 2)


@pytest.mark.parametrize("name", RELEASES)
def test_a_shipped_release_holds_what_it_claims(name: str) -> None:
    folder = references.releases_folder() / name
    assert hub.verify(folder)
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sum(files.values()) < 12 * 2**20
    assert set(files) == {
        "README.md",
        "config.json",
        "grid.png",
        "metrics.json",
        "model.safetensors",
        "recipe.yaml",
        "audit.json",
    }
    config = release_format.read_config(folder / "config.json")
    assert references.read_index()[name]["sha256"] == release_format.recorded_sha256(config, "model.safetensors")


def test_the_shelf_is_small_and_all_of_it_is_in_the_index() -> None:
    folder = references.releases_folder()
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 80 * 2**20
    assert {path.name for path in folder.iterdir() if path.is_dir()} <= set(RELEASES)


def test_the_hub_s_client_reads_the_front_matter(tmp_path: Path) -> None:
    client = pytest.importorskip("huggingface_hub", reason="pip install .[hub]")
    folder = write_release(tiny_dcgan(), tmp_path / "it", metrics=metrics(number("fid", 1.25, 0.5)))
    data = client.ModelCard.load(folder / "README.md").data
    assert (data.license, data.library_name, data.model_name) == ("apache-2.0", "gan-zoo", "it")
    (result,) = data.eval_results
    assert (result.metric_name, result.metric_value) == ("fid-digits", 1.25)
    assert data.pipeline_tag == "unconditional-image-generation"
    (picture,) = data.widget
    assert picture == {"text": "samples of seed 0", "output": {"url": "grid.png"}}
    assert (folder / picture["output"]["url"]).is_file()


def test_the_snippet_of_a_card_draws_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_release(tiny_dcgan(), tmp_path / "it")
    monkeypatch.chdir(tmp_path)
    for path in (folder / "README.md", references.releases_folder() / "dcgan_digits" / "README.md"):
        (snippet,) = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
        names: dict[str, Any] = {}
        exec(snippet, names)
        assert len(names["images"]) == 4
        assert names["images"].abs().max() <= 1


def test_a_card_without_the_picture_is_still_valid(tmp_path: Path) -> None:
    folder = write_release(tiny_dcgan(), tmp_path / "it")
    config = release_format.read_config(folder / "config.json")
    (folder / "README.md").write_text(card_of(folder, config, WITHOUT_WIDGET))
    assert "widget" not in (folder / "README.md").read_text()
    assert "the card agrees with the other files" in hub.verify(folder)


def test_a_card_shows_values_intervals_floors_and_sizes(tmp_path: Path) -> None:
    found = metrics(
        number("fid", 123456.789, 0.000123456, low=1.0, high=2.5),
        number("recall", 0.25, 0.5),
        number("kid", -3.21e-7),
        number("is", None),
        cas={"score": 0.5, "low": 0.4, "high": 0.6, "reference": 0.9},
    )
    folder = write_release(tiny_dcgan(), tmp_path / "it", metrics=found)
    text = (folder / "README.md").read_text()
    assert check_numbers(text, found) == 4
    assert "| classification accuracy score | 0.5 | 0.4 to 0.6 | 0.9 |" in text
    assert "Note: n is small." in text
    assert "seed: 7; extractor: digits" in text
    assert "recall-digits is 0.25, real images reach 0.5: parts of the data are rarely drawn" in text


@pytest.mark.parametrize(
    ("about", "fault"),
    [
        ("a text", "about must be a mapping with name, where, summary"),
        ({"sumary": "x"}, "about: there is no 'sumary'. Did you mean summary?"),
        ({"data": "MNIST"}, "about: data is a mapping; got 'MNIST'"),
        ({"training": {"hours": "2"}}, "about: training.hours is a number"),
        ({"data": {"name": torch.zeros(1)}}, "about: a card shows plain, finite values"),
    ],
)
def test_what_a_card_could_not_show_is_refused(about: Any, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=re.escape(fault)):
        tiny_dcgan().save_pretrained(tmp_path / "it", about=about)
    assert not list(tmp_path.iterdir())


def test_a_card_tells_of_rounds_that_a_rollback_undid(tmp_path: Path) -> None:
    model = tiny_dcgan()
    model.set_clock(3300, rounds=19, images_undone=1200)
    text = (model.save_pretrained(tmp_path / "it") / "README.md").read_text()
    assert "- 3,300 images shown to the discriminator, 19 rounds\n- 1,200 of these images in rounds that were" in text


def test_one_weakness_is_one_line(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it", about={"weaknesses": "hands"})
    assert "\n- hands\n" in (folder / "README.md").read_text()


def test_a_card_loads_a_mixture_of_ones_own_with_its_base(tmp_path: Path) -> None:
    model = zoo.MixGAN({"class": "tests.releases.test_release.Shifted", "resolution": 16, "width": 4}, components=2)
    assert "cls=Shifted)" in (model.save_pretrained(tmp_path / "it") / "README.md").read_text()


@pytest.mark.parametrize("name", RELEASES)
def test_a_shipped_release_draws_most_of_its_data(name: str) -> None:
    """The bar of the shelf: coverage of 0.5 on held-out images, as the committed measurement says."""
    found = json.loads((references.releases_folder() / name / "metrics.json").read_text())["evaluations"]
    numbers = {n["key"]: n for one in found for row in one["rows"] for n in row["numbers"]}
    assert numbers["coverage"]["value"] >= 0.5
    assert numbers["fid"]["value"] > numbers["fid"]["floor"] > 0
    assert {n["protocol"]["split"] for n in numbers.values()} == {"held_out"}


def test_numbers_that_nobody_vouches_for_are_no_part_of_a_release(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    shutil.copy(references.releases_folder() / "dcgan_digits/metrics.json", folder)
    with pytest.raises(ReleaseError, match=r"holds metrics.json, of which its config.json has no digest"):
        hub.verify(folder)
    numbers = {"evaluations": [{"rows": [{"numbers": [{"protocol": {"images_seen": 7}}]}]}]}
    (folder / "metrics.json").write_text(json.dumps(numbers))
    config = json.loads((folder / "config.json").read_text())
    config["files"]["metrics.json"] = {"size": 1, "sha256": sha256_of(folder / "metrics.json")}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ReleaseError, match=r"measured a model after 7 images, this one has seen 0"):
        hub.verify(folder)


def test_weaknesses_follow_from_the_numbers() -> None:
    config = {"about": {"weaknesses": ["hands"]}, "origin": {"missing": "a discriminator"}}
    found = weaknesses(
        config, metrics(number("coverage", 0.79, 1.0), number("precision", 0.8, 1.0), number("classes_missing", 2.0))
    )
    assert found == [
        "coverage-digits is 0.79, real images reach 1: parts of the data are rarely drawn",
        "2 classes are never drawn",
        "it was converted without a discriminator: the one here has random weights",
        "hands",
    ]
    assert weaknesses({}, None) == ["this model was not evaluated"]
    assert len(weaknesses({}, metrics(number("coverage", 0.9, 1.0)))) == 1


def test_a_card_depends_on_its_files_alone(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    config = release_format.read_config(folder / "config.json")
    assert card(config, None) == (folder / "README.md").read_text()


def test_a_run_is_packed_with_what_its_folder_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes: dict[str, Any] = {
        "images": 192,
        "model": {"width": 4},
        "trainer": {"accelerator": "cpu"},
        "callbacks": {"SampleMetrics": {"every": 64, "n": 100, "extractor": "pixels"}},
    }
    run = zoo.fit("dcgan_digits", out="run", **changes)
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/index.json").write_text('{"releases": {}}')
    (tmp_path / "run/evaluation").mkdir(exist_ok=True)
    mine = number("fid", 1.5)
    mine["protocol"]["images_seen"] = 192
    (tmp_path / "run/evaluation/000000000192-held_out-digits.json").write_text(
        json.dumps(metrics(mine)["evaluations"][0])
    )
    folder = pack("run", "shelf/tiny", summary="Noise.", weaknesses="all of it")
    text = (folder / "README.md").read_text()
    for words in (
        "Noise.",
        "CC BY 4.0",
        "1,618 images to train on, 179 held out",
        "recipe: dcgan_digits",
        "all of it",
        "192 images shown",
        "minutes",
        "| fid-digits | 1.5 |",
        "seed 0",
    ):
        assert words in text, words
    chosen = re.search(
        r"- checkpoint: the (best and last|last); FD-pixels\S* chose on training images, and on \d+ held-out ones, "
        r"against \d+ samples of seed 0, is (\S+) at the best \(\d+ images\)(?:, (\S+) at the last \(192\))?\n",
        text,
    )
    assert chosen, text
    (report,) = (json.loads(path.read_text()) for path in (tmp_path / "run/evaluation").glob("report-*.json"))
    values = [next(n["value"] for n in report[which]["numbers"] if n["key"] == "fid") for which in ("best", "last")]
    assert [float(value or chosen[2]) for value in chosen.groups()[1:]] == pytest.approx(values, rel=5e-3)
    assert (chosen[1] == "last") == (chosen[3] is not None)
    assert hub.verify(folder)
    assert json.loads((folder / "config.json").read_text())["about"]["training"]["hours"] > 0
    assert (folder / "recipe.yaml").read_text() == (tmp_path / "run/recipe.yaml").read_text()
    assert references.read_index(tmp_path / "shelf")["tiny"]["class"] == "DCGAN"
    loaded = zoo.from_pretrained(folder)
    assert loaded.images_seen == run.model.images_seen == 192

    other = tmp_path / "other.json"
    other.write_text(json.dumps(metrics(number("fid", 1.0))["evaluations"][0]))
    with pytest.raises(UserError, match=r"measured a model after 0 images, this one has seen 192"):
        pack("run", "shelf/again", metrics="other.json")
    other.write_text("{}")
    with pytest.raises(UserError, match=r"is no file of python -m zoo.evaluate"):
        pack("run", "shelf/again", metrics=["other.json"])
    recipe = tmp_path / "run/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("class: Digits", "class: StackedDigits"))
    with pytest.raises(UserError, match=r"licence: the licence of the training data \(StackedDigits\) is not known"):
        pack("run", "shelf/again")
    assert not (tmp_path / "shelf/again").exists()


def test_a_platform_names_its_processor() -> None:
    """Of two with the same instructions, one drew a pixel of a grid a grey level brighter."""
    version, machine, instructions, processor = this_platform().split(", ")
    assert version == f"torch {torch.__version__}"
    assert machine.split()[0] in ("Linux", "Darwin", "Windows")
    assert instructions == torch.backends.cpu.get_cpu_capability()
    assert processor.strip()
    assert this_platform() == this_platform()
