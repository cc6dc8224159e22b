"""Public data sets that torchvision reads, with the test part of their publisher held out.

Files are expected below `root` in torchvision's layout. With `download=true`, torchvision downloads those that are
missing and checks their digests. If the publisher asks for a licence or offers no direct link, the error message says
which files to put where. A changed data set is recognised by the sizes of its parts and by sixteen of its images; not
every file is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.decode import Box, OnCorrupt, Rendering, decode_once
from zoo.data.images import Images
from zoo.data.pool import Pool
from zoo.errors import DataError
from zoo.io.files import digest_of_values


class TorchvisionSet(Images):
    """A data set of `torchvision.datasets`; in the pool, the training parts come first and the held-out part last.

    A subclass has the name of torchvision's class and sets the attributes below where they differ.

    Args:
        root: folder that contains the data set in torchvision's layout.
        download: whether to download missing files.
        resolution: height and width in pixels, to which the images are resized with antialiasing.
        channels: 3 for colour, or 1 to convert to grey.
        on_corrupt: `raise` for an error at a file that cannot be decoded, or `skip` to leave it out with a message.
        cache: folder in which the decoded images are kept, which several runs may share at once; empty for the cache
            folder of the environment variable ZOO_CACHE.
        images: settings shared by all sources, see `zoo.data.Images`; the held-out part is the publisher's test part if
            there is one.
    """

    train_parts: tuple[dict[str, Any], ...] = ({"train": True},)
    """Arguments of torchvision's class for each training part."""

    test_parts: tuple[dict[str, Any], ...] = ({"train": False},)
    """Arguments of torchvision's class for each part of the publisher's test set."""

    crop: Box | None = None
    """Rectangle to cut out of every image; None for the largest centred square."""

    downloadable = True
    """Whether torchvision can download the data set."""

    by_hand = ""
    """Instructions for data sets that torchvision cannot download: which files to put where."""

    def __init__(
        self,
        *,
        root: str = "data",
        download: bool = False,
        resolution: int,
        channels: int = 3,
        on_corrupt: OnCorrupt = "raise",
        cache: str = "",
        **images: Any,
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels of image files are 1 (grey) or 3 (colour); got {channels}")
        super().__init__(resolution=resolution, channels=channels, **images)
        self.root, self.download, self.on_corrupt, self.cache = root, download, on_corrupt, cache

    def open_part(self, **part: Any) -> Any:
        """Return a part of the data set as an object of torchvision's class.

        Args:
            part: arguments of torchvision's class, one of `train_parts` or `test_parts`.
        """
        import torchvision  # imported here because most runs need none of its data sets

        options = {**part, "download": True} if self.download else part
        return getattr(torchvision.datasets, type(self).__name__)(self.root, **options)

    def read(self) -> Pool:
        """Decode all parts, or take them from the cache.

        Raises:
            DataError: if files are missing or cannot be downloaded; the text says how to get the data set.
        """
        try:
            train = [self.open_part(**part) for part in self.train_parts]
            test = [self.open_part(**part) for part in self.test_parts]
        except Exception as error:  # torchvision and its downloaders raise many types, among them Exception itself
            raise DataError(self._instructions(error)) from error
        parts = [*train, *test]
        sizes = [len(part) for part in parts]
        ends = np.cumsum(sizes)

        def locate(i: int) -> tuple[Any, int]:
            part = int(np.searchsorted(ends, i, side="right"))
            return parts[part], i - int(ends[part] - sizes[part])

        def open_image(i: int) -> Image.Image:
            part, index = locate(i)
            image: Image.Image = part[index][0]
            return image

        def probe(i: int) -> bytes | str:
            try:
                return open_image(i).tobytes()
            except OSError as error:
                return str(error)

        total = int(ends[-1])
        probes = np.linspace(0, total - 1, num=16).astype(int)  # reading all files would make the cache useless
        state = digest_of_values(type(self).__name__, self.train_parts, sizes, *(probe(i) for i in probes))
        return decode_once(
            open_image,
            total,
            self.labels_of(parts),
            source=state,
            name_of=lambda i: f"{type(self).__name__}, image {locate(i)[1]} of its part",
            rendering=Rendering(self.resolution, self.channels, self.crop),
            held_out=np.arange(sum(sizes[: len(train)]), total) if test else None,
            class_names=tuple(n if isinstance(n, str) else n[0] for n in getattr(parts[0], "classes", ())),
            on_corrupt=self.on_corrupt,
            cache=self.cache,
        )

    def labels_of(self, parts: list[Any]) -> NDArray[np.int64] | None:
        """Return the class indices (N,) of the images of all parts, in order, or None.

        Args:
            parts: all parts as objects of torchvision's class.
        """
        return np.concatenate([np.asarray(part.targets) for part in parts]).astype(np.int64)

    def _instructions(self, error: Exception) -> str:
        """Return an error message with three ways to get images.

        Args:
            error: exception of torchvision.
        """
        name = type(self).__name__
        reason = " ".join(str(error).split())
        if not self.downloadable:
            fault, first = f"cannot be read below {self.root!r} ({reason})", "torchvision cannot download it"
        elif self.download:
            fault = f"torchvision could not fetch or read it ({reason})"
            first = f"check the connection and remove damaged files below {self.root!r}, then run again"
        else:
            fault = f"cannot be read below {self.root!r} ({reason})"
            first = "data.download=true fetches it where it is missing; remove damaged files first"
        second = self.by_hand or f"put torchvision's files of {name} below data.root={self.root}"
        return (
            f"{name}: {fault}\n  three ways on:\n  1. {first}\n  2. by hand: {second}\n  3. other images: "
            "data.class=Folder data.root=FOLDER, or data.class=Digits, which needs no files"
        )


class MNIST(TorchvisionSet):
    """60,000 + 10,000 handwritten digits in ten classes, 28x28 grey (LeCun et al. 1998)."""


class FashionMNIST(TorchvisionSet):
    """60,000 + 10,000 pictures of clothing in ten classes, 28x28 grey (Xiao et al. 2017, arXiv:1708.07747)."""


class CIFAR10(TorchvisionSet):
    """50,000 + 10,000 images of ten classes, 32x32 colour (Krizhevsky 2009)."""


class CIFAR100(TorchvisionSet):
    """50,000 + 10,000 images of a hundred classes, 32x32 colour (Krizhevsky 2009)."""


class SVHN(TorchvisionSet):
    """73,257 + 26,032 digits of house numbers in ten classes, 32x32 colour (Netzer et al. 2011)."""

    train_parts = ({"split": "train"},)
    test_parts = ({"split": "test"},)

    def labels_of(self, parts: list[Any]) -> NDArray[np.int64]:
        """Return the digits (N,) in 0..9."""
        return np.concatenate([np.asarray(part.labels) for part in parts]).astype(np.int64)


class STL10(TorchvisionSet):
    """105,000 + 8,000 images, 96x96 colour (Coates et al. 2011), without labels."""

    train_parts = ({"split": "train+unlabeled"},)
    test_parts = ({"split": "test"},)

    def labels_of(self, parts: list[Any]) -> None:
        """Return None: most of the training images have no label."""


class CelebA(TorchvisionSet):
    """182,637 + 19,962 aligned faces (Liu et al. 2015), cropped to the 128x128 square of ProGAN's dataset tool.

    The training part consists of the publisher's training and validation parts. There are no labels, because attributes
    are not classes.
    """

    train_parts = ({"split": "train"}, {"split": "valid"})
    test_parts = ({"split": "test"},)
    crop = (25, 57, 153, 185)  # columns 89-64..89+64, rows 121-64..121+64 of the aligned 178x218 image
    by_hand = (
        "from the authors' page (mmlab.ie.cuhk.edu.hk/projects/CelebA.html) take img_align_celeba.zip, unpacked, and "
        "the five annotation files (list_attr_celeba.txt, identity_CelebA.txt, list_bbox_celeba.txt, "
        "list_landmarks_align_celeba.txt, list_eval_partition.txt) into ROOT/celeba/, with data.root=ROOT"
    )

    def labels_of(self, parts: list[Any]) -> None:
        """Return None: attributes are not classes."""


class ImageNet(TorchvisionSet):
    """1,281,167 + 50,000 images of 1,000 classes, colour, of many sizes (ILSVRC 2012)."""

    train_parts = ({"split": "train"},)
    test_parts = ({"split": "val"},)
    downloadable = False
    by_hand = (
        "register at image-net.org and put ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and "
        "ILSVRC2012_devkit_t12.tar.gz into data.root; the first start unpacks them"
    )

    def open_part(self, **part: Any) -> Any:
        """Return a part of the data set as an object of torchvision's class, which cannot download it."""
        import torchvision

        return torchvision.datasets.ImageNet(self.root, **part)


class LSUN(TorchvisionSet):
    """A category of LSUN (Yu et al. 2015, arXiv:1506.03365), such as 3,033,042 bedrooms, without labels.

    The publisher's validation part has only 300 images, too few for comparisons, so `held_out` images of the training
    part are held out instead.

    Args:
        category: one of torchvision's ten scene categories, such as `bedroom`, `church_outdoor` or `kitchen`.
        root: folder that contains `CATEGORY_train_lmdb`.
        images: settings of `TorchvisionSet` and `zoo.data.Images`.
    """

    test_parts = ()
    downloadable = False

    def __init__(self, *, category: str = "bedroom", root: str = "data/lsun", **images: Any) -> None:
        super().__init__(root=root, **images)
        self.category = category
        self.train_parts = ({"classes": [f"{category}_train"]},)
        self.by_hand = (
            f"fetch {category}_train_lmdb.zip with the authors' script (github.com/fyu/lsun), unpack it to "
            f"{root}/{category}_train_lmdb, and `pip install lmdb`"
        )

    def open_part(self, **part: Any) -> Any:
        """Return the category as an object of torchvision's class, which cannot download it."""
        import torchvision

        return torchvision.datasets.LSUN(self.root, **part)

    def labels_of(self, parts: list[Any]) -> None:
        """Return None: all images are of one category."""
