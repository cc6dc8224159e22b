"""Any network of timm as an extractor, with the preprocessing that timm records for its weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.errors import FeatureError, did_you_mean, first_line
from zoo.features.base_extractor import Extractor
from zoo.features.resampling import centre_crop, pillow_resize, resize_shorter_side
from zoo.features.weights import check_fit, load_tensors, needed, weights_sha256
from zoo.io.files import with_home

PREFIX = "timm:"


class TimmModel(Extractor):
    """Pooled features of a network of timm, before its classifier; its own preprocessing.

    Images are resized by Pillow's kernel with antialiasing, rounded to the 256 levels after each pass, cut to the
    network's size and normalised, as `timm.data.create_transform` does for evaluation.

    Args:
        model: name in timm, such as `convnext_tiny.fb_in22k`.
        weights: path of a local file of `torch.save` or of safetensors, with timm's names; None lets timm download the
            pretrained weights, which timm verifies as far as it does.
    """

    def __init__(self, model: str, weights: str | None = None) -> None:
        timm = needed("timm", f"{PREFIX}{model}")
        if not model or "/" in model or ":" in model or not timm.is_model(model):
            raise FeatureError(
                f"extractor={PREFIX}{model}: timm {timm.__version__} has no model {model!r}."
                f"{did_you_mean(model, timm.list_models())} timm.list_models() lists them"
            )
        network, where = _with_file(timm, model, weights) if weights else (_pretrained(timm, model), "")
        config = timm.data.resolve_model_data_config(network)
        self._check(model, config)
        features = network(torch.zeros(1, *config["input_size"], device="cpu"))
        if features.ndim != 2:
            raise FeatureError(
                f"extractor={PREFIX}{model}: its features are {tuple(features.shape)}, not (images, width). Use a "
                "model that pools its features"
            )
        digest = _digest(network)
        super().__init__(
            f"timm-{model}" + (f"-{digest[:8]}" if weights else ""),
            features.shape[1],
            {
                "network": f"{model} (timm)",
                "layer": f"before the classifier, {features.shape[1]}-d",
                "weights": f"{where or 'pretrained, from timm'}; blake2b of the tensors {digest[:16]}",
                "resize": _described(config),
                "input": f"uint8, x / 255, mean {tuple(config['mean'])}, deviation {tuple(config['std'])}",
            },
            batch_size=32,
        )
        self.config = config
        self.network = network
        self.freeze()

    @staticmethod
    def _check(model: str, config: dict[str, Any]) -> None:
        """Refuse preprocessing that is not computed here."""
        if config["interpolation"] not in ("bicubic", "bilinear") or config["crop_mode"] not in ("center", "squash"):
            raise FeatureError(
                f"extractor={PREFIX}{model}: its preprocessing is {config['interpolation']} with crop mode "
                f"{config['crop_mode']}; known are bicubic and bilinear, with center or squash. Use another model"
            )
        if config["crop_pct"] > 1:
            raise FeatureError(
                f"extractor={PREFIX}{model}: its preprocessing pads images (crop_pct {config['crop_pct']:g}), "
                "which is not computed here. Use another model"
            )
        if config["input_size"][0] != 3:
            raise FeatureError(f"extractor={PREFIX}{model}: it takes {config['input_size'][0]} channels, not 3")

    def resized(self, pixels: Tensor) -> Tensor:
        """Resize pixels (B, 3, H, W), levels of 0 to 255, to the network's size, as timm's evaluation does."""
        height, width = self.config["input_size"][1:]
        scaled = _scaled(self.config)
        if self.config["crop_mode"] == "center" and scaled[0] == scaled[1]:
            pixels = resize_shorter_side(pixels, scaled[0], self.config["interpolation"])
        else:
            pixels = pillow_resize(pixels, *scaled, self.config["interpolation"], rounds=True)
        return centre_crop(pixels, height, width)

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, None]:
        """Compute features; see `Extractor.forward_pixels`."""
        mean, deviation = (pixels.new_tensor(self.config[key]).view(3, 1, 1) for key in ("mean", "std"))
        features: Tensor = self.network((self.resized(pixels) / 255 - mean) / deviation)
        return features, None


def _scaled(config: dict[str, Any]) -> tuple[int, int]:
    """Return the height and width that images are resized to before the centre is cut out."""
    height, width = config["input_size"][1:]
    return int(height / config["crop_pct"]), int(width / config["crop_pct"])


def _described(config: dict[str, Any]) -> str:
    size, scaled = config["input_size"][1:], _scaled(config)
    return (
        f"Pillow {config['interpolation']} to {scaled[0]} x {scaled[1]} px ({config['crop_mode']}), antialiased, "
        f"rounded to 256 levels; centre of {size[0]} x {size[1]} px"
    )


def _pretrained(timm: Any, model: str) -> Any:
    """Return a network with the weights that timm downloads.

    Raises:
        FeatureError: if there are none, or they cannot be downloaded.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # also in a model on the meta device
            return timm.create_model(model, pretrained=True, num_classes=0).eval()
    except Exception as error:  # of the hub's client, of urllib, of timm: there is no common class
        raise FeatureError(
            f"extractor={PREFIX}{model}: timm cannot load its pretrained weights ({first_line(error)}). Give a name "
            "that has some (timm.list_pretrained() lists them), or a local file: options.weights=PATH"
        ) from error


def _with_file(timm: Any, model: str, weights: str) -> tuple[Any, str]:
    """Return a network with the weights of a file, and the digest of the file in words.

    Raises:
        FeatureError: if the file cannot be read, or has the weights of another network.
    """
    path = with_home(weights)
    digest = weights_sha256(path)
    state = _tensors(path)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # not `fill`: some have constants that no file has
        network: nn.Module = timm.create_model(model, num_classes=0).eval()
        classifier = set(timm.create_model(model).state_dict()) - set(network.state_dict())
    state = {name: tensor for name, tensor in state.items() if name not in classifier}
    check_fit(network, state, path, f"timm's {model}")
    network.load_state_dict(state)
    return network, f"a local file, sha256 {digest[:16]}"


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return load_tensors(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise FeatureError(f"{path} is refused: it is no file of safetensors ({first_line(error)})") from error


def _digest(network: nn.Module) -> str:
    """Return a digest of all tensors of a network, by which cached features are told apart."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
