"""Check that a peer is the zoo's equal: as many parameters and steps and, with the same weights, the same outputs."""

from __future__ import annotations

from typing import Any

import torch
from peer_program import Peer, Row, count
from torch import Tensor, nn

import zoo
from zoo.errors import UserError

TOLERANCE = 1e-4
"""Largest distance between outputs of equal networks, relative to their deviation: float32 in another order of sums."""


def compare(peer: Peer, row: Row) -> dict[str, Any]:
    """Check that a peer's networks and the zoo's have as many parameters and, with equal weights, equal outputs.

    Also that a cycle has as many steps of the discriminator in both.

    Raises:
        RuntimeError: when the networks are not equal.
        UserError: when the steps are not, by the user's settings.
    """
    networks = peer.generator, peer.discriminator
    fresh = [{key: tensor.clone() for key, tensor in network.state_dict().items()} for network in networks]
    for network in networks:
        randomise(network)
        network.eval()
    model = converted(peer, row).eval()
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(8, model.latent_dim, generator=generator)
    images = torch.rand(8, model.channels, row.resolution, row.resolution, generator=generator) * 2 - 1
    labels = torch.randint(model.num_classes or 1, (8,), generator=generator)
    classes = labels if model.num_classes else None
    with torch.no_grad(), peer.as_compared():
        gaps = {
            "images": gap(peer.draw(z, labels), model.generate(model.generator, z, classes)),
            "scores": gap(peer.score(images, labels), model.score(zoo.Batch(images, classes))),
        }
    parameters = {
        "peer": peer.parameters(),
        "zoo": (count(model.generator.parameters()), count(model.discriminator.parameters())),
    }
    for network, state in zip(networks, fresh):
        network.load_state_dict(state)
        network.train()
    kind = type(peer).__name__
    if parameters["peer"] != parameters["zoo"] or max(gaps.values()) > TOLERANCE:
        raise RuntimeError(
            f"{kind} and zoo.{row.model} are not the same networks, so their speeds do not compare: "
            f"parameters {parameters}, relative differences {gaps}"
        )
    if peer.steps != model.critic_steps:
        raise UserError(
            f"steps of the discriminator in a cycle: {peer.steps} in {kind}, {model.critic_steps} in zoo.{row.model}, "
            f"so their cycles do not compare; leave model.critic_steps={model.critic_steps} out"
        )
    return {"parameters": parameters["zoo"], "relative_difference": gaps}


def gap(theirs: Tensor, ours: Tensor) -> float:
    """Return the distance of two outputs, relative to the deviation of one; infinite for outputs that do not vary."""
    deviation = (ours - ours.mean()).norm()
    return float((theirs - ours).norm() / deviation) if deviation > 1e-6 else float("inf")


@torch.no_grad()
def randomise(network: nn.Module) -> None:
    """Draw biases, gains and running statistics, which start as 0 and 1, and weights that start small.

    So that no fault hides behind a 0, and that scores vary from image to image by more than rounding.
    """
    generator = torch.Generator().manual_seed(0)

    def drawn(tensor: Tensor) -> Tensor:
        return torch.randn(tensor.shape, generator=generator)

    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        # of spectral norm, and the constant kernels of resamplers
        if not tensor.is_floating_point() or name.rpartition(".")[2].startswith(("sv", "u", "Kernel")):
            continue
        if tensor.ndim > 1 and tensor.std() < 0.5:
            tensor.copy_(drawn(tensor) * (2 / tensor[0].numel()) ** 0.5)
        elif tensor.ndim == 1:
            tensor.copy_(1 + 0.5 * drawn(tensor).abs() if name.endswith("var") else tensor + 0.3 * drawn(tensor))


def converted(peer: Peer, row: Row) -> Any:
    """Return the zoo's model with the peer's weights, in training, at the row's moment."""
    model = peer.converted(row.settings)
    model.set_clock(row.images_seen)
    return model.train()
