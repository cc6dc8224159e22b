"""The data module of sets whose images lie encoded in large files: decoded once into a cache, or as they are read."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.data.decode import OnCorrupt, decode_once
from zoo.data.image_files import checked_rendering
from zoo.data.images import Images
from zoo.data.pool import Pool
from zoo.data.samples import Joined, Samples
from zoo.data.stream import ChunkStream, Stream
from zoo.data.streamed import StreamedRows, streamed_pool
from zoo.errors import DataError, require_at_least
from zoo.io.files import digest_of_values


def require_package(source: str, package: str) -> None:
    """Check that the package that a source reads with is installed.

    Args:
        source: name of the class, as in `data.class=HuggingFace`.
        package: name of the package, which is also that of the extra.

    Raises:
        DataError: if it is missing.
    """
    if importlib.util.find_spec(package) is None:
        raise DataError(
            f"data.class={source} needs the package {package}, which is missing: pip install "
            f'"gan-zoo[{package}]" (in a checkout: pip install ".[{package}]")'
        )


class EncodedImages(Images):
    """Images that lie encoded in large files, decoded once into the cache, or as they are read if `stream` is true.

    A source extends this class with `samples`. With `stream`, the images of an epoch are shuffled in windows (see
    `zoo.data.stream.ChunkStream`). Which images come next follows from the number of images seen, so a resumed run goes
    on with the next image, with any number of `num_workers`.

    Args:
        resolution: height and width in pixels, to which the images are resized with antialiasing.
        channels: 3 for colour, or 1 to convert to grey.
        stream: whether to decode images as they are read instead of once into the cache. None decides by
            `cache_limit`, and the run records what was decided.
        window: number of images that are shuffled among each other with `stream`. They come from all over the set.
        cache_limit: size of the decoded images in GB beyond which `stream` is true, unless it is given.
        on_corrupt: `raise` for an error at an image that cannot be decoded, or `skip` to leave it out with a message.
        value_range: values of black and white in files of more than 8 bits that do not declare them, such as [0, 4095].
        background: colour under transparent pixels, as a name or as "#rrggbb".
        cache: folder in which decoded images are kept, which several runs may share at once; empty for the cache folder
            of the environment variable ZOO_CACHE.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    def __init__(
        self,
        *,
        resolution: int,
        channels: int = 3,
        stream: bool | None = None,
        window: int = 8192,
        cache_limit: float = 100.0,
        on_corrupt: OnCorrupt = "raise",
        value_range: tuple[float, ...] = (),
        background: str = "white",
        cache: str = "",
        **images: Any,
    ) -> None:
        rendering = checked_rendering(resolution, channels, on_corrupt, value_range, background)
        super().__init__(resolution=resolution, channels=channels, **images)
        require_at_least(1, window=window)
        require_at_least(0, cache_limit=cache_limit)
        self.stream, self.window, self.cache_limit, self.on_corrupt = stream, window, cache_limit, on_corrupt
        self.cache = cache
        self.rendering = rendering
        self._notes: tuple[str, ...] = ()

    # --- implemented by a source -------------------------------------------------------------------------------------

    def samples(self) -> Samples:
        """Return the encoded images to train on."""
        raise NotImplementedError

    def check_place(self) -> None:
        """Check what can be known without reading: that there is anything where the settings say.

        Raises:
            DataError: if there is not.
        """

    def plan(self) -> str:
        """Check that there is anything where the settings say; what decoding takes is known once it is indexed.

        Raises:
            DataError: if there is not.
        """
        self.check_place()
        return ""

    def test_samples(self) -> Samples | None:
        """Return the encoded images of the publisher's test part, which are held out; None if there is none."""
        return None

    # --- used by the rest of the library -----------------------------------------------------------------------------

    def read(self) -> Pool:
        """Return the images: decoded ones from the cache, or such that are decoded as they are read.

        Raises:
            DataError: if there are none, or they cannot be read.
        """
        samples, test, held_out = self.samples(), self.test_samples(), None
        if test is not None:
            held_out = np.arange(len(samples), len(samples) + len(test))
            samples = Joined(samples, test)
        if not len(samples):
            raise DataError(f"{type(self).__name__} has no images")
        self._notes = samples.facts.notes
        if self.stream is None:
            size = len(samples) * self.resolution**2 * self.channels
            self.stream = size > self.cache_limit * 1e9
        if self.stream:
            return streamed_pool(samples, self.rendering, self.on_corrupt, held_out)
        pool = decode_once(
            samples.open,
            len(samples),
            samples.facts.labels,
            source=digest_of_values(samples.facts.digest, samples.facts.state),
            name_of=samples.name,
            rendering=self.rendering,
            held_out=held_out,
            class_names=samples.facts.class_names,
            on_corrupt=self.on_corrupt,
            content_of=samples.content if samples.facts.state else None,
            cache=self.cache,
        )
        return replace(pool, left_out={**pool.left_out, **samples.facts.left_out})

    def found_settings(self) -> dict[str, Any]:
        """Return whether images are decoded as they are read, for the record of the run."""
        return {"stream": self.stream}

    def describe(self) -> str:
        """Return one line about the images, and how they are read."""
        line = super().describe()
        return f"{line}; decoded as they are read, shuffled in windows of {self.window:,}" if self.stream else line

    def notes(self) -> list[str]:
        """Return notes about what is likely a mistake; of streamed images, a few are looked at."""
        return [*super().notes(), *self._notes]

    def state_dict(self) -> dict[str, Any]:
        """Return the record of the data for the checkpoint, and whether they are decoded as they are read."""
        return {**super().state_dict(), "stream": self.stream}

    def _remedy(self, state_dict: dict[str, Any]) -> str:
        """Return that images which were decoded as they were read are so in a resumed run, and the reverse."""
        before = state_dict.get("stream")
        if before is None or before == self.stream:
            return ""
        return (
            f". The run had data.stream={str(before).lower()}, under which images come in another order: give it again"
        )

    def _stream(self) -> Stream:
        plain = super()._stream()
        assert self._pool is not None
        rows: Any = self._pool.images
        if not isinstance(rows, StreamedRows):
            return plain
        starts = np.unique(np.searchsorted(self.train.indices, rows.starts))
        return ChunkStream(
            starts[starts < plain.size],
            self.window,
            plain.size,
            plain.batch_size,
            seed=plain.seed,
            start=plain.start,
            rank=plain.rank,
            world_size=plain.world_size,
        )
