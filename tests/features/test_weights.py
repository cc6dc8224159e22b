"""Weights of extractors from outside: verified, read without running code, refused with the reason."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers import random_weights
from zoo.config.command_line import run_command
from zoo.errors import FeatureError
from zoo.features import clip, dinov2, extractor, inception
from zoo.features.weights import PublishedWeights
from zoo.runs.measuring import main

pytest.importorskip("torch_fidelity")
timm = pytest.importorskip("timm")

TAKING_WEIGHTS = [
    "inception",
    "inception-clean",
    "inception-legacy-pytorch",
    "inception-torchvision",
    "inception-spatial",
    "dinov2-dgm",
    "dinov2-torch-fidelity",
    "clip-vit-b32",
    "clip-vit-b32-torch-fidelity",
    "timm:test_vit",
]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights for the Inception network."""
    return random_weights.random_inception(tmp_path_factory.mktemp("weights") / "random.pth")


def test_the_download_is_verified_and_leaves_nothing_when_it_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_inception: Path
) -> None:
    monkeypatch.setattr(inception, "URL", random_inception.as_uri())
    with pytest.raises(FeatureError, match=r"cannot fetch .*weights=PATH"):  # the digest is not the published one
        extractor("inception")
    assert list((tmp_path / "cache" / "weights").iterdir()) == []
    monkeypatch.setattr(inception, "SHA256", sha256(random_inception))
    assert extractor("inception").name == "inception"
    monkeypatch.setattr(inception, "URL", "file:///nowhere")
    extractor("inception")  # from the cache
    for name in ("inception-clean", "inception-legacy-pytorch", "inception-spatial"):  # which share the file
        built = extractor(name)
        assert built.name == name
        assert built.compares_with
    (file,) = (tmp_path / "cache" / "weights").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    for name in ("inception", "inception-clean", "inception-legacy-pytorch", "inception-spatial"):
        with pytest.raises(FeatureError, match="damaged"):
            extractor(name)


def test_a_digest_of_which_only_the_beginning_is_published_is_checked_as_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's file names hold the first eight digits, which torch.hub checks."""
    path = random_weights.random_torchvision_inception(tmp_path / "w.pth")
    right = PublishedWeights(path.as_uri(), sha256(path)[:8], "inception_v3.pth")
    wrong = PublishedWeights(path.as_uri(), "01234567", "inception_v3.pth")
    monkeypatch.setattr(inception, "TORCHVISION", wrong)
    with pytest.raises(FeatureError, match=r"what the server sent is not the file that was asked for"):
        extractor("inception-torchvision")
    monkeypatch.setattr(inception, "TORCHVISION", right)
    assert extractor("inception-torchvision").name == "inception-torchvision"
    assert inception.TORCHVISION.find(None)[2]


def test_published_weights_of_dinov2_and_clip_go_by_the_plain_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's file is a TorchScript archive, which is read only if its digest is the published one."""
    path = random_weights.random_dinov2(tmp_path / "dino.pth")
    variant = dinov2.Variant("vit_small_patch14_dinov2", 384, sha256(path), "ViT-S/14")
    monkeypatch.setitem(dinov2.MODELS, "vits14", variant)
    assert extractor("dinov2-dgm", weights=str(path), model="vits14").name == "dinov2-dgm-vits14"
    assert variant.weights("vits14").address.endswith("dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth")

    state = torch.load(random_weights.random_clip(tmp_path / "clip.pth"), weights_only=True)
    archive = tmp_path / "clip.pt"
    torch.jit.save(torch.jit.script(as_modules(state)), str(archive))  # type: ignore[no-untyped-call]
    with pytest.raises(FeatureError, match=r"clip\.pt is refused"):
        extractor("clip-vit-b32", weights=str(archive))
    monkeypatch.setattr(clip, "WEIGHTS", PublishedWeights(archive.as_uri(), sha256(archive), "clip.pt"))
    from_archive, from_tensors = (
        extractor("clip-vit-b32"),
        extractor("clip-vit-b32", weights=str(tmp_path / "clip.pth")),
    )
    x = torch.zeros(1, 3, 8, 8)
    assert torch.equal(from_archive(x), from_tensors(x))
    assert from_archive.name == "clip-vit-b32"
    assert from_tensors.name == f"clip-vit-b32-{sha256(tmp_path / 'clip.pth')[:8]}"
    assert from_archive.compares_with
    assert not from_tensors.compares_with


def as_modules(state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Return nested modules whose parameters have the given dotted names."""
    root = torch.nn.Module()
    for name, tensor in state.items():
        *path, own = name.split(".")
        module = root
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, torch.nn.Module())
            module = getattr(module, part)
        module.register_parameter(own, torch.nn.Parameter(tensor))
    return root


def test_a_failed_download_says_what_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "URL", "file:///nowhere/weights.pth")
    with pytest.raises(FeatureError, match=r"cannot fetch file:///no.*options\.weights=PATH .*, or use extractor=eff"):
        extractor("inception")


def test_addresses_and_digests_are_those_of_the_packages() -> None:
    """torch-fidelity names OpenAI's digest, and pytorch-fid the beginning of that of the network of 2015."""
    from torch_fidelity.feature_extractor_clip import MODEL_URLS
    from torch_fidelity.feature_extractor_dinov2 import MODEL_METADATA
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
    from torchvision.models import Inception_V3_Weights

    assert clip.WEIGHTS.address == MODEL_URLS["clip-vit-b-32"]
    assert clip.WEIGHTS.sha256 in clip.WEIGHTS.address
    assert inception.URL == URL_INCEPTION_V3
    assert inception.SHA256[:8] in inception.URL
    assert inception.TORCHVISION.address == Inception_V3_Weights.IMAGENET1K_V1.url
    assert inception.TORCHVISION.sha256 in inception.TORCHVISION.address
    assert {f"dinov2_{name}" for name in dinov2.MODELS} == set(MODEL_METADATA.values())


@pytest.mark.parametrize("name", TAKING_WEIGHTS)
def test_weights_that_are_no_tensors_are_refused_unread(name: str, tmp_path: Path) -> None:
    touched = tmp_path / "touched"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (touched,)

    torch.save({"x": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    for file, text in {"evil": "refused", "text": "refused", "other": "no weights of", "none": "cannot"}.items():
        with pytest.raises(FeatureError, match=text):
            extractor(name, weights=str(tmp_path / f"{file}.pth"))
    assert not touched.exists()


def test_weights_of_another_network_are_refused_with_its_name(tmp_path: Path, random_inception: Path) -> None:
    small = random_weights.random_dinov2(tmp_path / "dino.pth")
    for name, path, text in (
        (
            "dinov2-dgm",
            small,
            r"dino\.pth has no weights of DINOv2 ViT-L/14: 168 of its 342 tensors are missing, such as blocks",
        ),
        ("dinov2-dgm", random_inception, r"random\.pth has no weights of DINOv2: it lacks pos_embed"),
        ("clip-vit-b32", small, r"dino\.pth has no weights of CLIP ViT-B/32: it lacks visual\.proj"),
        ("inception-torchvision", random_inception, r"random\.pth has no weights of torchvision's Inception v3"),
        ("timm:test_vit", small, r"dino\.pth has no weights of timm's test_vit"),
    ):
        with pytest.raises(FeatureError, match=text) as error:
            extractor(name, weights=str(path))
        assert len(str(error.value)) < 600  # torch lists every tensor, thousands of lines


def test_a_file_of_safetensors_is_read_for_a_model_of_timm(tmp_path: Path) -> None:
    network = timm.create_model("test_vit")
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    torch.save(network.state_dict(), tmp_path / "w.pth")
    first, second = (extractor("timm:test_vit", weights=str(tmp_path / f"w.{end}")) for end in ("safetensors", "pth"))
    assert first.name == second.name  # the same tensors
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-5])
    with pytest.raises(FeatureError, match=r"cut\.safetensors is refused: it is no file of safetensors"):
        extractor("timm:test_vit", weights=str(tmp_path / "cut.safetensors"))


def test_a_file_in_half_precision_gives_a_model_of_timm_in_single_precision(tmp_path: Path) -> None:
    """Also where it is built in a model on the meta device, and without a step of the random state."""
    save_file(
        {name: value.half() for name, value in timm.create_model("test_vit").state_dict().items()},
        tmp_path / "h.safetensors",
    )
    state = torch.get_rng_state()
    usual = extractor("timm:test_vit", weights=str(tmp_path / "h.safetensors"))
    with torch.device("meta"):
        built = extractor("timm:test_vit", weights=str(tmp_path / "h.safetensors"))
    assert torch.equal(torch.get_rng_state(), state)
    assert {weight.dtype for each in (usual, built) for weight in each.parameters()} == {torch.float32}
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(usual.features_and_logits(images)[0], built.features_and_logits(images)[0])


def test_a_model_that_timm_does_not_have_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FeatureError, match=r"timm \S+ has no model 'resnt50'\. Did you mean resnet50\?"):
        extractor("timm:resnt50")
    with pytest.raises(FeatureError, match=r"has no model 'hf-hub:someone/thing'"):
        extractor("timm:hf-hub:someone/thing")
    with pytest.raises(FeatureError, match=r"sise: timm:test_vit has no setting of that name"):
        extractor("timm:test_vit", sise=3)
    with pytest.raises(FeatureError, match=r"timm cannot load its pretrained weights .*options\.weights=PATH"):
        extractor("timm:vit_tiny_patch16_384.none")
    with pytest.raises(FeatureError, match=r"model: 'vitx14' is not one of 'vits14', 'vitb14', 'vitl14', 'vitg14'"):
        extractor("dinov2-dgm", model="vitx14")


def test_the_commands_answer_is_a_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    from PIL import Image

    for name in ("real", "fake"):
        Path(name).mkdir()
        for i in range(12):
            Image.new("RGB", (8, 8), (20 * i, 9, 9)).save(Path(name) / f"{i}.png")
    Path("w.pth").write_text("no weights")
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, ["real=real", "fake=fake", "extractor=dinov2-dgm", "options.weights=w.pth"])
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert "w.pth is refused: it is not a file of tensors" in text
    assert "Traceback" not in text


@pytest.mark.network
def test_the_published_files_can_be_downloaded() -> None:
    for weights in (inception.TORCHVISION, clip.WEIGHTS, dinov2.MODELS["vits14"].weights("vits14")):
        assert weights.find(None)[2]
    assert extractor("clip-vit-b32").name == "clip-vit-b32"
