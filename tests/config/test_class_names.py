"""Truths of names in recipes: the zoo's public classes, and a user's own without registration."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.callbacks import SampleGrid
from zoo.config.class_names import PUBLIC, class_path, find_class
from zoo.config.command_line import run_command
from zoo.data import Digits
from zoo.errors import RecipeError, UserError
from zoo.models.dcgan import Generator
from zoo.runs.fitting import main
from zoo.runs.recipes import load_recipe

MINE = """
import zoo

class Mine(zoo.DCGAN):
    def __init__(self, seek=1.0, **dcgan):
        super().__init__(**dcgan)
        self.seek = seek

    def generator_loss(self, real, fake):
        terms = super().generator_loss(real, fake)
        z, w = self.sample_latent(len(fake)), self.sample_latent(len(fake))
        a, b = (self.generate(self.generator, latents, fake.labels) for latents in (z, w))
        terms["mode_seeking"] = self.seek * (z - w).abs().mean() / ((a - b).abs().mean() + 1e-5)
        return terms
""".lstrip()

ON_CPU: dict[str, Any] = {"precision": "32-true", "accelerator": "cpu"}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory of a user; what is put on the import path is taken off again."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)


def train_mine(module: str, out: str, **sections: Any) -> zoo.Run:
    """Four batches of the user's class, as a notebook asks for them."""
    model = {"class": f"{module}.Mine", "width": 4, **sections.pop("model", {})}
    trainer = {**ON_CPU, **sections.pop("trainer", {})}
    callbacks = {"SampleGrid": None}
    return zoo.fit("dcgan_digits", out=out, images=256, model=model, trainer=trainer, callbacks=callbacks, **sections)


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def refusal(name: str) -> str:
    """What is said of a name that cannot be found."""
    with pytest.raises(UserError) as caught:
        find_class(name)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- names of the zoo ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"), [("DCGAN", zoo.DCGAN), ("Digits", Digits), ("SampleGrid", SampleGrid), ("zoo.DCGAN", zoo.DCGAN)]
)
def test_a_public_name_is_a_class_of_the_zoo(name: str, found: type) -> None:
    assert find_class(name) is found


def test_every_public_class_is_found_by_the_name_a_recipe_writes() -> None:
    for module in (zoo, zoo.data, zoo.callbacks):
        for name in module.__all__:
            if name[0].isupper():
                assert class_path(find_class(name)) == name
                assert find_class(name) is getattr(module, name)


def test_the_table_of_public_names_is_what_is_exported() -> None:
    exported = {name for module in (zoo, zoo.data, zoo.callbacks) for name in module.__all__ if name[0].isupper()}
    assert set(PUBLIC) == exported


def test_each_name_that_the_package_exports_is_that_of_its_module() -> None:
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
        if name[0].isupper():
            assert zoo._MODULES[name] == PUBLIC[name].rpartition(".")[0]


def test_what_is_not_public_is_named_by_its_path() -> None:
    assert class_path(Generator) == "zoo.models.dcgan.Generator"
    assert find_class("zoo.models.dcgan.Generator") is Generator
    assert class_path(torch.nn.Linear) == "torch.nn.modules.linear.Linear"


def test_a_class_of_the_zoo_may_be_named_by_its_path_and_is_written_by_its_name() -> None:
    assert class_path(find_class("zoo.models.dcgan.DCGAN")) == "DCGAN"


def test_an_unknown_name_is_answered_with_the_nearest_and_with_how_to_name_ones_own() -> None:
    assert refusal("DCGANN") == (
        "the zoo has no class DCGANN. Did you mean DCGAN? One of your own is named by its path: my_ideas.DCGANN"
    )


def test_functions_of_the_zoo_are_no_classes() -> None:
    with pytest.raises(RecipeError, match=r"model\.class: the zoo has no class fit\."):
        load_recipe("dcgan_digits", {"model": {"class": "fit"}, "data": {"resolution": 16, "channels": 1}})


# --- a class of the user's own ---------------------------------------------------------------------------------------


def test_a_class_in_the_working_directory_trains_and_loads_without_registration() -> None:
    Path("my_ideas_train.py").write_text(MINE)
    run = train_mine("my_ideas_train", "run", model={"seek": 2.0})
    mine = find_class("my_ideas_train.Mine")
    assert type(run.model) is mine
    assert (run.model.images_seen, run.model.seek) == (256, 2.0)

    loaded = zoo.load_run("run")
    assert type(loaded) is mine
    assert loaded.seek == 2.0
    assert torch.equal(loaded.sample(4, seed=0, labels=1), run.model.eval().sample(4, seed=0, labels=1))


def test_the_run_of_a_users_class_keeps_its_path_and_its_settings() -> None:
    Path("my_ideas_keep.py").write_text(MINE)
    run = train_mine("my_ideas_keep", "run", model={"seek": 2.0})
    own = load_recipe("run/recipe.yaml")
    assert own.model == run.recipe.model
    assert class_path(own.model.target) == "my_ideas_keep.Mine"
    assert own.model.arguments["seek"] == 2.0
    (file,) = Path("run/checkpoints").iterdir()
    state = torch.load(file, weights_only=True)
    assert state["zoo"]["class"] == "my_ideas_keep.Mine"
    assert (state["hyper_parameters"]["seek"], state["hyper_parameters"]["width"]) == (2.0, 4)


def test_an_additional_term_of_a_users_class_is_logged_with_its_weight() -> None:
    Path("my_ideas_term.py").write_text(MINE)
    every_round = {"trainer": {"log_every_n_steps": 1}}
    first = table(train_mine("my_ideas_term", "one", **every_round).folder)
    second = table(train_mine("my_ideas_term", "two", model={"seek": 2.0}, **every_round).folder)
    assert [row["images_seen"] for row in first] == ["64", "128", "192", "256"]
    assert all(float(row["g/mode_seeking"]) > 0 for row in first)
    # In the first round nothing has yet learnt from the term: twice the weight is twice the value.
    assert float(second[0]["g/mode_seeking"]) == pytest.approx(2 * float(first[0]["g/mode_seeking"]), rel=1e-5)
    assert float(second[0]["g/adversarial"]) == pytest.approx(float(first[0]["g/adversarial"]), rel=1e-5)


def test_a_term_is_in_the_table_of_a_run_of_any_length() -> None:
    Path("my_ideas_short.py").write_text(MINE)
    train_mine("my_ideas_short", "run")
    assert math.isfinite(float(table(Path("run"))[-1]["g/mode_seeking"]))


def test_a_users_class_has_the_settings_of_its_parent_and_its_own() -> None:
    Path("my_ideas_settings.py").write_text(MINE)
    found = load_recipe("dcgan_digits", {"model": {"class": "my_ideas_settings.Mine", "width": 4}})
    assert (found.model.arguments["seek"], found.model.arguments["width"]) == (1.0, 4)
    assert (found.model.arguments["num_classes"], found.notes) == (10, [])
    with pytest.raises(RecipeError) as caught:
        load_recipe("dcgan_digits", {"model": {"class": "my_ideas_settings.Mine", "sek": 4}})
    assert caught.value.faults == ["model.sek: Mine has no setting of that name. Did you mean seek?"]


def test_a_users_class_is_found_in_a_package_too() -> None:
    Path("my_package_found").mkdir()
    Path("my_package_found/__init__.py").touch()
    Path("my_package_found/ideas.py").write_text(MINE)
    assert find_class("my_package_found.ideas.Mine").__module__ == "my_package_found.ideas"


def test_the_command_trains_a_users_class_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_ideas_command.py").write_text(MINE)
    words = ["recipe=dcgan_digits", "model.class=my_ideas_command.Mine", "model.seek=0.5", "model.width=4", "images=64"]
    with pytest.raises(SystemExit) as ended:
        run_command("fit", main, [*words, "out=run", "trainer.accelerator=cpu", "trainer.precision=32-true"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("dcgan_digits: Mine on Digits, 64 images, 32-true\n")
    assert zoo.load_run("run").seek == 0.5


# --- faults of a user's file -----------------------------------------------------------------------------------------


def test_a_module_that_is_not_there_is_named_with_where_it_was_looked_for() -> None:
    assert refusal("my_ideas_absent.Mine") == (
        f"there is no module my_ideas_absent to import my_ideas_absent.Mine from (looked in {Path.cwd()} and among the "
        "installed packages)"
    )


def test_a_class_that_is_not_in_its_module_is_answered_with_the_nearest() -> None:
    Path("my_ideas_attribute.py").write_text(MINE)
    assert refusal("my_ideas_attribute.Mime") == "my_ideas_attribute has no Mime. Did you mean Mine?"


def test_a_module_that_raises_is_told_by_file_and_line() -> None:
    Path("my_ideas_raise.py").write_text("import zoo\n\nraise RuntimeError('not yet')\n")
    assert refusal("my_ideas_raise.Mine") == (
        "importing my_ideas_raise fails at my_ideas_raise.py, line 3: RuntimeError: not yet"
    )


def test_an_error_inside_a_function_of_the_users_file_is_told_at_its_place() -> None:
    Path("my_ideas_inside.py").write_text("def half(x):\n    return 1 / x\n\nvalue = half(0)\n")
    text = refusal("my_ideas_inside.Mine")
    assert "fails at my_ideas_inside.py, line 2: ZeroDivisionError: division by zero" in text


def test_an_error_that_a_library_raises_is_told_at_the_users_line() -> None:
    Path("my_ideas_library.py").write_text("import json\n\nvalue = json.loads('{')\n")
    text = refusal("my_ideas_library.Mine")
    assert "my_ideas_library.py, line 3" in text
    assert "JSONDecodeError" in text


def test_a_syntax_error_is_told_by_file_and_line() -> None:
    Path("my_ideas_syntax.py").write_text("import zoo\n\ndef broken(:\n    pass\n")
    text = refusal("my_ideas_syntax.Mine")
    assert "my_ideas_syntax.py, line 3" in text
    assert "SyntaxError" in text
    assert "frozen" not in text


def test_a_package_that_the_users_file_lacks_is_told_at_the_users_line() -> None:
    Path("my_ideas_lacks.py").write_text("import zoo\nimport no_such_package\n")
    text = refusal("my_ideas_lacks.Mine")
    assert "no_such_package" in text
    assert "my_ideas_lacks.py, line 2" in text


def test_a_class_that_is_no_gan_is_told_so_whatever_the_recipe_says_of_the_data() -> None:
    Path("my_ideas_other.py").write_text("class Mine:\n    pass\n\ndef build():\n    pass\n")
    for name in ("Mine", "build"):
        with pytest.raises(RecipeError) as caught:
            load_recipe("dcgan_digits", {"model": {"class": f"my_ideas_other.{name}"}})
        assert f"model.class: my_ideas_other.{name} is not a GAN" in caught.value.faults


def test_data_of_the_users_own_that_are_no_data_are_refused() -> None:
    Path("my_ideas_data.py").write_text("class Mine:\n    pass\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("dcgan_digits", {"data": {"class": "my_ideas_data.Mine"}})
    assert "data.class: my_ideas_data.Mine is not a source of images" in caught.value.faults


def test_a_faulty_file_of_the_users_ends_the_command_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_ideas_ends.py").write_text("import zoo\n\nraise RuntimeError('not yet')\n")
    with pytest.raises(SystemExit) as ended:
        run_command("fit", main, ["recipe=dcgan_digits", "model.class=my_ideas_ends.Mine", "out=run"])
    assert ended.value.code == 2
    text = capsys.readouterr()
    assert "model.class: importing my_ideas_ends fails at my_ideas_ends.py, line 3: RuntimeError: not yet" in text.err
    assert "Traceback" not in text.err
    assert not Path("run").exists()


def test_a_value_that_a_users_constructor_refuses_is_a_fault_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_ideas_refuse.py").write_text(
        MINE.replace("self.seek = seek", "if seek < 0: raise ValueError(f'seek must not be negative; got {seek}')")
    )
    words = ["recipe=dcgan_digits", "model.class=my_ideas_refuse.Mine", "model.seek=-1", "model.width=4", "out=run"]
    with pytest.raises(SystemExit) as ended:
        run_command("fit", main, words)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "zoo.fit: model: seek must not be negative; got -1\n"
    assert not Path("run").exists()


def test_a_run_whose_class_has_gone_says_which() -> None:
    Path("my_ideas_gone.py").write_text(MINE)
    train_mine("my_ideas_gone", "run")
    Path("my_ideas_gone.py").unlink()
    del sys.modules["my_ideas_gone"]
    with pytest.raises(UserError, match=r"there is no module my_ideas_gone to import my_ideas_gone\.Mine from"):
        zoo.load_run("run")
