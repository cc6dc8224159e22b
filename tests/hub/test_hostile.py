"""Tests of hostile and damaged releases: they are refused with a reason, run no code, and leave no incomplete file."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import zoo
from tests.helpers.training import tiny_dcgan, tiny_mlp
from zoo.config.class_names import find_class, without_imports
from zoo.errors import ReleaseError, UserError
from zoo.hub.verifying import verify
from zoo.io.files import sha256_of
from zoo.releases import references, release_format, weights
from zoo.releases.audited import write_card
from zoo.runs.listing import show
from zoo.runs.opening import open_trained


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_dcgan().save_pretrained(tmp_path / "it")


def forged(folder: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]) -> Path:
    """Change configuration and tensors of a release, with correct digests, and return its folder."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    config = json.loads((folder / "config.json").read_text())
    change(config, tensors)
    texts = {release_format.HEADER_KEY: json.dumps({key: config.get(key) for key in release_format.BUILDING})}
    save_file(tensors, file, metadata=texts)
    if isinstance(config["files"], dict) and "model.safetensors" in config["files"]:
        config["files"]["model.safetensors"]["sha256"] = sha256_of(file)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


class Runs:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", ["torch", "plain"])
def test_a_pickle_in_place_of_safetensors(folder: Path, protocol: str) -> None:
    file, touched = folder / "model.safetensors", folder / "touched"
    if protocol == "torch":
        torch.save({"a": Runs(touched)}, file)
    else:
        file.write_bytes(pickle.dumps({"a": Runs(touched)}))
    config = json.loads((folder / "config.json").read_text())
    config["files"]["model.safetensors"]["sha256"] = sha256_of(file)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ReleaseError, match=r"is refused: it is a pickle .* can run code"):
        zoo.from_pretrained(folder)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("os.system", "no class of the zoo, and a release never chooses what code is imported"),
        ("my_module.Model", "never chooses what code is imported"),
        ("zoo.models.dcgan.DCGAN", "never chooses what code is imported"),
        ("DCGAM", r"has no class DCGAM. Did you mean DCGAN\?"),
        ("GAN", "no variant of a GAN"),
        ("Digits", "no variant of a GAN"),
        ("fit", "the zoo has no class fit"),
        ("__import__", "has no class __import__"),
    ],
)
def test_a_configuration_that_names_other_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    (folder.parent / "my_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("executed"))
    forged(folder, lambda config, tensors: config.update({"class": name}))
    with pytest.raises(ReleaseError, match=reason):
        zoo.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, f"the zoo has no class {name}") for name in ("fit", "load_run", "from_pretrained")),
        *((name, f"data.class: {name} is no source of zoo.data") for name in ("DCGAN", "Alarms")),
    ],
)
def test_the_data_that_a_release_names_are_data_and_nothing_else_is_called(
    name: str, reason: str, folder: Path
) -> None:
    elsewhere = folder.parent / "written"
    (folder / "recipe.yaml").write_text(f"data: {{class: {name}, recipe: dcgan_digits, out: {elsewhere}, images: 64}}")
    with pytest.raises(UserError, match=reason):
        open_trained(str(folder), {})
    assert not elsewhere.exists()


def test_arguments_are_values_and_no_expressions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    folder = zoo.MixGAN({"class": "DCGAN", "resolution": 16, "width": 4}, components=2).save_pretrained(tmp_path / "it")
    forged(folder, lambda config, tensors: config["arguments"]["base"].update({"latent": "${oc.env:SECRET_TOKEN}"}))
    with pytest.raises(ReleaseError, match=r"is an expression, not a value") as error:
        zoo.from_pretrained(folder)
    assert "hunter2" not in str(error.value)


def test_arguments_nested_without_end(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"class": "DCGAN"}
    for _ in range(400):
        deep = {"class": "MixGAN", "base": deep}
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    forged(folder, lambda config, tensors: config["arguments"].update({"base": deep}))
    with pytest.raises(ReleaseError, match=r"its arguments are nested more than 20 deep"):
        zoo.from_pretrained(folder)


@pytest.mark.parametrize("key", ["origin", "about"])
def test_what_a_card_is_made_of_is_a_mapping(key: str, folder: Path) -> None:
    forged(folder, lambda config, tensors: config.update({key: "text"}))
    with pytest.raises(ReleaseError, match=rf"{key} is 'text', no mapping"):
        zoo.from_pretrained(folder)


def test_names_of_classes_deeper_in_a_configuration_are_not_imported_either(tmp_path: Path) -> None:
    with without_imports():
        assert find_class("DCGAN") is zoo.DCGAN
        for name in ("os.system", "zoo.models.dcgan.DCGAN", "tests.hub.test_hostile.Runs"):
            with pytest.raises(
                UserError, match=r"is refused: what comes from outside names public classes of the zoo only"
            ):
                find_class(name)
    with without_imports(Runs):
        assert find_class("tests.hub.test_hostile.Runs") is Runs
    assert find_class("tests.hub.test_hostile.Runs") is Runs


def test_arguments_that_ask_for_millions_of_layers(tmp_path: Path) -> None:
    folder = tiny_mlp().save_pretrained(tmp_path / "it")
    forged(folder, lambda config, tensors: config["arguments"].update({"layers": 10**8}))
    began = time.process_time()
    with pytest.raises(
        ReleaseError, match=r"its arguments ask for more than 1,\d\d0 tensors, many times those in the file"
    ):
        zoo.from_pretrained(folder)
    assert time.process_time() - began < 20  # millions of layers would take minutes
    torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(2_000)))  # nothing stays behind


def test_a_mixture_s_base_is_a_class_of_the_zoo(tmp_path: Path) -> None:
    folder = zoo.MixGAN({"class": "DCGAN", "resolution": 16, "width": 4}, components=2).save_pretrained(tmp_path / "it")
    forged(folder, lambda config, tensors: config["arguments"].update({"base": {"class": "os.system"}}))
    with pytest.raises(ReleaseError, match=r"os.system is refused: what comes from outside"):
        zoo.from_pretrained(folder)


def test_a_path_that_leads_out_of_the_folder(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_text("x")

    def change(config: dict[str, Any], tensors: Any) -> None:
        config["files"]["../secret"] = {"size": 1, "sha256": sha256_of(secret)}

    forged(folder, change)
    with pytest.raises(ReleaseError, match=r"names the file '\.\./secret', which is not one inside it"):
        zoo.from_pretrained(folder)
    index = folder.parent / "index.json"
    index.write_text(json.dumps({"releases": {"../../etc": {"sha256": "0" * 64}}}))
    with pytest.raises(ReleaseError, match=r"damaged: '../../etc' is no name of a release"):
        references.read_index(folder.parent)
    with pytest.raises(ReleaseError, match=r"nothing that a release could be loaded from"):
        zoo.from_pretrained("zoo:../it")
    with pytest.raises(ReleaseError, match=r"nothing that a release could be loaded from"):
        zoo.from_pretrained("hf:org/../../it")


def wrong_shape(config: Any, tensors: dict[str, torch.Tensor]) -> None:
    tensors["discriminator.readout.weight"] = torch.zeros(1, 3, 4, 4)


def missing(config: Any, tensors: dict[str, torch.Tensor]) -> None:
    del tensors["average.stem.1.weight"]


def extra(config: Any, tensors: dict[str, torch.Tensor]) -> None:
    tensors["generator.stem.9.weight"] = torch.zeros(2)


def integers(config: Any, tensors: dict[str, torch.Tensor]) -> None:
    tensors["discriminator.readout.weight"] = tensors["discriminator.readout.weight"].long()


def unknown_setting(config: Any, tensors: Any) -> None:
    config["arguments"]["hook"] = "os.system"


def wrong_type(config: Any, tensors: Any) -> None:
    config["arguments"]["width"] = {"__class__": "os.system"}


def impossible(config: Any, tensors: Any) -> None:
    config["arguments"]["resolution"] = 17


def enormous(config: Any, tensors: Any) -> None:
    config["arguments"]["width"] = 10**6  # would be terabytes


def later(config: Any, tensors: Any) -> None:
    config["version"] = 2


def other_format(config: Any, tensors: Any) -> None:
    config["format"] = "something"


def negative(config: Any, tensors: Any) -> None:
    config["images_seen"] = -1


def more_undone_than_seen(config: Any, tensors: Any) -> None:
    config["images_undone"] = 10**12


def no_text(config: Any, tensors: Any) -> None:
    config["dtype"] = {}


def no_digest(config: Any, tensors: Any) -> None:
    config["files"] = {}


def other_precision(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """A header that says bfloat16 of bytes that are float16 would give other weights."""
    tensors["average.stem.1.weight"] = tensors["average.stem.1.weight"].bfloat16()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (wrong_shape, r"discriminator.readout.weight is \(1, 3, 4, 4\), the model's \(1, 8, 4, 4\)"),
        (missing, "average.stem.1.weight is missing"),
        (extra, "generator.stem.9.weight is not in the model"),
        (integers, r"discriminator.readout.weight is torch.int64, the model's torch.float32"),
        (unknown_setting, "hook: DCGAN has no setting of that name"),
        (wrong_type, "width: .* is not an integer"),
        (impossible, "DCGAN refuses its arguments: resolution of a DCGAN is one of"),
        (enormous, r"its tensors are not those of DCGAN with its arguments: .* the model's \(.*1000000"),
        (later, "of version 2 of the format, this zoo reads up to 1. Update gan-zoo"),
        (other_format, "is no release of the zoo"),
        (negative, "images_seen is -1"),
        (more_undone_than_seen, "images_undone is 1000000000000, more than images_seen"),
        (no_text, "dtype is {}, not one of float32"),
        (no_digest, "has no digest of model.safetensors"),
        (other_precision, "average.stem.1.weight is torch.bfloat16, the release says float32"),
        (lambda config, tensors: config.update(dtype=[1]), r"dtype is \[1\], not one of float32, float16, bfloat16"),
        (lambda config, tensors: config.update(files=True), "has no digest of model.safetensors"),
    ],
)
def test_files_that_do_not_fit(folder: Path, change: Any, reason: str) -> None:
    forged(folder, change)
    before = sorted(folder.rglob("*"))
    with pytest.raises(ReleaseError, match=reason):
        zoo.from_pretrained(folder)
    assert sorted(folder.rglob("*")) == before


def test_configuration_and_weights_that_disagree(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "images_seen": 5}))
    with pytest.raises(ReleaseError, match=r"config.json says images_seen=5, model.safetensors says 0"):
        zoo.from_pretrained(folder)


def test_a_header_that_claims_ten_gigabytes(folder: Path, tmp_path: Path) -> None:
    file = shutil.copy(folder / "model.safetensors", tmp_path / "alone.safetensors")  # no config.json has its digest
    content = file.read_bytes()
    for claimed in (10 * 2**30, 2**64 - 1, len(content)):
        file.write_bytes(claimed.to_bytes(8, "little") + content[8:])
        with pytest.raises(ReleaseError, match=rf"its header would have {claimed:,} bytes, of a file of"):
            zoo.from_pretrained(str(file))
    with open(file, "wb") as sparse:  # a sparse file that is as long as its header claims
        sparse.write((10 * 2**30).to_bytes(8, "little"))
        sparse.truncate(10 * 2**30 + 8)
    with pytest.raises(ReleaseError, match=r"at most 16,777,216 are read"):
        zoo.from_pretrained(str(file))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}, "does not lie where a tensor of its shape would"),
        ({"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}, "does not lie where"),
        ({"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}, "its tensors need .* bytes, and it has 16"),
        ({"dtype": "F99", "shape": [4], "data_offsets": [0, 16]}, "has dtype 'F99'"),
        ({"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}, "shape"),
        ({"dtype": "F32"}, "its header is not readable"),
        ([], "its header is not readable"),
        ("x" * 100, "its header is not readable"),
    ],
)
def test_headers_that_lie(tmp_path: Path, entry: Any, reason: str) -> None:
    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "it.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(ReleaseError, match=reason):
        zoo.from_pretrained(path)


@pytest.mark.parametrize("content", [b"", b"abc", b"\x05\0\0\0\0\0\0\0[[[[[", b"\xff" * 64, b"{}" * 40])
def test_files_that_are_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "it.safetensors"
    path.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"refused"):
        zoo.from_pretrained(path)


def test_a_truncated_file_is_damaged_not_loaded(folder: Path, tmp_path: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ReleaseError, match=r"model.safetensors is damaged or was changed: its sha256"):
        zoo.from_pretrained(folder)
    alone = shutil.copy(file, tmp_path / "alone.safetensors")  # no config.json has its digest
    with pytest.raises(ReleaseError, match=r"its tensors need .* It is damaged or incomplete"):
        zoo.from_pretrained(alone)


@pytest.mark.parametrize("start", [b"\x80", b"\x80\x04", b"PK"])
def test_a_header_whose_length_looks_like_a_pickle_is_read(start: bytes, tmp_path: Path) -> None:
    length = int.from_bytes(start + b"\x01" * (2 - len(start)), "little")
    header = json.dumps({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}).ljust(length).encode()
    path = tmp_path / "it.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + header + b"ab")
    assert path.read_bytes().startswith(start)
    assert weights.read_header(path).tensors["a"][1] == (2,)


def test_a_folder_with_a_pickle_alone(tmp_path: Path, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(
        ReleaseError, match=r"has no model.safetensors. Its pytorch_model.bin is a pickle, which is never"
    ):
        zoo.from_pretrained(folder)
    (tmp_path / "other").mkdir()
    torch.save({}, tmp_path / "other/model.pt")
    with pytest.raises(ReleaseError, match=r"is no release: it has no config.json. Its model.pt is a pickle"):
        zoo.from_pretrained(tmp_path / "other")


@pytest.mark.parametrize("text", ["[]", "{", "{}", "[" * 100_000, '"gan-zoo release"'])
def test_configurations_that_are_none(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ReleaseError, match=r"no JSON|no release of the zoo"):
        zoo.from_pretrained(folder)


def test_nothing_is_half_written_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "serialised", full)
    with pytest.raises(ReleaseError, match=r"cannot write .* No space left on device"):
        tiny_dcgan(width=6).save_pretrained(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("change", [{"images": 3}, {"images": {}}, {"grid": [1]}, {"images": {"num_classes": "x"}}])
def test_a_card_that_cannot_be_written_says_so(change: dict[str, Any], folder: Path) -> None:
    """Found by `tests/fuzz/damaged.py`: errors of the template and of the facts in it."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    for action in (write_card, verify):
        with pytest.raises(ReleaseError, match=r"no card can be written, because config.json, metrics.json or audit"):
            action(folder)


def test_a_card_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "README.md").write_bytes(b"\xff")
    with pytest.raises(ReleaseError, match=r"README.md cannot be read: .* python -m zoo.hub card=.* writes it again"):
        show(str(folder))
