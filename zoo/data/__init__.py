"""Data sources: LightningDataModules with a training part and a held-out part.

A public name is imported when it is first used, so that `python -m zoo.data --help` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.data.arrays import Arrays
    from zoo.data.digits import Digits, StackedDigits
    from zoo.data.folder import Folder
    from zoo.data.hugging_face import HuggingFace
    from zoo.data.images import Images
    from zoo.data.lit_data import LitData
    from zoo.data.points import Grid, Ring
    from zoo.data.pool import Pool, Split
    from zoo.data.stacked_mnist import StackedMNIST
    from zoo.data.torchvision_sets import CIFAR10, CIFAR100, LSUN, MNIST, STL10, SVHN, CelebA, FashionMNIST, ImageNet
    from zoo.data.webdataset import WebDataset
    from zoo.data.zip import Zip

_MODULES = {
    "Arrays": "zoo.data.arrays",
    "CIFAR10": "zoo.data.torchvision_sets",
    "CIFAR100": "zoo.data.torchvision_sets",
    "CelebA": "zoo.data.torchvision_sets",
    "Digits": "zoo.data.digits",
    "FashionMNIST": "zoo.data.torchvision_sets",
    "Folder": "zoo.data.folder",
    "Grid": "zoo.data.points",
    "HuggingFace": "zoo.data.hugging_face",
    "ImageNet": "zoo.data.torchvision_sets",
    "Images": "zoo.data.images",
    "LSUN": "zoo.data.torchvision_sets",
    "LitData": "zoo.data.lit_data",
    "MNIST": "zoo.data.torchvision_sets",
    "Pool": "zoo.data.pool",
    "Ring": "zoo.data.points",
    "STL10": "zoo.data.torchvision_sets",
    "SVHN": "zoo.data.torchvision_sets",
    "Split": "zoo.data.pool",
    "StackedDigits": "zoo.data.digits",
    "StackedMNIST": "zoo.data.stacked_mnist",
    "WebDataset": "zoo.data.webdataset",
    "Zip": "zoo.data.zip",
}

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "LSUN",
    "MNIST",
    "STL10",
    "SVHN",
    "Arrays",
    "CelebA",
    "Digits",
    "FashionMNIST",
    "Folder",
    "Grid",
    "HuggingFace",
    "ImageNet",
    "Images",
    "LitData",
    "Pool",
    "Ring",
    "Split",
    "StackedDigits",
    "StackedMNIST",
    "WebDataset",
    "Zip",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'zoo.data' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
