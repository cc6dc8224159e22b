"""Tests of images that are decoded as they are read: the same pixels as from the cache, with any number of readers."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import zoo
from tests.helpers.training import bits, identical
from zoo.audit.evidence import stored
from zoo.data.decode import Rendering, render
from zoo.data.encoded import EncodedImages
from zoo.data.rows import squares_averaged
from zoo.data.samples import Encoded, SampleFacts, Samples, chunk_starts, named_labels, opened
from zoo.data.streamed import Decoder, StreamedRows
from zoo.errors import DataError
from zoo.io.run_folder import checkpoints_in

COUNT = 120


def picture(number: int, size: tuple[int, int] = (12, 12), mode: str = "RGB") -> Image.Image:
    """Return a picture that is unlike all others, smooth enough for JPEG."""
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)).resize(size).convert(mode)


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


class Listed(Samples):
    """Image files in a list."""

    def __init__(self, files: Sequence[bytes], labels: NDArray[np.int64] | None = None) -> None:
        super().__init__(len(files), SampleFacts("listed", chunk_starts([len(files)], 10), labels))
        self.files = list(files)

    def read(self, numbers: NDArray[np.int64]) -> Sequence[Encoded]:
        assert np.all(np.diff(numbers) >= 0)
        return [self.files[number] for number in numbers.tolist()]

    def name(self, number: int) -> str:
        return f"file {number}"


class Source(EncodedImages):
    """A source of listed files, for recipes of these tests."""

    files = tuple(file_of(picture(number)) for number in range(COUNT))

    def samples(self) -> Samples:
        return Listed(self.files, np.arange(len(self.files)) % 3)


def source(**settings: Any) -> Source:
    plain: dict[str, Any] = {"resolution": 8, "batch_size": 16, "window": 40, "stream": True}
    data = Source(**{**plain, **settings})
    data.setup()
    return data


def batches(data: EncodedImages, count: int = 12) -> torch.Tensor:
    return torch.cat([batch.images for batch in islice(iter(data.train_dataloader()), count)])


# --- pixels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resolution", [12, 7])
def test_every_kind_of_file_has_the_pixels_of_the_decoded_cache(channels: int, resolution: int) -> None:
    turned = Image.Exif()
    turned[274] = 6
    files = [
        *(file_of(picture(i, size, mode), "JPEG", quality=90) for i, (size, mode) in enumerate(
            [((12, 12), "RGB"), ((20, 13), "RGB"), ((12, 12), "L"), ((12, 12), "CMYK")]
        )),
        file_of(picture(5, (20, 13)), "JPEG", progressive=True),
        file_of(picture(6, (20, 13)), "JPEG", exif=turned),
        file_of(picture(7)),
        file_of(picture(8, mode="RGBA")),
        file_of(picture(9, (30, 12)), "WEBP", lossless=True),
    ]  # fmt: skip
    rendering = Rendering(resolution, channels)
    decoder = Decoder(rendering)
    for file in files:
        assert np.array_equal(decoder(file), render(opened(file), rendering)[0])
    assert decoder._quickly(files[0]) is not None or channels == 1
    assert decoder._quickly(files[3]) is None  # four inks
    assert decoder._quickly(files[5]) is None  # it is turned


def test_streamed_and_decoded_sets_hold_the_same_images_out() -> None:
    streamed, decoded = source(), source(stream=False)
    assert isinstance(streamed.train.pool.images, StreamedRows)
    assert isinstance(decoded.train.pool.images, np.memmap)
    for name in ("train", "held_out"):
        one, other = getattr(streamed, name), getattr(decoded, name)
        assert np.array_equal(one.indices, other.indices)
        assert torch.equal(one.tensor(), other.tensor())
        assert one[3][1] == other[3][1]
    assert streamed.num_classes == decoded.num_classes == 3
    assert (len(streamed.train), len(streamed.held_out)) == (108, 12)


def test_a_growing_model_gets_averages_over_squares() -> None:
    data = source()
    batch = data.train.batch(torch.arange(5), 4)
    whole = data.train.batch(torch.arange(5)).images.permute(0, 2, 3, 1).numpy()
    assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), squares_averaged(whole, 4))
    assert data.train.pool.at(4) is data.train.pool.at(4)


def test_rows_are_indexed_as_an_array_is() -> None:
    rows: Any = source().train.pool.images
    whole = rows[:]
    assert whole.shape == rows.shape == (COUNT, 8, 8, 3)
    assert rows.nbytes == whole.nbytes
    assert np.array_equal(rows[7], whole[7])
    assert np.array_equal(rows[-2:], whole[-2:])
    assert np.array_equal(rows[np.array([9, 3, 9])], whole[[9, 3, 9]])


# --- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_readers_gives_the_same_batches(workers: int) -> None:
    assert torch.equal(batches(source()), batches(source(num_workers=workers)))


def test_an_epoch_shows_every_training_image_once() -> None:
    data = source(batch_size=12)
    shown = batches(data, 9).flatten(1)
    real = data.train.tensor().flatten(1)
    matches = (shown[:, None] == real[None]).all(2)
    assert matches.sum(0).tolist() == [1] * 108
    assert not torch.equal(shown, real)


def test_without_a_setting_the_size_decides_and_the_run_records_it() -> None:
    small, large = source(stream=None), source(stream=None, cache_limit=COUNT * 8 * 8 * 3 / 1e9 - 1e-9)
    assert small.found_settings() == {"stream": False}
    assert large.found_settings() == {"stream": True}
    assert large.describe().endswith("; decoded as they are read, shuffled in windows of 40")


def test_a_killed_run_on_streamed_images_ends_with_the_same_bits(tmp_path: Path) -> None:
    """The record of the study is studies/results/exact_resume_streams.json; here the run dies in its process."""
    settings: dict[str, Any] = {
        "images": 320,
        "model": {"width": 4, "channels": 3, "num_classes": 3},
        "data": {"class": "tests.data.test_streamed.Source", "stream": True, "window": 40, "batch_size": 16},
        "trainer": {"accelerator": "cpu"},
        "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None, "SaveEvery": {"every": 48}},
    }
    whole = zoo.fit("dcgan_digits", out=tmp_path / "whole", **settings).folder
    for after, workers in ((5, 0), (11, 3)):
        folder = tmp_path / f"killed{after}"
        end = {"end": {"class": "tests.helpers.training.Dies", "after": after}}
        with pytest.raises(RuntimeError, match="killed"):
            zoo.fit("dcgan_digits", out=folder, **{**settings, "callbacks": {**settings["callbacks"], **end}})
        zoo.fit(resume=folder, callbacks={"end": None}, data={"num_workers": workers})
        assert identical(bits(checkpoints_in(folder)[0]), bits(checkpoints_in(whole)[0]))
    with pytest.raises(DataError, match=r"data\.stream=true, under which images come in another order: give it again"):
        zoo.fit(resume=whole, images=640, data={"stream": False})


# --- what cannot be decoded ------------------------------------------------------------------------------------------


class Damaged(Source):
    """A source of which two files are damaged."""

    files = (*Source.files[:50], b"no image", *Source.files[50:100], Source.files[0][:60], *Source.files[100:])


def damaged(**settings: Any) -> Damaged:
    data = Damaged(resolution=8, batch_size=16, **settings)
    data.setup()
    return data


def test_left_out_are_the_same_images_streamed_and_decoded(capfd: pytest.CaptureFixture[str]) -> None:
    streamed, decoded = damaged(stream=True, on_corrupt="skip"), damaged(stream=False, on_corrupt="skip")
    assert torch.equal(streamed.train.tensor(), decoded.train.tensor())
    assert np.array_equal(streamed.train.pool.labels, decoded.train.pool.labels)  # type: ignore[arg-type]
    assert streamed.train.pool.left_out == decoded.train.pool.left_out == {"that cannot be decoded": 2}
    assert capfd.readouterr().err.count("left out: file 50") == 2
    again = damaged(stream=True, on_corrupt="skip")
    assert again.digest == streamed.digest
    assert "left out: file" not in capfd.readouterr().err  # read from the cache


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named_in_the_round_that_needs_it(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.streamed.LOOKED_AT", 2)
    data = damaged(stream=True, num_workers=workers, held_out=0)
    with pytest.raises(DataError) as caught:
        batches(data, 8)
    text = str(caught.value)
    assert text.startswith("an image cannot be decoded: file ")
    assert text.endswith(
        "Repair or remove it, or set data.on_corrupt=skip to leave such images out, for which all are decoded once at "
        "the start"
    )
    assert "Traceback" not in text


def test_nothing_but_damaged_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Damaged, "files", (b"no image", b"nor this"))
    with pytest.raises(DataError, match="none of the 2 images could be decoded; the first: file 0"):
        damaged(stream=True, on_corrupt="skip")


# --- in the rest of the library --------------------------------------------------------------------------------------


def test_an_audit_reads_many_streamed_images_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = source()
    small = stored.split_images(data.train)
    assert isinstance(small, torch.Tensor)
    monkeypatch.setattr(stored, "IN_MEMORY", 1000)
    large = stored.split_images(data.train)
    assert isinstance(large, stored.ReadImages)
    assert (len(large), large.shape) == (108, small.shape)
    assert torch.equal(large[20:30], small[20:30])
    chosen = torch.tensor([7, 3])
    assert torch.equal(large.take(chosen)[:], small[chosen])


def test_readers_are_copied_to_other_processes() -> None:
    rows: Any = source().train.pool.images
    assert np.array_equal(pickle.loads(pickle.dumps(rows))[3], rows[3])


def test_labels_are_numbers_or_names() -> None:
    numbers, names = named_labels(["2", "0", "10"])
    assert (numbers.tolist(), names) == ([2, 0, 10], ())
    numbers, names = named_labels(["dog", "cat", "dog"])
    assert (numbers.tolist(), names) == ([1, 0, 1], ("cat", "dog"))


def test_settings_out_of_range() -> None:
    with pytest.raises(ValueError, match="window must be at least 1; got 0"):
        source(window=0)
    with pytest.raises(ValueError, match=r"channels of image files are 1 \(grey\) or 3 \(colour\); got 2"):
        source(channels=2)
