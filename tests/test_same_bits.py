"""The comparison of bits covers every small recipe, sees every change, and says so by its exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import same_bits
import torch
import yaml
from same_bits import all_cases, digest_of_tensors, faults_within

RECIPES = Path(__file__).parents[1] / "recipes"
WITHOUT_DOWNLOAD = ("Digits", "StackedDigits", "Ring", "Grid")


def test_every_recipe_that_needs_no_download_is_trained_as_it_is() -> None:
    small = {
        path.stem
        for path in RECIPES.glob("*.yaml")
        if yaml.safe_load(path.read_text())["data"]["class"] in WITHOUT_DOWNLOAD
    }
    assert {case.recipe for case in same_bits.recipes()} == small


def test_cases_have_names_of_their_own_and_are_compared_with_one_another() -> None:
    names = [case.name for case in all_cases()]
    assert len(set(names)) == len(names)
    assert {case.same_as for case in all_cases()} - {""} <= set(names)


def test_a_digest_sees_values_names_types_and_shapes_but_no_order() -> None:
    tensors: dict[str, Any] = {"b": torch.tensor([1.0, 2.0]), "a": torch.zeros(2, 3, dtype=torch.bfloat16), "c": 7}
    whole = digest_of_tensors(tensors.items())
    assert digest_of_tensors(dict(sorted(tensors.items())).items()) == whole
    strided = torch.zeros(3, 2, dtype=torch.bfloat16).T
    assert digest_of_tensors({**tensors, "a": strided}.items()) == whole
    others: list[dict[str, Any]] = [
        {"b": torch.tensor([1.0, 2.0000002])},
        {"b": torch.tensor([1.0, 2.0]).view(torch.int32)},
        {"b": torch.tensor([[1.0, 2.0]])},
        {"a": -tensors["a"]},  # zeros of another sign
        {"c": 8},
        {"d": 7},
    ]
    assert len({whole, *(digest_of_tensors({**tensors, **other}.items()) for other in others)}) == len(others) + 1


def test_runs_that_should_end_alike_and_do_not_are_faults() -> None:
    alike = {key: "1" for key in same_bits.DIGESTS}
    found: dict[str, Any] = {"dcgan_digits": alike, "dcgan, resumed": dict(alike)}
    assert faults_within(all_cases(), found) == []
    found["dcgan, resumed"]["optimizers"] = "2"
    assert faults_within(all_cases(), found) == ["dcgan, resumed: not the optimizers of dcgan_digits"]
    found["dcgan, resumed"] = {"error": "ValueError: no"}
    assert "dcgan, resumed: ValueError: no" in faults_within(all_cases(), found)


def test_the_command_compares_with_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["same_bits.py", "--only", "vanilla, clip_norm", *words])
        return same_bits.main()

    path = tmp_path / "bits.json"
    assert command("--out", str(path)) == 0
    assert command("--against", str(path)) == 0
    assert capsys.readouterr().out == "same     vanilla, clip_norm\n1 of 1 cases have the same bits\n"
    record = json.loads(path.read_text())
    assert record["cases"]["vanilla, clip_norm"]["rounds"] == 100
    record["cases"]["vanilla, clip_norm"]["state"] = "another"
    record["protocol"]["torch"] = "0.1"
    path.write_text(json.dumps(record))
    assert command("--against", str(path)) == 1
    text = capsys.readouterr().out
    assert "DIFFERS  vanilla, clip_norm: state\n0 of 1 cases have the same bits" in text
    assert f"note: torch is {torch.__version__!r}, in the file '0.1'; bits may differ for that alone" in text
