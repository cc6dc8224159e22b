"""The public data sets that torchvision reads, each with its publisher's test part held out.

Files are looked for below `root` in torchvision's layout and, with `download=true`, fetched by torchvision, which
checks their digests. Where the publisher asks for a licence or hosts no direct link, the error says what to put where.
A changed set is noticed by the sizes of its parts and by sixteen images, not by looking at every file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.decode import Box, OnCorrupt, decode_once
from zoo.data.images import Images
from zoo.data.pool import Pool
from zoo.errors import DataError
from zoo.io.files import digest_of_values


class TorchvisionSet(Images):
    """A data set of `torchvision.datasets`, training parts first, held-out part last.

    Args:
        root: folder that holds the set in torchvision's layout.
        download: fetch what is missing.
        resolution: in pixels.
        channels: 1 or 3.
        on_corrupt: `raise` at a file that cannot be decoded, or `skip` it and say so.
        images: settings shared by all sources; the held-out part is the publisher's where there is one.
    """

    train_parts: tuple[dict[str, Any], ...] = ({"train": True},)
    test_parts: tuple[dict[str, Any], ...] = ({"train": False},)
    crop: Box | None = None
    downloadable = True
    by_hand = ""
    """What to put where when torchvision cannot download the set."""

    def __init__(
        self,
        *,
        root: str = "data",
        download: bool = False,
        resolution: int,
        channels: int = 3,
        on_corrupt: OnCorrupt = "raise",
        **images: Any,
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels of image files are 1 (grey) or 3 (colour); got {channels}")
        super().__init__(resolution=resolution, channels=channels, **images)
        self.root, self.download, self.on_corrupt = root, download, on_corrupt

    def open_part(self, **part: Any) -> Any:
        """One part of the set, as torchvision's class gives it."""
        import torchvision  # here, because most runs need none of its data sets

        options = {**part, "download": True} if self.download else part
        return getattr(torchvision.datasets, type(self).__name__)(self.root, **options)

    def read(self) -> Pool:
        """Decode all parts once.

        Raises:
            DataError: when files are missing or cannot be fetched, with the ways to get the set.
        """
        try:
            train = [self.open_part(**part) for part in self.train_parts]
            test = [self.open_part(**part) for part in self.test_parts]
        except Exception as error:  # torchvision and what it downloads with raise all kinds, bare Exception among them
            raise DataError(self._ways_to_get_it(error)) from error
        parts = [*train, *test]
        sizes = [len(part) for part in parts]
        ends = np.cumsum(sizes)

        def locate(i: int) -> tuple[Any, int]:
            part = int(np.searchsorted(ends, i, side="right"))
            return parts[part], i - int(ends[part] - sizes[part])

        def open_image(i: int) -> Image.Image:
            part, place = locate(i)
            image: Image.Image = part[place][0]
            return image

        def probe(i: int) -> bytes | str:
            try:
                return open_image(i).tobytes()
            except OSError as error:
                return str(error)

        total = int(ends[-1])
        probes = np.linspace(0, total - 1, num=16).astype(int)  # reading all files would undo the cache's point
        state = digest_of_values(type(self).__name__, self.train_parts, sizes, *(probe(i) for i in probes))
        return decode_once(
            open_image,
            total,
            self.labels_of(parts),
            source=state,
            name_of=lambda i: f"{type(self).__name__}, image {locate(i)[1]} of its part",
            resolution=self.resolution,
            channels=self.channels,
            crop=self.crop,
            held_out=np.arange(sum(sizes[: len(train)]), total) if test else None,
            class_names=tuple(n if isinstance(n, str) else n[0] for n in getattr(parts[0], "classes", ())),
            on_corrupt=self.on_corrupt,
        )

    def labels_of(self, parts: list[Any]) -> NDArray[np.int64] | None:
        """Class indices of all parts in a row."""
        return np.concatenate([np.asarray(part.targets) for part in parts]).astype(np.int64)

    def _ways_to_get_it(self, error: Exception) -> str:
        name = type(self).__name__
        reason = " ".join(str(error).split())
        if not self.downloadable:
            fetch, first = f"cannot be read below {self.root!r} ({reason})", "torchvision cannot download it"
        elif self.download:
            fetch = f"torchvision could not fetch or read it ({reason})"
            first = f"check the connection and remove damaged files below {self.root!r}, then run again"
        else:
            fetch = f"cannot be read below {self.root!r} ({reason})"
            first = "data.download=true fetches it where it is missing; remove damaged files first"
        hand = self.by_hand or f"put torchvision's files of {name} below data.root={self.root}"
        return (
            f"{name}: {fetch}\n  three ways on:\n  1. {first}\n  2. by hand: {hand}\n  3. other images: "
            "data.class=Folder data.root=FOLDER, or data.class=Digits, which needs no files"
        )


class MNIST(TorchvisionSet):
    """60,000 + 10,000 handwritten digits, 28x28 grey (LeCun et al. 1998)."""


class FashionMNIST(TorchvisionSet):
    """60,000 + 10,000 pieces of clothing, 28x28 grey (Xiao et al. 2017, arXiv:1708.07747)."""


class CIFAR10(TorchvisionSet):
    """50,000 + 10,000 colour images of ten classes, 32x32 (Krizhevsky 2009)."""


class CIFAR100(TorchvisionSet):
    """50,000 + 10,000 colour images of a hundred classes, 32x32 (Krizhevsky 2009)."""


class SVHN(TorchvisionSet):
    """73,257 + 26,032 house numbers, 32x32 colour (Netzer et al. 2011)."""

    train_parts = ({"split": "train"},)
    test_parts = ({"split": "test"},)

    def labels_of(self, parts: list[Any]) -> NDArray[np.int64]:
        """Digits 0..9."""
        return np.concatenate([np.asarray(part.labels) for part in parts]).astype(np.int64)


class STL10(TorchvisionSet):
    """5,000 labelled and 100,000 unlabelled colour images, 96x96; 8,000 held out (Coates et al. 2011). No labels."""

    train_parts = ({"split": "train+unlabeled"},)
    test_parts = ({"split": "test"},)

    def labels_of(self, parts: list[Any]) -> None:
        """None: most of the training images have no label."""


class CelebA(TorchvisionSet):
    """182,637 + 19,962 aligned faces (Liu et al. 2015), cut to the 128x128 square that ProGAN's dataset tool cuts.

    Trained on are the publisher's training and validation parts. No labels: attributes are not classes.
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
        """None."""


class ImageNet(TorchvisionSet):
    """1,281,167 + 50,000 colour images of 1,000 classes (ILSVRC 2012)."""

    train_parts = ({"split": "train"},)
    test_parts = ({"split": "val"},)
    downloadable = False
    by_hand = (
        "register at image-net.org and put ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and "
        "ILSVRC2012_devkit_t12.tar.gz into data.root; the first start unpacks them"
    )

    def open_part(self, **part: Any) -> Any:
        """One part; there is no download to ask for."""
        import torchvision

        return torchvision.datasets.ImageNet(self.root, **part)


class LSUN(TorchvisionSet):
    """One category of LSUN (Yu et al. 2015, arXiv:1506.03365), such as 3,033,042 bedrooms. No labels.

    The publisher's validation part has 300 images, too few to compare against, so `held_out` images of the training
    part are set aside.

    Args:
        category: such as `bedroom`, `church_outdoor`, `kitchen`: one of torchvision's ten kinds of scenes.
        root: folder that holds `CATEGORY_train_lmdb`.
        images: settings of `TorchvisionSet`.
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
        """One category; torchvision cannot download LSUN."""
        import torchvision

        return torchvision.datasets.LSUN(self.root, **part)

    def labels_of(self, parts: list[Any]) -> None:
        """None: one category."""
