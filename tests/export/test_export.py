"""Exported generators: equal to their models for any number of rows, with facts, and removed when they differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import zoo
from zoo.errors import UserError
from zoo.export import formats
from zoo.export.checking import example_inputs, largest_difference
from zoo.export.command import export, main
from zoo.export.facts import Facts, facts_of
from zoo.export.formats import WRITERS

VARIANTS: dict[str, Any] = {
    "DCGAN": lambda: zoo.DCGAN(resolution=16, channels=1, width=4, latent_dim=6, num_classes=3),
    "WGANGP": lambda: zoo.WGANGP(resolution=16, channels=3, width=4, latent_dim=6),
    "ProGAN": lambda: zoo.ProGAN(resolution=16, channels=1, width=8, width_base=64, latent_dim=6, num_classes=2),
    "BigGAN": lambda: zoo.BigGAN(resolution=32, channels=3, width=4, latent_dim=12, num_classes=3),
    "BigGANDeep": lambda: zoo.BigGANDeep(resolution=32, width=4, latent_dim=12, num_classes=3),
    "R3GAN": lambda: zoo.R3GAN(
        resolution=8, channels=1, widths=[16, 8], blocks=1, group_size=4, latent_dim=6, num_classes=2
    ),
    "VanillaGAN": lambda: zoo.VanillaGAN(resolution=8, channels=1, width=8, latent_dim=6),
    "MixGAN": lambda: zoo.MixGAN(
        {"class": "DCGAN", "resolution": 16, "channels": 1, "width": 4, "latent_dim": 6, "num_classes": 3}, components=3
    ),
}


def build(name: str) -> zoo.GAN:
    torch.manual_seed(0)
    built: zoo.GAN = VARIANTS[name]()
    if isinstance(built, zoo.ProGAN):
        built.set_clock(900_000)  # half faded in
    return built.eval()


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> zoo.GAN:
    return build(request.param)


@pytest.mark.parametrize(
    ("name", "format"),
    [("ProGAN", "onnx"), ("MixGAN", "onnx"), ("BigGAN", "onnx"), ("R3GAN", "torch"), ("WGANGP", "torch")],
)
def test_generators_are_exported_for_any_number_of_rows(name: str, format: str, tmp_path: Path) -> None:
    """`benchmarks/exports.py` exports every variant and every release in every format."""
    model = build(name)
    generator = model.exportable()
    ending, write = WRITERS[format]
    path = tmp_path / f"model{ending}"
    run = write(path, model, generator, facts_of("dcgan_digits", model, generator))
    assert largest_difference(model, generator, run, path.name) <= 1e-4
    assert path.stat().st_size > 1000


def test_the_module_draws_what_the_model_draws(model: zoo.GAN) -> None:
    latents, labels = model.sample_latent(5), model.sample_labels(5)
    drawn = model.member(0)(latents, labels) if isinstance(model, zoo.MixGAN) else model(latents, labels)
    images = model.exportable()(latents, labels) if labels is not None else model.exportable()(latents)
    assert torch.allclose(images, (drawn + 1) / 2, atol=1e-6)
    levels = model.exportable("uint8")(latents, labels)
    assert levels.dtype == torch.uint8
    assert torch.equal(levels, ((drawn + 1) * 127.5).round().to(torch.uint8))


def test_each_row_of_a_mixture_is_drawn_by_the_component_that_is_asked_for() -> None:
    model = VARIANTS["MixGAN"]()
    generator = model.exportable()
    assert generator.inputs == ("z", "labels", "component")
    assert sum(generator.weights) == pytest.approx(1)
    latents, labels, component = example_inputs(model, generator, 7)
    images = generator(latents, labels, component)
    for i, number in enumerate(component.tolist()):
        alone = model.member(number).exportable()(latents[i : i + 1], labels[i : i + 1])
        assert torch.allclose(images[i : i + 1], alone, atol=1e-6)


def test_an_exportable_module_stays_when_the_model_trains_on() -> None:
    model = VARIANTS["WGANGP"]()
    generator, latents = model.exportable(), model.sample_latent(2)
    before = generator(latents)
    with torch.no_grad():
        for weight in model.average.parameters():
            weight.add_(1.0)
    assert torch.equal(generator(latents), before)
    assert not any(name.startswith("_model") or "discriminator" in name for name in generator.state_dict())
    assert not any(weight.requires_grad for weight in generator.parameters())


def test_labels_are_asked_for_and_refused() -> None:
    conditional, plain = VARIANTS["DCGAN"]().exportable(), VARIANTS["WGANGP"]().exportable()
    with pytest.raises(ValueError, match=r"labels: this generator takes class indices \(B,\) in 0..2; got None"):
        conditional(torch.zeros(1, 6))
    with pytest.raises(ValueError, match="labels: this generator takes none; it has no classes; got some"):
        plain(torch.zeros(1, 6), torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match=r"pixels: float for images in \[0, 1\], or uint8; got 'int8'"):
        VARIANTS["DCGAN"]().exportable("int8")


def test_the_command_exports_a_release_with_its_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "digits.onnx"
    main(checkpoint="dcgan_digits", format="onnx", out=str(path), pixels="uint8")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path} ({path.stat().st_size / 1e6:,.1f} MB)"
    assert lines[1].startswith("largest difference from the model: ")
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert facts.keys() >= set(Facts.__dataclass_fields__)
    assert facts["name"] == "dcgan_digits"
    assert json.loads(facts["inputs"]) == ["z", "labels"]
    assert json.loads(facts["class_names"]) == [str(i) for i in range(10)]
    assert facts["range"] == "0 to 255"
    assert facts["licence"] == "apache-2.0"
    session = onnxruntime.InferenceSession(str(path))
    latents = torch.randn(4, int(facts["latent_dim"]), generator=torch.Generator().manual_seed(1))
    (drawn,) = session.run(None, {"z": latents.numpy(), "labels": np.arange(4)})
    expected = zoo.from_pretrained("dcgan_digits").exportable("uint8")(latents, torch.arange(4))
    assert drawn.dtype == np.uint8
    assert np.abs(drawn.astype(int) - expected.numpy().astype(int)).max() <= 1


def test_programs_of_torch_carry_their_facts(tmp_path: Path) -> None:
    path, difference = export("dcgan_digits", format="torch", out=str(tmp_path / "digits.pt2"))
    assert difference <= 1e-5
    extra = {formats.FACTS: ""}
    program = torch.export.load(path, extra_files=extra)
    assert json.loads(extra[formats.FACTS])["model"] == "DCGAN"
    images = program.module()(torch.zeros(5, 64), torch.arange(5))
    assert images.shape == (5, 1, 16, 16)


def test_arrays_are_those_of_the_module(tmp_path: Path) -> None:
    path, difference = export("dcgan_digits", format="npz", out=str(tmp_path / "digits.npz"))
    assert difference == 0
    state = zoo.from_pretrained("dcgan_digits").exportable().state_dict()
    with np.load(path, allow_pickle=False) as archive:
        assert set(archive.files) == {*state, "facts"}
        assert all(np.array_equal(archive[name], tensor.numpy()) for name, tensor in state.items())
        assert json.loads(str(archive["facts"]))["resolution"] == "16"


def test_a_file_that_differs_from_the_model_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_a_tenth(path: Path, model: zoo.GAN, generator: Any, facts: Facts) -> formats.Run:
        path.write_bytes(b"x")
        return lambda inputs: generator(*inputs) + 0.1

    monkeypatch.setitem(WRITERS, "onnx", (".onnx", off_by_a_tenth))
    with pytest.raises(
        UserError, match=r"digits.onnx: for 1 rows its images differ from the model's by up to 0.1, more"
    ):
        export("dcgan_digits", out=str(tmp_path / "digits.onnx"))
    assert list(tmp_path.iterdir()) == []


def test_nan_is_a_difference() -> None:
    model = VARIANTS["WGANGP"]()
    generator = model.exportable()
    with pytest.raises(UserError, match="differ from the model's by up to nan"):
        largest_difference(model, generator, lambda inputs: generator(*inputs) * float("nan"), "file")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "tflite"}, "format: one of onnx, torch, npz, html, gallery, space; got 'tflite'"),
        ({"out": "digits.bin"}, "out: a file ending in .onnx for format=onnx; got 'digits.bin'"),
        ({"pixels": "int8", "out": "digits.onnx"}, "pixels: float for images in [0, 1], or uint8; got 'int8'"),
    ],
)
def test_impossible_exports_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        export("dcgan_digits", **options)
    assert str(raised.value) == message


def test_missing_packages_are_named_with_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UserError) as raised:
        export("dcgan_digits", out=str(tmp_path / "digits.onnx"))
    assert str(raised.value) == 'format=onnx needs onnxscript, not installed: pip install ".[export]"'


def test_a_runtime_for_a_file_that_needs_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"runtime=ort\.tgz has no effect with format=npz; it is for html and gallery"):
        export("dcgan_digits", "npz", str(tmp_path / "digits.npz"), runtime="ort.tgz")
