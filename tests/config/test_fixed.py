"""Settings that a class fixes for its parent, and classes of one's own that fail: row A8."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.loggers import TensorBoardLogger

import zoo
from zoo.config.building import build
from zoo.config.command_line import run_command
from zoo.config.fixed import fixed_settings
from zoo.config.settings import check_settings, settings_of
from zoo.errors import RecipeError, UserError
from zoo.features import extractor
from zoo.runs.recipes import load_recipe

IDEAS = """
import torch, zoo
from zoo.callbacks import SampleGrid
from zoo.data import Digits
from zoo.features import Extractor

class Small(zoo.DCGAN):
    def __init__(self, **settings):
        super().__init__(width=4, **settings)

class Labelled(zoo.DCGAN):
    def __init__(self, **settings):
        super(Labelled, self).__init__(num_classes=10, seed=3, **settings)

class Colour(zoo.DCGAN):
    def __init__(self, **settings):
        super().__init__(channels=3, **settings)

class Tiny(Digits):
    def __init__(self, **settings):
        super().__init__(resolution=16, seed=5, **settings)

class Rare(SampleGrid):
    def __init__(self, **settings):
        super().__init__(320, **settings)

class Faulty(zoo.DCGAN):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.rate = 1 + "a"

class Needy(zoo.DCGAN):
    def __init__(self, network: torch.nn.Module, **settings):
        super().__init__(**settings)

class Measured(zoo.DCGAN):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.mean = next(self.generator.parameters()).mean().item()  # there is no value on the meta device

class Broken(Extractor):
    def __init__(self, scale: float = 1.0):
        self.scale = scale["x"]

exec('''
class Typed(zoo.DCGAN):
    def __init__(self, **settings):
        super().__init__(width=4, **settings)
''')
""".lstrip()


def line_of(code: str) -> int:
    """Return the number of the first line of the user's file that contains this code."""
    return next(i for i, line in enumerate(IDEAS.splitlines(), 1) if code in line)


class Parent:
    def __init__(self, first: int, second: int = 2, third: int = 3) -> None: ...


class ByPosition(Parent):
    def __init__(self, **rest: Any) -> None:
        super().__init__(1, third=4, **rest)


class ByName(Parent):
    def __init__(self, second: int = 7, **rest: Any) -> None:
        Parent.__init__(self, second=second, **rest)


class Below(ByPosition):
    def __init__(self, note: str = "", **rest: Any) -> None:
        super().__init__(**rest)


@pytest.fixture(autouse=True)
def ideas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "fixing_ideas.py").write_text(IDEAS)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("fixing_ideas", None)


def command(*words: str) -> Any:
    with pytest.raises(SystemExit) as end:
        run_command("fit", "zoo.runs.fitting.main", ["recipe=dcgan_digits", "check=true", *words])
    return end.value.code


def test_what_a_constructor_gives_to_its_parent_is_fixed() -> None:
    assert fixed_settings(ByPosition) == {"first": "ByPosition", "third": "ByPosition"}
    assert list(settings_of(ByPosition)) == ["second"]
    assert fixed_settings(ByName) == {}  # `second` is its own parameter
    assert settings_of(ByName)["second"] == (int, 7)
    assert list(settings_of(Below)) == ["second", "note"]
    assert check_settings(Below, {"third": 9}, "x.")[1] == [
        "x.third: ByPosition.__init__ gives its parent class a value of its own, so it is no setting of Below; got 9. "
        "Leave x.third out, or make it a parameter of ByPosition.__init__"
    ]


def test_loggers_of_lightning_fix_settings_of_their_parents() -> None:
    assert fixed_settings(TensorBoardLogger) == {"root_dir": "TensorBoardLogger"}
    assert check_settings(TensorBoardLogger, {"save_dir": "x"}, "loggers.T.")[1] == []  # root_dir was missing


def test_a_class_trains_with_what_it_fixes() -> None:
    """Row A8: "multiple values" for defaults, for the recipe's own values, for the seed and for num_classes."""
    recipe = load_recipe("dcgan_digits", {"model": {"class": "fixing_ideas.Small"}})
    assert "width" not in recipe.model.arguments
    assert recipe.model.build().hparams["width"] == 4
    assert "model.class was changed; the recipe's width is left out" in recipe.notes
    overrides: dict[str, Any] = {
        "seed": 8,
        "model": {"class": "fixing_ideas.Labelled"},
        "data": {"class": "fixing_ideas.Tiny"},
        "callbacks": {"rare": {"class": "fixing_ideas.Rare"}},
    }
    recipe = load_recipe("dcgan_digits", overrides)
    model, data, rare = recipe.model.build(), recipe.data.build(), recipe.callbacks["rare"].build()
    assert (model.num_classes, model.seed, data.resolution, data.seed, rare.every) == (10, 3, 16, 5, 320)
    mixture = load_recipe("dcgan_digits", {"model": {"class": "MixGAN", "base": "fixing_ideas.Small", "components": 2}})
    assert len(mixture.model.build().generator) == 2
    assert recipe.sections() == load_recipe("dcgan_digits", recipe.sections()).sections()


def test_a_fixed_setting_that_is_given_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Row A8: our error with name, value, rule and remedy."""
    assert command("model.class=fixing_ideas.Small", "model.width=16") == 2
    assert (
        "  model.width: Small.__init__ gives its parent class a value of its own, so it is no setting of Small; got 16."
        " Leave model.width out, or make it a parameter of Small.__init__"
    ) in capsys.readouterr().err


def test_a_reference_to_a_fixed_setting_says_what_to_give() -> None:
    fault = (
        r"data.channels: \$\{model.channels\} refers to a setting that Colour does not take. Give data.channels=VALUE"
    )
    with pytest.raises(RecipeError, match=fault):
        load_recipe("dcgan_digits", {"model": {"class": "fixing_ideas.Colour"}})
    recipe = load_recipe("dcgan_digits", {"model": {"class": "fixing_ideas.Colour"}, "data": {"channels": 3}})
    assert recipe.model.build().channels == 3


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "Faulty",
            f"model: building Faulty fails at fixing_ideas.py, line {line_of('self.rate')}: TypeError: unsupported",
        ),
        ("Needy", "missing 1 required positional argument: 'network'. A recipe gives plain values only; give such"),
        (
            "Typed",
            "model.width: a constructor of Typed gives it to its parent class itself; got 32 as well. Make it a "
            "parameter: def __init__(self, width=..., **settings)",
        ),
    ],
)
def test_a_class_of_ones_own_that_fails_names_its_line(
    name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row A8: `check=true` builds the class too."""
    assert command(f"model.class=fixing_ideas.{name}") == 2
    assert told in capsys.readouterr().err


def test_a_class_that_needs_values_passes_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("model.class=fixing_ideas.Measured") == 0
    assert "class: fixing_ideas.Measured" in capsys.readouterr().out


def test_extractors_of_ones_own_that_fail_name_their_line() -> None:
    line = line_of("self.scale")
    with pytest.raises(
        UserError, match=rf"extractor fixing_ideas.Broken: .* at fixing_ideas.py, line {line}: TypeError"
    ):
        extractor("fixing_ideas.Broken")


def test_faults_of_this_library_are_not_hidden() -> None:
    def forgetful() -> None:
        raise RuntimeError("x")

    with pytest.raises(TypeError, match="unexpected keyword"):
        zoo.DCGAN(wdith=3)
    with pytest.raises(UserError, match=r"my: building .* fails at test_fixed.py, line"):
        build(forgetful, {}, "my")
    with pytest.raises(TypeError, match="not iterable"):
        build(zoo.DCGAN, {"resolution": 16, "betas": 3.0}, "model")
