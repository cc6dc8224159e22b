"""CLIP ViT-B/32 (Radford et al. 2021, arXiv:2103.00020), with its own preprocessing and with that of torch-fidelity."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import FeatureError
from zoo.features.base_extractor import Extractor
from zoo.features.resampling import centre_crop, resize_shorter_side, tensorflow1_resize
from zoo.features.weights import PublishedWeights, described, fill, load_tensors, named, needed

SHA256 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
WEIGHTS = PublishedWeights(
    f"https://openaipublic.azureedge.net/clip/models/{SHA256}/ViT-B-32.pt", SHA256, "clip_vit_b32.pt"
)
SIZE = 224  # pixels of the network's input
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
RENAMED = (
    (r"^conv1\.", "patch_embed.proj."),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)
"""Parts of OpenAI's names of tensors, and timm's."""


class ClipViTB32(Extractor):
    """Image embedding (512) of CLIP ViT-B/32 with OpenAI's weights.

    The preprocessing is OpenAI's, as in clean-fid's `clip_vit_b_32`: the shorter side is resized to 224 px by Pillow's
    bicubic kernel with antialiasing, rounded to the 256 levels after each pass, and the centre is cut out. The
    embedding is that after the projection, not normalised to length 1. The network is timm's.

    Args:
        weights: path of a local file: OpenAI's, or one of `torch.save` with tensors under OpenAI's names; None uses the
            file in the cache, which is downloaded on first use (354 MB).
    """

    title = "clip-vit-b32"
    resizing = "Pillow bicubic, shorter side to 224 px, antialiased, rounded to 256 levels; centre cut out"
    agrees_with = "numbers of clean-fid with model_name=clip_vit_b_32"

    def __init__(self, weights: str | None = None) -> None:
        timm = needed("timm", self.title)
        path, digest, official = WEIGHTS.find(weights)
        state = converted(_read(path, official), path)
        super().__init__(
            named(self.title, digest, official),
            512,
            {
                "network": "CLIP ViT-B/32 (timm vit_base_patch32_clip_quickgelu_224)",
                "layer": "image embedding, 512-d, not normalised",
                "weights": described(digest, official),
                "resize": self.resizing,
                "input": "uint8, x / 255, mean and deviation of CLIP",
            },
            batch_size=64,
        )
        self.compares_with = self.agrees_with if official else ""
        with torch.device("meta"):
            network: Any = timm.create_model("vit_base_patch32_clip_quickgelu_224", num_classes=512)
        fill(network, state, path, "CLIP ViT-B/32")
        self.network = network
        self.freeze()

    def resized(self, pixels: Tensor) -> Tensor:
        """Resize pixels (B, 3, H, W), levels of 0 to 255, to the network's 224 px, as the protocol does."""
        return centre_crop(resize_shorter_side(pixels, SIZE, "bicubic"), SIZE, SIZE)

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, None]:
        """Compute features; see `Extractor.forward_pixels`."""
        mean, deviation = (255 * pixels.new_tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
        embedding: Tensor = self.network((self.resized(pixels) - mean) / deviation)
        return embedding, None


class ClipViTB32TorchFidelity(ClipViTB32):
    """Image embedding (512) of CLIP ViT-B/32 in the protocol of torch-fidelity (`clip-vit-b-32`).

    Images are resized to 224 px as TensorFlow 1 did: bilinear, without antialiasing and half-pixel centres, and nothing
    is cut off. Nothing is rounded after the resizing.

    Args:
        weights: path of a local file: OpenAI's, or one of `torch.save` with tensors under OpenAI's names; None uses the
            file in the cache, which is downloaded on first use (354 MB).
    """

    title = "clip-vit-b32-torch-fidelity"
    resizing = "TF1 bilinear to 224 px, no antialiasing, not rounded"
    agrees_with = "numbers of torch-fidelity with clip-vit-b-32"

    def __init__(self, weights: str | None = None) -> None:
        needed("torch_fidelity", self.title)
        super().__init__(weights)

    def resized(self, pixels: Tensor) -> Tensor:
        """Resize; see `ClipViTB32.resized`."""
        return tensorflow1_resize(pixels, SIZE)


def _read(path: Path, official: bool) -> dict[str, Tensor]:
    """Return the tensors of a file of weights.

    OpenAI's file is a TorchScript archive. Reading one can run the code in it, so no other archive is read.
    """
    if not official:
        return load_tensors(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is on its way out
        archive: Any = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return dict(archive.state_dict())


def converted(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the tensors of CLIP's image encoder under timm's names.

    Args:
        state: tensors under OpenAI's names; those of the text encoder are left out.
        path: file that they are from, for the error message.

    Raises:
        FeatureError: if there is no image encoder among them.
    """
    visual = {name.removeprefix("visual."): tensor for name, tensor in state.items() if name.startswith("visual.")}
    if not {"proj", "class_embedding", "positional_embedding"} <= visual.keys():
        raise FeatureError(
            f"{path} has no weights of CLIP ViT-B/32: it lacks visual.proj, visual.class_embedding or "
            "visual.positional_embedding. Pass OpenAI's file, or its tensors under their names in it"
        )
    projection = visual.pop("proj").float()
    result = {
        "head.weight": projection.T.contiguous(),
        "head.bias": projection.new_zeros(projection.shape[1]),
        "cls_token": visual.pop("class_embedding").view(1, 1, -1),
        "pos_embed": visual.pop("positional_embedding")[None],
    }
    for name, tensor in visual.items():
        for theirs, ours in RENAMED:
            name = re.sub(theirs, ours, name)
        result[name] = tensor
    return result
