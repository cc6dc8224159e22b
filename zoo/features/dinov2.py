"""DINOv2 (Oquab et al. 2023, arXiv:2304.07193), in the two protocols under which "FD-DINOv2" is published."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from zoo.errors import FeatureError
from zoo.features.base_extractor import Extractor
from zoo.features.resampling import pillow_resize, tensorflow1_resize
from zoo.features.weights import PublishedWeights, described, fill, load_tensors, named, needed

SIZE = 224  # pixels of the network's input
GRID = SIZE // 14  # patches along one side
OFFSET = 0.1  # added to the number of patches when positions are interpolated, as in the authors' code
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Model = Literal["vits14", "vitb14", "vitl14", "vitg14"]


@dataclass(frozen=True)
class Variant:
    """A network of DINOv2.

    Args:
        timm: name of its architecture in timm.
        width: number of features D.
        sha256: digest of the authors' weights.
        title: its name in the paper.
    """

    timm: str
    width: int
    sha256: str
    title: str

    def weights(self, model: str) -> PublishedWeights:
        """Return the authors' weights."""
        file = f"dinov2_{model}_pretrain.pth"
        address = f"https://dl.fbaipublicfiles.com/dinov2/dinov2_{model}/{file}"
        return PublishedWeights(address, self.sha256, file)


MODELS: dict[str, Variant] = {
    "vits14": Variant(
        "vit_small_patch14_dinov2", 384, "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9", "ViT-S/14"
    ),
    "vitb14": Variant(
        "vit_base_patch14_dinov2", 768, "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73", "ViT-B/14"
    ),
    "vitl14": Variant(
        "vit_large_patch14_dinov2", 1024, "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428", "ViT-L/14"
    ),
    "vitg14": Variant(
        "vit_giant_patch14_dinov2", 1536, "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3", "ViT-g/14"
    ),
}


class DINOv2(Extractor):
    """Class token of DINOv2 after the last norm: 1,024 features for ViT-L/14. Base of its protocols.

    The network is timm's, whose layers are those of the authors' code; positions are interpolated from 37 x 37 to
    16 x 16 patches by the authors' rule (bicubic without antialiasing, with an offset of 0.1), not by timm's.

    Args:
        model: network: `vits14`, `vitb14`, `vitl14` (that of published numbers) or `vitg14`.
        weights: path of a local file in the authors' format; None uses the file in the cache, which is downloaded on
            first use (ViT-L/14: 1.2 GB).
    """

    title = ""
    resizing = ""
    agrees_with = ""

    def __init__(self, model: Model = "vitl14", weights: str | None = None) -> None:
        timm = needed("timm", self.title)
        if model not in MODELS:
            raise FeatureError(f"model: one of {', '.join(MODELS)}; got {model!r}")
        variant = MODELS[model]
        path, digest, official = variant.weights(model).find(weights)
        state = converted(load_tensors(path), path)
        super().__init__(
            named(self.title + ("" if model == "vitl14" else f"-{model}"), digest, official),
            variant.width,
            {
                "network": f"DINOv2 {variant.title} (timm {variant.timm})",
                "layer": f"class token after the last norm, {variant.width}-d",
                "weights": described(digest, official),
                "resize": self.resizing,
                "input": "uint8, x / 255, mean and deviation of ImageNet",
            },
            batch_size=32,
        )
        self.compares_with = self.agrees_with if official and model == "vitl14" else ""
        with torch.device("meta"):
            network: Any = timm.create_model(variant.timm, img_size=SIZE, num_classes=0)
        fill(network, state, path, f"DINOv2 {variant.title}")
        self.network = network
        self.freeze()

    def resized(self, pixels: Tensor) -> Tensor:
        """Resize pixels (B, 3, H, W), levels of 0 to 255, to the network's 224 px, as the protocol does."""
        raise NotImplementedError

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, None]:
        """Compute features; see `Extractor.forward_pixels`."""
        mean, deviation = (255 * pixels.new_tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
        tokens: Tensor = self.network.forward_features((self.resized(pixels) - mean) / deviation)
        return tokens[:, 0], None


class DINOv2DGM(DINOv2):
    """DINOv2 in the protocol of dgm-eval: the FD-DINOv2 of Stein et al. 2023 (arXiv:2306.04675).

    Images are resized to 224 px by Pillow's bicubic kernel with antialiasing, and rounded to the 256 levels after each
    of its two passes, as `dgm_eval/models/dinov2.py` does without `--clean_resize`.

    Args:
        model: network: `vits14`, `vitb14`, `vitl14` (that of published numbers) or `vitg14`.
        weights: path of a local file in the authors' format; None uses the file in the cache, which is downloaded on
            first use (ViT-L/14: 1.2 GB).
    """

    title = "dinov2-dgm"
    resizing = "Pillow bicubic to 224 px, antialiased, rounded to 256 levels"
    agrees_with = "FD-DINOv2 of dgm-eval"

    def resized(self, pixels: Tensor) -> Tensor:
        """Resize; see `DINOv2.resized`."""
        return pillow_resize(pixels, SIZE, SIZE, "bicubic", rounds=True)


class DINOv2TorchFidelity(DINOv2):
    """DINOv2 in the protocol of torch-fidelity 0.4 (`dinov2-vit-l-14`).

    Images are resized to 224 px as TensorFlow 1 did: bilinear, without antialiasing and half-pixel centres. Nothing is
    rounded after the resizing. Its FD is another number than that of dgm-eval, under the same name.

    Args:
        model: network: `vits14`, `vitb14`, `vitl14` (that of published numbers) or `vitg14`.
        weights: path of a local file in the authors' format; None uses the file in the cache, which is downloaded on
            first use (ViT-L/14: 1.2 GB).
    """

    title = "dinov2-torch-fidelity"
    resizing = "TF1 bilinear to 224 px, no antialiasing, not rounded"
    agrees_with = "FD-DINOv2 of torch-fidelity"

    def __init__(self, model: Model = "vitl14", weights: str | None = None) -> None:
        needed("torch_fidelity", self.title)
        super().__init__(model, weights)

    def resized(self, pixels: Tensor) -> Tensor:
        """Resize; see `DINOv2.resized`."""
        return tensorflow1_resize(pixels, SIZE)


def converted(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the authors' weights under timm's names, with positions for images of 224 px.

    Args:
        state: tensors by name.
        path: file that they are from, for the error message.

    Raises:
        FeatureError: if there are no positions among them.
    """
    positions = state.get("pos_embed")
    if positions is None or positions.ndim != 3 or isqrt(positions.shape[1] - 1) ** 2 != positions.shape[1] - 1:
        raise FeatureError(
            f"{path} has no weights of DINOv2: it lacks pos_embed (1, 1 + patches, width), the positions of a square "
            "of patches. Pass a file of the authors, such as dinov2_vitl14_pretrain.pth"
        )
    names = {".mlp.w12.": ".mlp.fc1.", ".mlp.w3.": ".mlp.fc2."}  # of ViT-g/14 alone
    result = {"pos_embed": positions_at(positions.float(), GRID)}
    for name, tensor in state.items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        if name not in ("pos_embed", "mask_token"):  # the mask is for training
            result[name] = tensor
    return result


def positions_at(positions: Tensor, side: int) -> Tensor:
    """Interpolate positions (1, 1 + N, D) of a square of N patches to (1, 1 + side^2, D), by the authors' rule."""
    own, patches = positions[:, :1], positions[:, 1:]
    before = isqrt(patches.shape[1])
    if before == side:
        return positions
    square = patches.reshape(1, before, before, -1).permute(0, 3, 1, 2)
    scale = (side + OFFSET) / before
    moved = interpolate(square, mode="bicubic", scale_factor=(scale, scale))
    return torch.cat([own, moved.permute(0, 2, 3, 1).reshape(1, side * side, -1)], 1)
