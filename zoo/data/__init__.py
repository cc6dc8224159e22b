"""Data sources: LightningDataModules with a training part and a held-out part."""

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
