"""DINOv2's network written out by its paper and its authors' settings, to hold the one of timm against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, interpolate, layer_norm, linear


class PlainDINOv2(nn.Module):
    """Images (B, 3, 224, 224) to the class token after the last norm (B, D).

    Args:
        state: tensors under the authors' names.
        heads: number of attention heads.
    """

    def __init__(self, state: dict[str, Tensor], heads: int) -> None:
        super().__init__()
        self.state, self.heads = state, heads
        self.blocks: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        s = self.state
        patches = conv2d(x, s["patch_embed.proj.weight"], s["patch_embed.proj.bias"], stride=14)
        square = s["pos_embed"][:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
        # The authors add 0.1 to the 16 patches along a side, and interpolate by that factor without antialiasing.
        positions = interpolate(square, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
        patches = (patches + positions).flatten(2).transpose(1, 2)
        own = (s["cls_token"] + s["pos_embed"][:, :1]).expand(len(x), -1, -1)
        tokens = torch.cat([own, patches], 1)
        self.blocks = []
        for i in range(sum(name.endswith("attn.qkv.weight") for name in s)):
            tokens = self._block(tokens, f"blocks.{i}.")
            self.blocks.append(tokens)
        return self._norm(tokens, "norm")[:, 0]

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"], eps=1e-6)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _block(self, x: Tensor, name: str) -> Tensor:
        images, count, width = x.shape
        parts = self._linear(self._norm(x, f"{name}norm1"), f"{name}attn.qkv")
        q, k, v = parts.view(images, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(images, count, width)
        x = x + self.state[f"{name}ls1.gamma"] * self._linear(mixed, f"{name}attn.proj")
        hidden = gelu(self._linear(self._norm(x, f"{name}norm2"), f"{name}mlp.fc1"))
        return x + self.state[f"{name}ls2.gamma"] * self._linear(hidden, f"{name}mlp.fc2")
