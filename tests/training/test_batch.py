"""Batches: images and labels that are moved, split and joined together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from zoo import Batch

IMAGES = torch.arange(5 * 3 * 2 * 2, dtype=torch.float32).view(5, 3, 2, 2)
LABELS = torch.tensor([4, 3, 2, 1, 0])


def test_a_tensor_is_images_without_labels() -> None:
    batch = Batch.of(IMAGES)
    assert batch.images is IMAGES
    assert batch.labels is None


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_pair_is_images_and_labels(kind: type) -> None:
    batch = Batch.of(kind((IMAGES, LABELS)))
    assert batch.images is IMAGES
    assert batch.labels is LABELS


def test_a_list_of_one_is_images_without_labels() -> None:
    batch = Batch.of([IMAGES])  # what TensorDataset(images) yields
    assert batch.images is IMAGES
    assert batch.labels is None


@pytest.mark.parametrize("names", [("images", "labels"), ("image", "label")])
def test_a_mapping_is_read_by_name(names: tuple[str, str]) -> None:
    batch = Batch.of({"id": "x", names[1]: LABELS, names[0]: IMAGES})
    assert batch.images is IMAGES
    assert batch.labels is LABELS


def test_a_mapping_needs_no_labels() -> None:
    assert Batch.of({"images": IMAGES}).labels is None


def test_a_batch_stays_itself() -> None:
    batch = Batch(IMAGES, LABELS)
    assert Batch.of(batch) is batch


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("ab", "str"),
        (None, "NoneType"),
        (3, "int"),
        (np.zeros((2, 1, 2, 2)), "ndarray; torch.from_numpy makes a tensor of an array"),
        ((IMAGES, LABELS, LABELS), "tuple of 3: Tensor, Tensor, Tensor"),
        ([], "list"),
        ({"pixels": IMAGES}, "dict"),
        ((IMAGES, "cat"), "tuple of 2: Tensor, str"),
    ],
)
def test_anything_else_is_refused_by_its_type(data: Any, name: str) -> None:
    with pytest.raises(TypeError) as error:
        Batch.of(data)
    text = str(error.value)
    assert f"the loader yielded a {name}" in text
    for accepted in ("a tensor of images", "a pair (images, labels)", "'images' and 'labels'", "zoo.Batch"):
        assert accepted in text


@pytest.mark.parametrize("labels", [LABELS, None], ids=["labels", "no labels"])
@pytest.mark.parametrize("parts", [1, 2, 3, 5, 9])
def test_chunks_joined_again_are_the_batch(parts: int, labels: torch.Tensor | None) -> None:
    chunks = Batch(IMAGES, labels).chunk(parts)
    assert sum(len(chunk) for chunk in chunks) == 5
    assert all(len(chunk) > 0 for chunk in chunks)
    joined = Batch.join(chunks)
    assert torch.equal(joined.images, IMAGES)
    if labels is None:
        assert joined.labels is None
    else:
        assert joined.labels is not None
        assert torch.equal(joined.labels, labels)


def test_labels_stay_with_their_images_in_chunks() -> None:
    for chunk in Batch(IMAGES, LABELS).chunk(3):
        assert chunk.labels is not None
        assert [int(image.flatten()[0]) // 12 for image in chunk.images] == [4 - int(y) for y in chunk.labels]


@pytest.mark.parametrize(("images", "parts"), [(8, 4), (7, 3), (3, 9), (5, 4), (9, 6)])
def test_there_are_as_many_chunks_as_asked_for_or_as_images(images: int, parts: int) -> None:
    assert len(Batch(torch.zeros(images, 1, 1, 1)).chunk(parts)) == min(images, parts)


def test_a_type_changes_the_images_only() -> None:
    moved = Batch(IMAGES, LABELS).to(torch.float64)
    assert moved.images.dtype == torch.float64
    assert moved.labels is not None
    assert moved.labels.dtype == torch.int64
    assert torch.equal(moved.labels, LABELS)


def test_a_device_moves_both_parts() -> None:
    moved = Batch(IMAGES, LABELS).to("meta")
    assert moved.images.device.type == "meta"
    assert moved.labels is not None
    assert moved.labels.device.type == "meta"
    assert Batch(IMAGES).to("meta").labels is None


def test_moving_leaves_the_original_alone() -> None:
    batch = Batch(IMAGES, LABELS)
    batch.to(torch.float16)
    assert batch.images.dtype == torch.float32


def test_the_length_is_the_number_of_images() -> None:
    assert len(Batch(IMAGES, LABELS)) == 5


def test_its_text_gives_shapes_and_type() -> None:
    assert repr(Batch(IMAGES, LABELS)) == "Batch(images (5, 3, 2, 2) torch.float32, labels (5,))"
    assert "no labels" in repr(Batch(IMAGES))
