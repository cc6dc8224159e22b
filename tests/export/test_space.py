"""The folder of a Space: complete by itself, and it draws what Python draws."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import zoo
from tests.export.test_export import VARIANTS
from zoo.errors import UserError
from zoo.export.command import export, main
from zoo.export.facts import facts_of
from zoo.export.space import GRADIO, front_matter, write_space
from zoo.rendering.pictures import to_uint8
from zoo.sampling.images import truncated

PYTHON_WITH_GRADIO = os.environ.get("ZOO_GRADIO_PYTHON", "")
"""A Python with Gradio and onnxruntime: Gradio 6 needs an older Pillow than this library is tested with."""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spaces") / "space"
    _, difference = export("dcgan_digits", format="space", out=str(folder))
    assert difference <= 1  # of 255
    return folder


@pytest.fixture(scope="module")
def app(space: Path) -> dict[str, Any]:
    """The names of `app.py`, which is not started."""
    return runpy.run_path(str(space / "app.py"), run_name="app")


def test_the_folder_is_complete_by_itself(space: Path) -> None:
    assert {path.name for path in space.iterdir()} == {
        "README.md",
        "app.py",
        "model.onnx",
        "release",
        "requirements.txt",
    }
    code = (space / "app.py").read_text()
    assert "import torch" not in code
    assert "import zoo" not in code
    assert f"gradio=={GRADIO}" in (space / "requirements.txt").read_text().splitlines()
    assert zoo.hub.verify(space / "release")
    _, matter, text = (space / "README.md").read_text().split("---\n", 2)
    front = yaml.safe_load(matter)
    assert (front["sdk"], front["app_file"], front["sdk_version"]) == ("gradio", "app.py", GRADIO)
    assert (front["title"], front["license"]) == ("dcgan_digits", "apache-2.0")
    assert len(front["short_description"]) <= 60  # the hub refuses more
    assert 'zoo.from_pretrained("./release")' in text


@pytest.mark.parametrize("seed", [0, 12345, 2**32 - 1])
def test_a_seed_draws_the_image_that_python_draws(app: dict[str, Any], seed: int) -> None:
    model = zoo.from_pretrained("dcgan_digits")
    for label in (0, 7):
        expected = to_uint8(model.sample(1, seed=seed, labels=[label]))[0].permute(1, 2, 0).numpy()
        found = app["generate"]([app["latent_of"](seed)], [label], [seed])[0]
        assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(("length", "latent"), [(64, "normal"), (100, "normal"), (7, "normal"), (20, "uniform")])
def test_the_latents_are_those_of_torch(app: dict[str, Any], length: int, latent: str) -> None:
    latent_of = app["latent_of"]
    own = latent_of.__globals__
    own.update(LATENT_DIM=length, TEXTS={**app["TEXTS"], "latent": latent})
    try:
        for seed, bound in [(seed, bound) for seed in (0, 12345, 2**32 - 1) for bound in (None, 0.5)]:
            torch.manual_seed(seed)
            draw = (
                (lambda n: torch.randn(n, length)) if latent == "normal" else (lambda n: torch.rand(n, length) * 2 - 1)
            )
            expected = truncated(draw, 1, bound)[0]
            assert torch.allclose(torch.tensor(latent_of(seed, bound or 0.0)).float(), expected, atol=2e-6)
    finally:
        own.update(LATENT_DIM=app["LATENT_DIM"], TEXTS=app["TEXTS"])


def test_pictures_have_one_class_in_each_column_and_walks_end_where_they_should(app: dict[str, Any]) -> None:
    picture = np.asarray(app["draw"](0, 20, "all classes in turn", 0))
    assert picture.shape == (2 * 18 * 3, 10 * 18 * 3)  # 16 px and a margin of 2, three times as large
    third = app["generate"]([app["latent_of"](3)], [3], [3])[0, :, :, 0]
    assert np.array_equal(picture[: 16 * 3 : 3, 3 * 54 : 3 * 54 + 48 : 3], third)
    way = np.asarray(app["walk"](0, 1, 8, "7"))
    ends = app["generate"]([app["latent_of"](0), app["latent_of"](1)], [7, 7], [0, 0])[..., 0]
    side = 18 * (640 // (8 * 18))
    step = side // 18
    for place, end in ((0, ends[0]), (7, ends[1])):
        shown = way[: 16 * step : step, place * side : place * side + 16 * step : step]
        assert np.abs(shown.astype(int) - end).max() <= 1


def test_a_mixture_draws_by_its_members(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = VARIANTS["MixGAN"]().eval()
    write_space(tmp_path / "mix", "dcgan_digits", model)
    names = runpy.run_path(str(tmp_path / "mix" / "app.py"), run_name="app")
    latents = np.stack([names["latent_of"](seed) for seed in range(12)])
    images = names["generate"](latents, [0] * 12, range(12))
    members = [model.member(i).exportable("uint8") for i in range(3)]
    rows, labels = torch.tensor(latents).float(), torch.zeros(12, dtype=torch.long)
    drawn = torch.stack([member(rows, labels) for member in members]).permute(0, 1, 3, 4, 2).numpy()
    nearest = np.abs(drawn.astype(int) - images).max((2, 3, 4)).argmin(0)
    assert len(set(nearest)) > 1
    assert all(np.abs(drawn[member, i].astype(int) - images[i]).max() <= 1 for i, member in enumerate(nearest))


class Recorder:
    """In place of Gradio: whatever is asked for exists, and events are remembered."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, int, str]] = []

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *arguments: Any, **options: Any) -> Recorder:
        if "api_name" in options:
            self.events.append((arguments[0], len(arguments[1]), options["api_name"]))
        return self

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def test_the_page_calls_the_functions_with_what_they_take(app: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    module = ModuleType("gradio")
    module.__getattr__ = lambda name: recorder  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "gradio", module)
    app["interface"]()
    assert [name for _, _, name in recorder.events] == ["draw", "first", "walk"]
    for function, inputs, _ in recorder.events:
        assert function.__code__.co_argcount == inputs


@pytest.mark.skipif(not PYTHON_WITH_GRADIO, reason="ZOO_GRADIO_PYTHON names no Python with Gradio")
def test_gradio_runs_the_folder_and_its_client_draws(space: Path, app: dict[str, Any]) -> None:
    client = Path(__file__).parents[1] / "helpers" / "space_client.py"
    done = subprocess.run([PYTHON_WITH_GRADIO, str(client), str(space)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["sizes"] == [[540, 54], [576, 72]]


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="exists and is not an empty folder"):
        main(checkpoint="dcgan_digits", format="space", out=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(UserError, match=r"format: one of onnx, torch, npz, html, gallery, space; got 'gradio'"):
        main(checkpoint="dcgan_digits", format="gradio")


def test_a_repository_of_the_hub_is_linked(tmp_path: Path) -> None:
    model = VARIANTS["DCGAN"]()
    facts = facts_of("dcgan_digits", model, model.exportable("uint8"))
    assert yaml.safe_load(front_matter("hf:someone/digits", facts))["models"] == ["someone/digits"]
    assert "models" not in yaml.safe_load(front_matter("dcgan_digits", facts))


def test_a_long_name_of_a_class_does_not_make_the_description_too_long_for_the_hub() -> None:
    model = VARIANTS["DCGAN"]()
    facts = replace(facts_of("dcgan_digits", model, model.exportable("uint8")), model="My" * 40)
    assert len(yaml.safe_load(front_matter("dcgan_digits", facts))["short_description"]) == 60
