"""A zoo of generative adversarial networks on PyTorch Lightning.

import zoo
run = zoo.fit("dcgan_digits")
images = run.model.sample(16)

A public name is imported when it is first used, so that `import zoo.metrics` loads neither Lightning nor any model.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo import metrics
    from zoo.evaluation.duality import DualityGap, duality_gap
    from zoo.gan import GAN
    from zoo.hub.loading import from_pretrained, pretrained
    from zoo.models.biggan import BigGAN
    from zoo.models.biggan_deep import BigGANDeep
    from zoo.models.dcgan import DCGAN
    from zoo.models.mix.mixgan import MixGAN
    from zoo.models.progan import ProGAN
    from zoo.models.r3gan import R3GAN
    from zoo.models.vanilla import VanillaGAN
    from zoo.models.wgan_gp import WGANGP
    from zoo.runs.finetuning import start_from
    from zoo.runs.opening import load_run
    from zoo.runs.run import fit
    from zoo.runs.training_run import Run
    from zoo.sampling.standing_statistics import standing_statistics
    from zoo.training.batch import Batch
    from zoo.training.player import Player
    from zoo.training.replicas import Replicas
    from zoo.training.terms import NonFiniteLossError

try:
    __version__ = version("gan-zoo")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+checkout"

_MODULES = {
    "BigGAN": "zoo.models.biggan",
    "BigGANDeep": "zoo.models.biggan_deep",
    "Batch": "zoo.training.batch",
    "DCGAN": "zoo.models.dcgan",
    "DualityGap": "zoo.evaluation.duality",
    "GAN": "zoo.gan",
    "MixGAN": "zoo.models.mix.mixgan",
    "NonFiniteLossError": "zoo.training.terms",
    "Player": "zoo.training.player",
    "ProGAN": "zoo.models.progan",
    "R3GAN": "zoo.models.r3gan",
    "Replicas": "zoo.training.replicas",
    "Run": "zoo.runs.training_run",
    "VanillaGAN": "zoo.models.vanilla",
    "WGANGP": "zoo.models.wgan_gp",
    "duality_gap": "zoo.evaluation.duality",
    "fit": "zoo.runs.run",
    "from_pretrained": "zoo.hub.loading",
    "load_run": "zoo.runs.opening",
    "pretrained": "zoo.hub.loading",
    "standing_statistics": "zoo.sampling.standing_statistics",
    "start_from": "zoo.runs.finetuning",
}
_PACKAGES = ("audit", "callbacks", "data", "features", "hub", "metrics")

__all__ = [
    "DCGAN",
    "GAN",
    "R3GAN",
    "WGANGP",
    "Batch",
    "BigGAN",
    "BigGANDeep",
    "DualityGap",
    "MixGAN",
    "NonFiniteLossError",
    "Player",
    "ProGAN",
    "Replicas",
    "Run",
    "VanillaGAN",
    "duality_gap",
    "fit",
    "from_pretrained",
    "load_run",
    "metrics",
    "pretrained",
    "standing_statistics",
    "start_from",
]


def __getattr__(name: str) -> Any:
    """Import a public name or package at its first use."""
    if name in _PACKAGES:
        return import_module(f"zoo.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES})
