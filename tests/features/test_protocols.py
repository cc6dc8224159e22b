"""Each named protocol gives what the package gives that it is named after: resizing, layers and features.

The published weights are too large for a test and are not needed: both sides have the same random ones. The packages
are clean-fid 0.1.35, pytorch-fid 0.3.0, torch-fidelity 0.4.0, timm 1.0.31 and Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.helpers import random_weights
from tests.helpers.dinov2_network import PlainDINOv2
from zoo.data import Digits
from zoo.evaluation.metric_table import label_of
from zoo.features import EXTRACTORS, Extractor, cached_features, extractor, inception
from zoo.features.cache import entry_path
from zoo.features.dinov2 import positions_at
from zoo.features.resampling import pillow_resize, tensorflow1_resize

pytest.importorskip("torch_fidelity")
timm = pytest.importorskip("timm")

OF_2015 = ("inception", "inception-clean", "inception-legacy-pytorch", "inception-spatial")
WRITERS: dict[str, Callable[[Path], Path]] = {
    **dict.fromkeys(OF_2015, random_weights.random_inception),
    "inception-torchvision": random_weights.random_torchvision_inception,
    **dict.fromkeys(("dinov2-dgm", "dinov2-torch-fidelity"), random_weights.random_dinov2),
    **dict.fromkeys(("clip-vit-b32", "clip-vit-b32-torch-fidelity"), random_weights.random_clip),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the file of random weights of an extractor, written once."""
    folder = tmp_path_factory.mktemp("weights")

    def of(name: str) -> Path:
        write = WRITERS[name]
        path = folder / f"{write.__name__}.pth"
        return path if path.exists() else write(path)

    return of


@pytest.fixture(scope="module")
def build(weights: Callable[[str], Path]) -> Callable[[str], Any]:
    """Return an extractor with random weights, built once."""
    built: dict[str, Extractor] = {}

    def of(name: str) -> Extractor:
        if name not in built:
            settings = {"model": "vits14"} if name.startswith("dinov2") else {}
            built[name] = extractor(name, weights=str(weights(name)), **settings)
        return built[name]

    return of


def pictures(n: int, height: int, width: int) -> Tensor:
    """Images of bytes: noise, which any difference of kernels shows, half of it smooth."""
    noise = torch.randint(0, 256, (n, 3, height, width), generator=torch.Generator().manual_seed(height * width))
    smooth = torch.nn.functional.avg_pool2d(noise.float(), 5, 1, 2).round().long()
    return torch.where(torch.arange(width) < width // 2, smooth, noise).to(torch.uint8)


def as_array(image: Tensor) -> Any:
    return image.permute(1, 2, 0).numpy()


def agree(found: Tensor, wanted: Tensor, within: float = 1e-4) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=within * float(wanted.abs().max()))


# --- resizing --------------------------------------------------------------------------------------------------------

SHAPES = [(32, 32), (64, 64), (100, 60), (224, 224), (256, 256), (299, 300), (340, 513), (1, 1)]
"""None that loses more than twice as many rows as columns, which recent versions of Pillow take in another order."""


@pytest.mark.parametrize("size", [224, 299])
@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", SHAPES)
def test_resizing_in_batches_is_pillows_bit_by_bit(shape: tuple[int, int], kernel: Any, size: int) -> None:
    images = pictures(2, *shape)
    filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
    found = pillow_resize(images.float(), size, size - 9, kernel, rounds=True)
    for image, ours in zip(images, found):
        theirs = Image.fromarray(as_array(image)).resize((size - 9, size), filters[kernel])
        assert np.array_equal(as_array(ours), np.asarray(theirs))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.filterwarnings("ignore")
def test_resizing_in_float_is_that_of_clean_fid(shape: tuple[int, int]) -> None:
    resizer = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    images = pictures(2, *shape)
    found = pillow_resize(images.float(), 299, 299, "bicubic", rounds=False).clamp(0, 255)
    for image, ours in zip(images, found):
        assert np.abs(as_array(ours) - resizer(as_array(image))).max() < 1e-4


def test_resizing_of_a_large_image_leaves_no_level_to_chance() -> None:
    """Sums of a large image have many terms; torch's own antialiasing is off by a level here."""
    image = pictures(1, 1024, 1024)
    theirs = np.asarray(Image.fromarray(as_array(image[0])).resize((299, 299), Image.Resampling.BICUBIC))
    assert np.array_equal(as_array(pillow_resize(image.float(), 299, 299, "bicubic", rounds=True)[0]), theirs)
    torchs = torch.nn.functional.interpolate(image, (299, 299), mode="bicubic", antialias=True)
    assert (as_array(torchs[0]) != theirs).any()


def test_tensorflows_resizing_of_a_row_is_the_one_written_out() -> None:
    """Place i of n looks at i * before / n: 0, 0.5, 1, 1.5 of two pixels, with the last pixel repeated."""
    found = tensorflow1_resize(torch.tensor([[[[10.0, 20.0], [10.0, 20.0]]]]), 4)
    assert found[0, 0, 0].tolist() == [10, 15, 20, 20]


# --- the Inception networks ------------------------------------------------------------------------------------------


@pytest.fixture
def of_pytorch_fid(weights: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return pytorch-fid's network, with the random weights in place of the download."""
    package = pytest.importorskip("pytorch_fid.inception")
    state = torch.load(weights("inception"), weights_only=True)
    monkeypatch.setattr(package, "load_state_dict_from_url", lambda *args, **settings: state)
    inner = package._inception_v3

    def filled(*args: Any, **settings: Any) -> Any:
        wants_published = settings.pop("weights", None) is not None or settings.pop("pretrained", False)
        network = inner(*args, **settings, weights=None)
        if wants_published:
            network.load_state_dict(torch.load(weights("inception-torchvision"), weights_only=True))
        return network

    monkeypatch.setattr(package, "_inception_v3", filled)

    def make(**settings: Any) -> Any:
        return package.InceptionV3([0, 1, 2, 3], **settings).eval()

    return make


@torch.no_grad()
@pytest.mark.parametrize("shape", [(32, 32), (310, 340)])
@pytest.mark.filterwarnings("ignore")
def test_the_legacy_protocol_is_pytorch_fid(
    shape: tuple[int, int], build: Callable[[str], Any], of_pytorch_fid: Callable[..., Any]
) -> None:
    ours, theirs = build("inception-legacy-pytorch"), of_pytorch_fid()
    seen = random_weights.watch(ours.network, ["MaxPool_1", "MaxPool_2", "Mixed_6e", "AvgPool"])
    images = pictures(2, *shape)
    found = ours(images)
    wanted = theirs(images.float() / 255)  # as ToTensor
    for name, layer in zip(("MaxPool_1", "MaxPool_2", "Mixed_6e", "AvgPool"), wanted):
        agree(seen[name], layer)
    agree(found, wanted[-1].flatten(1))


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
def test_the_legacy_protocol_is_the_mode_of_clean_fid(
    build: Callable[[str], Any], of_pytorch_fid: Callable[..., Any]
) -> None:
    """clean-fid's copy of the network is pytorch-fid's; its resizer takes single images."""
    resizer = pytest.importorskip("cleanfid.resize").build_resizer("legacy_pytorch")
    images = pictures(2, 40, 60)
    resized = torch.stack([torch.from_numpy(resizer(as_array(image))).permute(2, 0, 1) for image in images])
    agree(build("inception-legacy-pytorch")(images), of_pytorch_fid(resize_input=False)(resized / 255)[3].flatten(1))


@torch.no_grad()
def test_the_spatial_features_are_seven_maps_of_the_inner_layer(build: Callable[[str], Any]) -> None:
    """The maps that torch-fidelity's own pass goes through, at 7 of 192 channels of 17 x 17 positions."""
    whole, spatial = build("inception"), build("inception-spatial")
    seen: list[Tensor] = []
    handle = whole.network.Mixed_6d.branch1x1.register_forward_hook(lambda module, given, out: seen.append(out))
    images = pictures(2, 40, 60)
    whole(images)
    handle.remove()
    features, logits = spatial.features_and_logits(images)
    assert seen[0].shape == (2, 192, 17, 17)
    assert features.shape == (2, spatial.width) == (2, 2023)
    assert logits is None
    agree(features, seen[0][:, :7].flatten(1))


@torch.no_grad()
@pytest.mark.parametrize("shape", [(32, 32), (310, 340)])
@pytest.mark.filterwarnings("ignore")
def test_the_network_of_torchvision_is_that_of_pytorch_fid(
    shape: tuple[int, int], build: Callable[[str], Any], of_pytorch_fid: Callable[..., Any]
) -> None:
    ours, theirs = build("inception-torchvision"), of_pytorch_fid(use_fid_inception=False)
    names = ["maxpool1", "maxpool2", "Mixed_6e", "avgpool"]
    seen = random_weights.watch(ours.network, names)
    images = pictures(2, *shape)
    features, logits = ours.features_and_logits(images)
    for name, layer in zip(names, theirs(images.float() / 255)):
        agree(seen[name], layer)
    agree(features, layer.flatten(1))
    assert logits.shape == (2, ours.logits_width) == (2, 1000)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(32, 32), (310, 340)])
@pytest.mark.filterwarnings("ignore")
def test_the_clean_protocol_is_clean_fid_up_to_its_network(
    shape: tuple[int, int], build: Callable[[str], Any], weights: Callable[[str], Path]
) -> None:
    """clean-fid's own network is a TorchScript file; torch-fidelity's has the same layers and weights of 2015.

    That torch-fidelity's `forward` resizes is passed over by giving it an image of 299 px, for which it does nothing.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    resizer = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    ours, images = build("inception-clean"), pictures(2, *shape)
    theirs = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], str(weights("inception")))
    resized = torch.stack([torch.from_numpy(resizer(as_array(image))).permute(2, 0, 1) for image in images])
    x = (resized - 128) / 128  # features.py of clean-fid: InceptionV3W.forward
    for name in inception.LAYERS:
        x = getattr(theirs, name)(x)
    features, logits = ours.features_and_logits(images)
    agree(features, x.flatten(1))
    agree(logits, x.flatten(1) @ theirs.fc.weight.T)


@torch.no_grad()
def test_layers_one_by_one_are_torch_fidelitys_whole_network(build: Callable[[str], Any]) -> None:
    """`from_input`, by which the protocols are computed, on an image that needs no resizing."""
    images = pictures(1, 299, 299)
    whole, ours = build("inception"), build("inception-clean")
    for found, wanted in zip(ours.features_and_logits(images), whole.features_and_logits(images)):
        agree(found, wanted, 1e-6)


def test_protocols_of_one_network_differ_in_their_resizing(build: Callable[[str], Any]) -> None:
    """One name for all of them would hide it: their features of a small image are apart by more than rounding."""
    images = pictures(2, 32, 32)
    found = {name: build(name)(images) for name in OF_2015[:3]}  # of the same layer
    for first, second in combinations(OF_2015[:3], 2):
        assert (found[first] - found[second]).norm() > 1e-2 * found[first].norm()


# --- DINOv2 and CLIP -------------------------------------------------------------------------------------------------


def normalised_by_torchvision(image: Tensor, size: int) -> Tensor:
    """The transform of dgm_eval/models/dinov2.py, without --clean_resize."""
    from torchvision import transforms

    steps = [
        transforms.Resize((size, size), transforms.InterpolationMode.BICUBIC),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    result: Tensor = transforms.Compose(steps)(Image.fromarray(as_array(image)))
    return result


@torch.no_grad()
def test_dinov2_in_the_protocol_of_dgm_eval(build: Callable[[str], Any], weights: Callable[[str], Path]) -> None:
    """The network is held against one written out; the authors' own code agreed with both, see the docs."""
    ours, images = build("dinov2-dgm"), pictures(2, 40, 60)
    plain = PlainDINOv2(torch.load(weights("dinov2-dgm"), weights_only=True), heads=6)
    seen = random_weights.watch(ours.network, [f"blocks.{i}" for i in range(12)])
    found = ours(images)
    wanted = plain(torch.stack([normalised_by_torchvision(image, 224) for image in images]))
    for i, block in enumerate(plain.blocks):
        agree(seen[f"blocks.{i}"], block)
    agree(found, wanted)
    assert (ours.width, plain.blocks[0].shape) == (384, (2, 257, 384))


@torch.no_grad()
def test_dinov2_in_the_protocol_of_torch_fidelity(
    build: Callable[[str], Any], weights: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    plain = PlainDINOv2(torch.load(weights("dinov2-dgm"), weights_only=True), heads=6)
    monkeypatch.setattr(torch.hub, "load", lambda *args, **settings: plain)
    theirs = FeatureExtractorDinoV2("dinov2-vit-s-14", ["dinov2"])
    images = pictures(2, 40, 60)
    agree(build("dinov2-torch-fidelity")(images), theirs(images)[0])
    assert (build("dinov2-dgm")(images) - theirs(images)[0]).norm() > 1e-2 * theirs(images)[0].norm()


def test_positions_are_interpolated_by_the_authors_rule_and_not_by_timms(weights: Callable[[str], Path]) -> None:
    """timm's own rule antialiases, and gives other features from the same weights."""
    given = torch.load(weights("dinov2-dgm"), weights_only=True)["pos_embed"]
    ours, timms = positions_at(given, 16), timm.layers.resample_abs_pos_embed(given, (16, 16))
    assert ours.shape == timms.shape == (1, 257, 384)
    assert torch.equal(ours[:, 0], given[:, 0])
    assert (ours - timms).abs().max() > 0.01 * ours.abs().max()
    assert positions_at(ours, 16) is ours


@torch.no_grad()
def test_clip_in_the_protocol_of_torch_fidelity(build: Callable[[str], Any], weights: Callable[[str], Path]) -> None:
    from torch_fidelity import feature_extractor_clip

    theirs = object.__new__(feature_extractor_clip.FeatureExtractorCLIP)
    torch.nn.Module.__init__(theirs)
    state = torch.load(weights("clip-vit-b32"), weights_only=True)
    theirs.model = feature_extractor_clip.build_model(dict(state), torch.float32)
    theirs.resolution, theirs.features_list = 224, ["clip"]
    theirs.feature_extractor_internal_dtype = torch.float32
    ours, images = build("clip-vit-b32-torch-fidelity"), pictures(2, 40, 60)
    names = [f"blocks.{i}" for i in range(12)]
    seen = random_weights.watch(ours.network, names)
    theirs_seen = random_weights.watch(theirs.model.visual, [f"transformer.resblocks.{i}" for i in range(12)])
    agree(ours(images), theirs(images)[0])
    for mine, other in zip(seen.values(), theirs_seen.values(), strict=True):
        agree(mine, other.permute(1, 0, 2))


@torch.no_grad()
@pytest.mark.parametrize("shape", [(32, 32), (300, 240)])
def test_clip_has_its_own_preprocessing_as_in_clean_fid(shape: tuple[int, int], build: Callable[[str], Any]) -> None:
    """`img_preprocess_clip` of cleanfid/clip_features.py, which needs the package `clip` to be imported."""
    from torchvision import transforms

    steps = [transforms.Resize(224, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224)]
    ours, images = build("clip-vit-b32"), pictures(2, *shape)
    for image, resized in zip(images, ours.resized(images.float())):
        theirs = np.asarray(transforms.Compose(steps)(Image.fromarray(as_array(image))))
        assert np.array_equal(as_array(resized), theirs)


# --- timm ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("model", ["test_convnext.r160_in1k", "test_vit.r160_in1k", "tf_efficientnet_lite0.in1k"])
@pytest.mark.parametrize("shape", [(32, 32), (300, 240)])
def test_any_model_of_timm_with_its_own_preprocessing(model: str, shape: tuple[int, int], tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(model).eval()
    torch.save(theirs.state_dict(), tmp_path / "w.pth")  # with the classifier, as published files
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(theirs), is_training=False)
    ours, images = extractor(f"timm:{model}", weights=str(tmp_path / "w.pth")), pictures(2, *shape)
    inputs = torch.stack([transform(Image.fromarray(as_array(image))) for image in images])
    agree(ours(images), theirs.forward_head(theirs.forward_features(inputs), pre_logits=True))
    assert ours.name.startswith(f"timm-{model}-")
    assert label_of("fid", ours.name).startswith(f"FD-timm-{model}-")


# --- names and cached features ---------------------------------------------------------------------------------------


def test_the_published_names_are_there() -> None:
    wanted = {*WRITERS, "effnet-lite0", "pixels", "digits"}
    assert wanted <= EXTRACTORS.keys()


def test_a_fid_is_called_by_its_protocol() -> None:
    assert label_of("fid", "inception") == "FID"
    assert label_of("fid", "inception-clean") == "FID-clean"
    assert label_of("kid", "inception-clean") == "KID-clean"
    assert label_of("fid", "inception-legacy-pytorch") == "FID-legacy-pytorch"
    assert label_of("fid", "inception-torchvision") == "FD-inception-torchvision"  # another network
    assert label_of("sfid", "inception-spatial") == "sFID"
    assert label_of("fid", "inception-spatial") == "FD-inception-spatial"
    assert label_of("fid", "inception-clean-0123abcd") == "FD-inception-clean-0123abcd"  # other weights
    assert label_of("precision", "inception-clean") == "precision-inception-clean"


def test_two_protocols_never_share_cached_features(build: Callable[[str], Any], tmp_path: Path) -> None:
    data = Digits()
    data.setup()
    chosen = np.arange(2)
    paths = {name: entry_path(build(name), data.held_out, chosen) for name in WRITERS}
    assert len(set(paths.values())) == len(WRITERS)
    for name in OF_2015:  # one file of weights, four entries
        values = cached_features(build(name), data.held_out, chosen).values
        assert torch.equal(values, build(name)(data.held_out.tensor(2)))
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 4
