"""A zoo of generative adversarial networks on PyTorch Lightning.

import zoo
run = zoo.fit("dcgan_digits")
images = run.model.sample(16)
"""

from importlib.metadata import PackageNotFoundError, version

from zoo import metrics
from zoo.batch import Batch
from zoo.duality import DualityGap, duality_gap
from zoo.finetuning import start_from
from zoo.gan import GAN, Player
from zoo.hub import from_pretrained, pretrained
from zoo.models.biggan import BigGAN
from zoo.models.biggan_deep import BigGANDeep
from zoo.models.dcgan import DCGAN
from zoo.models.mix import MixGAN
from zoo.models.progan import ProGAN
from zoo.models.vanilla import VanillaGAN
from zoo.models.wgan_gp import WGANGP
from zoo.replicas import Replicas
from zoo.run import Run, fit, load_run
from zoo.terms import NonFiniteLossError

try:
    __version__ = version("gan-zoo")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+checkout"

__all__ = [
    "DCGAN",
    "GAN",
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
    "start_from",
]
