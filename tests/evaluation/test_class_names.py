"""Class numbers of a conditional model and of the images that it is compared with."""

from __future__ import annotations

import pytest

from zoo.errors import UserError
from zoo.evaluation.labels import check_class_names

DIGITS = tuple("0123456789")


@pytest.mark.parametrize(
    ("model", "real"),
    [
        (("cat", "dog"), ("cat", "dog")),
        (("cat", "dog"), ("cat",)),
        (("cat", "dog"), ()),
        ((), ("cat", "dog")),
        ((), DIGITS[:2]),
    ],
)
def test_numbers_that_stand_for_the_same_classes_pass(model: tuple[str, ...], real: tuple[str, ...]) -> None:
    check_class_names(model, real, 2)


@pytest.mark.parametrize(
    ("model", "real", "text"),
    [
        (DIGITS, DIGITS[5:], "class 0 is '5' in these images and '0' in the model"),
        ((), DIGITS[5:], "class 0 is '5' in these images and '0' in the model"),
        (("dog", "cat"), ("cat", "dog"), "class 0 is 'cat' in these images and 'dog' in the model"),
        (("cat", "dog"), ("cat", "owl"), r"Give images of all its classes under its names \(cat, dog\)"),
        ((), tuple(f"k{i}" for i in range(12)), r"the images have 12 classes \(k0, k1, k2, \.\.\.\), the model 10"),
    ],
)
def test_numbers_that_stand_for_other_classes_are_refused(
    model: tuple[str, ...], real: tuple[str, ...], text: str
) -> None:
    with pytest.raises(UserError, match=text):
        check_class_names(model, real, len(model) or 10)
