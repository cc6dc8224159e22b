"""Tests of `Images`, the base of all sources: split, digest, batches and their values."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zoo import Batch
from zoo.data import Images, Pool
from zoo.data.images import Loader
from zoo.data.pool import content_digest, to_float
from zoo.data.stream import Stream
from zoo.errors import DataError


class Planted(Images):
    """A source with given pixels (N, H, W, C) and labels."""

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        labels: list[int] | None = None,
        reserved: list[int] | None = None,
        **images: Any,
    ) -> None:
        super().__init__(resolution=pixels.shape[1], channels=pixels.shape[3], **{"batch_size": 2, **images})
        self.pixels = pixels
        self.labels = None if labels is None else np.array(labels, dtype=np.int64)
        self.reserved = None if reserved is None else np.array(reserved, dtype=np.int64)

    def read(self) -> Pool:
        known = [self.pixels] if self.labels is None else [self.pixels, self.labels]
        return Pool(self.pixels, self.labels, content_digest(*known), self.reserved)


def numbered(count: int, size: int = 2, channels: int = 1) -> NDArray[np.uint8]:
    """Return images with a constant grey level, which is the number of the image."""
    return np.repeat(np.arange(count, dtype=np.uint8), size * size * channels).reshape(count, size, size, channels)


def ready(*args: Any, **settings: Any) -> Planted:
    data = Planted(*args, **settings)
    data.setup()
    return data


# --- the split -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held_out", [0, 0.1, 0.5, 1, 37])
def test_training_and_held_out_images_are_disjoint_and_complete(held_out: float) -> None:
    data = ready(numbered(100), held_out=held_out)
    trained, kept = data.train.indices.tolist(), data.held_out.indices.tolist()
    assert not set(trained) & set(kept)
    assert sorted(trained + kept) == list(range(100))
    shown = to_float(torch.arange(100, dtype=torch.uint8))
    assert torch.equal(data.train.tensor()[:, 0, 0, 0], shown[trained])
    assert torch.equal(data.held_out.tensor()[:, 0, 0, 0], shown[kept])


def test_a_fraction_of_an_image_is_not_held_out() -> None:
    with pytest.raises(ValueError, match=r"held_out is a share below 1, or a whole number of images; got 1.5"):
        ready(numbered(10), held_out=1.5)


@pytest.mark.parametrize(("held_out", "count"), [(0.0, 0), (0.1, 10), (0.25, 25), (0.999, 99), (1, 1), (40, 40)])
def test_below_one_held_out_is_a_share_and_from_one_on_a_count(held_out: float, count: int) -> None:
    assert len(ready(numbered(100), held_out=held_out, batch_size=1).held_out) == count


def test_held_out_images_are_not_simply_the_last() -> None:
    assert ready(numbered(100)).held_out.indices.tolist() not in (list(range(90, 100)), list(range(10)))


def test_the_split_is_fixed_by_its_own_seed_and_not_by_the_runs() -> None:
    first = ready(numbered(100)).held_out.indices.tolist()
    assert ready(numbered(100), seed=7, batch_size=8, flip=True).held_out.indices.tolist() == first
    assert ready(numbered(100), split_seed=1).held_out.indices.tolist() != first


def test_what_the_publisher_reserves_is_held_out_whatever_held_out_says() -> None:
    data = ready(numbered(10), reserved=[2, 9, 4], held_out=0.5)
    assert data.held_out.indices.tolist() == [2, 4, 9]
    assert data.train.indices.tolist() == [0, 1, 3, 5, 6, 7, 8]


def test_an_empty_reservation_of_the_publisher_holds_out_nothing() -> None:
    assert len(ready(numbered(10), reserved=[], held_out=0.5).train) == 10


def test_too_few_images_for_a_batch_are_refused_with_numbers_and_remedy() -> None:
    with pytest.raises(DataError) as error:
        ready(numbered(40), batch_size=64, held_out=0.25)
    text = str(error.value)
    for part in ("Planted", "30 images", "batch of 64", "held out: 10", "data.batch_size to 30", "data.held_out"):
        assert part in text


def test_exactly_one_batch_of_images_is_enough() -> None:
    assert len(ready(numbered(10), batch_size=9).train) == 9


def test_no_impossible_batch_size_is_advised_when_everything_is_held_out() -> None:
    with pytest.raises(DataError) as error:
        ready(numbered(10), held_out=10)
    assert "0 images to train on" in str(error.value)
    assert "data.batch_size to 0" not in str(error.value)  # a batch size of 0 is refused in its turn


@pytest.mark.parametrize(
    ("name", "value"), [("batch_size", 0), ("held_out", -0.1), ("num_workers", -1), ("batch_size", -4)]
)
def test_settings_below_their_least_are_refused_by_name_and_value(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least .*; got {value}"):
        Planted(numbered(10), **{name: value})


# --- batch sizes by resolution ---------------------------------------------------------------------------------------


def test_a_batch_size_holds_from_its_resolution_on() -> None:
    data = Planted(numbered(10, 128), batch_size={4: 8, 32: 6, 128: 2})
    assert [data.batch_size_at(2**i) for i in range(2, 9)] == [8, 8, 8, 6, 6, 2, 2]


def test_one_batch_size_holds_at_every_resolution() -> None:
    data = Planted(numbered(10, 16), batch_size=5)
    assert {data.batch_size_at(2**i) for i in range(5)} == {5}


def test_the_order_of_the_mapping_does_not_matter() -> None:
    data = Planted(numbered(10, 16), batch_size={16: 1, 4: 8, 8: 3})
    assert [data.batch_size_at(size) for size in (4, 8, 16)] == [8, 3, 1]


def test_a_resolution_below_the_mapping_is_refused_with_text() -> None:
    data = Planted(numbered(10, 16), batch_size={16: 2, 8: 3})
    with pytest.raises(DataError, match=r"data\.batch_size has no entry for 4 px; it begins at 8 px"):
        data.batch_size_at(4)


@pytest.mark.parametrize("sizes", [{4: 8, 8: 0}, {4: -1}])
def test_an_impossible_size_in_the_mapping_is_refused(sizes: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1; got"):
        Planted(numbered(10), batch_size=sizes)


def test_an_empty_mapping_is_refused() -> None:
    with pytest.raises(ValueError, match="got an empty mapping"):
        Planted(numbered(10), batch_size={})


def test_the_largest_batch_of_the_mapping_must_be_filled() -> None:
    with pytest.raises(DataError, match="fewer than one batch of 32"):
        ready(numbered(20), batch_size={1: 4, 2: 32}, held_out=0)


# --- values ----------------------------------------------------------------------------------------------------------


def test_black_is_exactly_minus_one_and_white_exactly_one() -> None:
    values = to_float(torch.tensor([0, 255], dtype=torch.uint8))
    assert values.tolist() == [-1.0, 1.0]
    assert values.dtype == torch.float32


def test_all_256_levels_are_even_and_come_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    values = to_float(levels)
    assert torch.allclose(values.diff(), torch.tensor(2 / 255), atol=2e-7)
    assert torch.equal(((values + 1) * 127.5).round().to(torch.uint8), levels)


def test_conversion_leaves_the_source_alone() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    to_float(levels)
    assert levels.tolist() == list(range(256))


def test_an_item_of_a_split_is_a_float_image_and_its_label() -> None:
    pixels = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
    data = ready(pixels, [3, 5], held_out=0)
    assert [(image.item(), label) for image, label in (data.train[0], data.train[1])] == [(-1.0, 3), (1.0, 5)]


def test_without_labels_the_label_of_an_item_is_minus_one() -> None:
    assert ready(numbered(4)).train[0][1] == -1


def test_channels_and_rows_are_not_mixed_up() -> None:
    pixels = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    image = ready(pixels, held_out=0).train.batch(torch.tensor([1])).images[0]
    for row in range(4):
        for column in range(4):
            assert image[:, row, column].tolist() == pixels[1, row, column].tolist()


def test_a_limited_tensor_is_the_first_images() -> None:
    data = ready(numbered(10), held_out=0)
    assert torch.equal(data.train.tensor(3), data.train.tensor()[:3])
    assert len(data.train.tensor(99)) == 10


def test_changing_a_batch_does_not_change_the_set() -> None:
    data = ready(numbered(10), held_out=0)
    batch = data.train.batch(torch.arange(10))
    batch.images.zero_()
    assert data.train.batch(torch.arange(10)).images[:, 0, 0, 0].tolist() == list(range(10))


def test_conversion_keeps_channels_last() -> None:
    batch = ready(numbered(8, 4, 3), held_out=0).train.batch(torch.arange(8))
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert not batch.images.is_contiguous()
    images = Planted(numbered(8, 4, 3)).on_after_batch_transfer(batch, 0).images
    assert images.is_contiguous(memory_format=torch.channels_last)


# --- labels ----------------------------------------------------------------------------------------------------------


def test_the_number_of_classes_is_that_of_the_labels() -> None:
    assert ready(numbered(4), [0, 2, 1, 2], held_out=0).num_classes == 3
    assert ready(numbered(4), held_out=0).num_classes == 0


def test_labels_stay_with_their_images_through_split_and_batch() -> None:
    data = ready(numbered(100), [i // 10 for i in range(100)], batch_size=8)
    for split in (data.train, data.held_out):
        batch = split.batch(torch.randperm(len(split)))
        assert batch.labels is not None
        assert torch.equal(batch.images[:, 0, 0, 0].long() // 10, batch.labels)


# --- the digest ------------------------------------------------------------------------------------------------------


def test_the_digest_is_that_of_content_and_split() -> None:
    same = ready(numbered(50)).digest
    assert ready(numbered(50)).digest == same
    assert ready(numbered(50), seed=1, batch_size=8, flip=True).digest == same
    changed = numbered(50)
    changed[31, 1, 0, 0] ^= 1
    others = {
        "one pixel": ready(changed),
        "labels": ready(numbered(50), [0] * 50),
        "split seed": ready(numbered(50), split_seed=1),
        "split size": ready(numbered(50), held_out=0.2),
        "nothing held out": ready(numbered(50), held_out=0),
        "one image more": ready(numbered(51)),
        "resolution": ready(numbered(50, 4)),
    }
    digests = [same, *(data.digest for data in others.values())]
    assert len(set(digests)) == len(digests), dict(zip(["same", *others], digests))


def test_a_relabelled_set_has_another_digest() -> None:
    assert ready(numbered(4), [0, 1, 0, 1]).digest != ready(numbered(4), [0, 1, 1, 0]).digest


def test_content_digests_tell_shapes_and_types_apart() -> None:
    zeros = np.zeros(8, dtype=np.uint8)
    some = [zeros, zeros.reshape(2, 4), zeros.view(np.uint16), np.zeros(9, dtype=np.uint8)]
    assert len({content_digest(array) for array in some}) == 4


def test_the_same_data_are_accepted_again() -> None:
    ready(numbered(50), seed=9).load_state_dict(ready(numbered(50)).state_dict())


def test_other_data_than_the_checkpoints_are_refused_with_both_digests() -> None:
    old, new = ready(numbered(50)), ready(numbered(60), held_out=20)
    with pytest.raises(DataError) as error:
        new.load_state_dict(old.state_dict())
    text = str(error.value)
    for part in (old.digest[:8], new.digest[:8], "45 images with 5 held out", "gives 40 and 20", "Planted"):
        assert part in text


def test_the_recorded_state_is_plain_values() -> None:
    state = ready(numbered(50)).state_dict()
    assert {name: type(value) for name, value in state.items()} == {
        "digest": str,
        "train": int,
        "held_out": int,
        "class_names": list,
        "left_out": dict,
    }


# --- the loader ------------------------------------------------------------------------------------------------------


def batches(data: Planted, loader: Loader, count: int) -> list[tuple[list[int], list[int]]]:
    """Return numbers and labels of the first batches."""
    batches: list[Batch] = list(islice(loader, count))
    assert all(batch.images.is_contiguous(memory_format=torch.channels_last) for batch in batches)
    return [
        (batch.images[:, 0, 0, 0].tolist(), batch.labels.tolist() if batch.labels is not None else [])
        for batch in batches
    ]


def stream_of(data: Planted) -> Stream:
    return Stream(len(data.train), data.batch_size_at(data.resolution), seed=data.seed)


def test_reader_processes_and_memory_of_a_device_give_the_same_batches() -> None:
    data = ready(numbered(50, 2, 3), [i % 7 for i in range(50)], batch_size=8)
    plain = batches(data, Loader(lambda: stream_of(data), data.resolution_at, data.train, None, 0, None), 12)
    assert len({number for numbers, _ in plain for number in numbers}) == 45
    assert (
        batches(data, Loader(lambda: stream_of(data), data.resolution_at, data.train, torch.device("cpu"), 0, None), 12)
        == plain
    )
    assert batches(data, Loader(lambda: stream_of(data), data.resolution_at, data.train, None, 1, None), 12) == plain


def test_a_loader_changes_resolution_and_batch_size_in_any_memory_and_process() -> None:
    data = ready(np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8), held_out=0)

    def size(seen: int) -> int:
        return 4 if seen < 12 else 8

    def loader(device: torch.device | None, workers: int) -> Loader:
        stream = lambda: Stream(20, lambda seen: 6 if seen < 12 else 2)  # noqa: E731
        return Loader(stream, size, data.train, device, workers, 6)

    plain = [batch.images for batch in loader(None, 0)]
    assert [tuple(images.shape) for images in plain] == [(6, 1, 4, 4)] * 2 + [(2, 1, 8, 8)] * 4
    for other in (loader(torch.device("cpu"), 0), loader(None, 1)):
        assert all(torch.equal(batch.images, images) for batch, images in zip(other, plain))


def test_resident_images_without_labels_have_none() -> None:
    data = ready(numbered(10), batch_size=4)
    batch = next(iter(Loader(lambda: stream_of(data), data.resolution_at, data.train, torch.device("cpu"), 0, None)))
    assert batch.labels is None


def test_a_loader_with_a_length_yields_so_many_batches() -> None:
    data = ready(numbered(20), batch_size=4, held_out=0)
    loader = Loader(lambda: stream_of(data), data.resolution_at, data.train, None, 0, 5)
    assert len(loader) == 5
    assert sum(1 for _ in islice(loader, 50)) == 5


def test_a_loader_without_end_has_no_length() -> None:
    data = ready(numbered(20), batch_size=4, held_out=0)
    with pytest.raises(TypeError, match="no end"):
        len(Loader(lambda: stream_of(data), data.resolution_at, data.train, None, 0, None))


def test_a_negative_label_is_refused_when_the_images_are_read() -> None:
    """Row I6: only the largest label was compared with the number of classes."""
    with pytest.raises(DataError, match=r"Planted has labels from -1 on; class indices are whole numbers from 0 on\."):
        ready(numbered(8), [-1, 0, 1, 1, 0, 1, 0, 1], held_out=0)


def test_the_next_batch_is_the_one_that_the_loader_gives() -> None:
    data = ready(numbered(8), [0, 1] * 4, held_out=0, flip=True)
    expected, found = next(iter(data.train_dataloader())), data.next_batch()
    assert torch.equal(found.images, expected.images)
    assert found.labels is not None
    assert torch.equal(found.labels, expected.labels)
