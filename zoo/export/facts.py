"""Facts about an exported generator, written into its file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch

from zoo.gan import GAN
from zoo.hub.finding import find
from zoo.io.environment import environment
from zoo.releases.card import LICENCE
from zoo.releases.references import Reference
from zoo.runs.locating import locate, report_name
from zoo.sampling.exportable import ExportableGenerator
from zoo.training.seeding import seeded

RANGES = {"float": "0 to 1", "uint8": "0 to 255"}


@dataclass(frozen=True)
class Facts:
    """What a program needs to know to use an exported generator.

    Args:
        name: name of the run or release.
        model: class of the model.
        inputs: names of the inputs, in order.
        latent_dim: length of the latents.
        latent: distribution of each coordinate: `normal` (standard), `uniform` in [-1, 1], or `other`.
        resolution: height and width of the images in pixels.
        channels: channels of the images.
        range: values of the images.
        class_names: names of the classes by number; their numbers as texts where they have no names.
        component_weights: how often each generator of a mixture is drawn; [1.0] for one generator.
        images_seen: real images of the training.
        licence: licence of the weights of a release; empty for a run.
        made_by: name and version of this library.
    """

    name: str
    model: str
    inputs: tuple[str, ...]
    latent_dim: int
    latent: str
    resolution: int
    channels: int
    range: str
    class_names: tuple[str, ...]
    component_weights: tuple[float, ...]
    images_seen: int
    licence: str
    made_by: str

    def texts(self) -> dict[str, str]:
        """Return the facts as texts, those that are no texts as JSON."""
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in vars(self).items()}


def facts_of(where: str, model: GAN, generator: ExportableGenerator) -> Facts:
    """Collect the facts about a generator.

    Args:
        where: what the user named: a run folder, a checkpoint or a release.
        model: the model that was loaded from there.
        generator: its generator as a module.
    """
    latent_dim = model.sample_latent(1).shape[1]
    names = model.class_names or tuple(str(i) for i in range(model.num_classes))
    return Facts(
        name=report_name(where),
        model=type(model).__name__,
        inputs=generator.inputs,
        latent_dim=latent_dim,
        latent=latent_distribution(model, latent_dim),
        resolution=model.resolution,
        channels=model.channels,
        range=RANGES[generator.pixels],
        class_names=tuple(names),
        component_weights=tuple(round(weight, 6) for weight in generator.weights),
        images_seen=model.images_seen,
        licence=_licence(where),
        made_by=f"gan-zoo {environment()['packages'].get('gan-zoo') or 'from a checkout'}",
    )


def latent_distribution(model: GAN, latent_dim: int) -> str:
    """Return whether a model draws its latents as torch draws normal or uniform numbers, see `Facts.latent`."""
    with seeded(0, model.device):
        drawn = model.sample_latent(1).cpu()
    for name in ("normal", "uniform"):
        with seeded(0, torch.device("cpu")):
            expected = torch.randn(1, latent_dim) if name == "normal" else torch.rand(1, latent_dim) * 2 - 1
        if torch.equal(drawn, expected):
            return name
    return "other"


def _licence(where: str) -> str:
    """Return the licence of the weights of a release; an empty text for a run, whose licence is its owner's matter."""
    location = locate(where)
    if not isinstance(location, Reference):
        return ""
    about: dict[str, Any] = (find(location).config or {}).get("about", {})
    return str(about.get("licence") or LICENCE)
