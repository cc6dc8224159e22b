"""What README and documentation show works as it is written there, and their links lead to something."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import torch

import zoo
from zoo.config.arguments import parse_arguments
from zoo.config.command_line import checked_arguments
from zoo.config.recipe_files import recipe_names
from zoo.hub.converting import SOURCES
from zoo.runs.recipes import load_recipe

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = ("studies", "benchmarks", "checkpoints", "examples")
LINKED = [*PAGES, ROOT / "CHANGELOG.md", *(ROOT / folder / "README.md" for folder in FOLDERS)]
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def python_block(page: str, containing: str) -> str:
    """The one Python block of a page that contains a text."""
    blocks = re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL)
    (block,) = [block for block in blocks if containing in block]
    return block


def names_of_pages(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 150


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", names_of_pages(LINKED))
def test_every_relative_link_leads_to_a_file_and_to_a_heading(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text_of(page)))
    missing = []
    for link in links:
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        made = target.parent.name == "api"  # by mkdocstrings; building the site checks those
        if not target.exists() or (anchor and not made and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


def test_the_contents_lead_to_every_page() -> None:
    links = set(re.findall(r"\]\((\w[\w-]*\.md)[)#]", text_of("docs/index.md")))
    assert links == {page.name for page in DOCS} - {"index.md"}


def test_every_recipe_that_is_named_exists() -> None:
    for page in PAGES:
        assert set(re.findall(r"recipe=(\w+)", page.read_text())) - {"NAME"} <= set(recipe_names())


WORK = {
    "zoo.audit": "zoo.audit.command.main",
    "zoo.audit.benchmark": "zoo.audit.benchmark.command.main",
    "zoo.data": "zoo.runs.data_report.main",
    "zoo.evaluate": "zoo.runs.measuring.main",
    "zoo.export": "zoo.export.command.main",
    "zoo.project": "zoo.project.command.main",
    "zoo.sample": "zoo.runs.drawing.main",
    "zoo.watch": "zoo.runs.watching.command.main",
}
"""The commands whose words are the arguments of one function."""
OF_THE_COMMAND = ("resume", "check", "seeds", "hours", "out", "pretrained")
"""Words of `zoo.fit` that are no part of a recipe."""
OWN_CLASS = re.compile(r"\b(my_ideas|pl_bolts)\.")


def commands_of(page: Path) -> list[list[str]]:
    """The commands of this library in the blocks of a page, as words."""
    lines = "\n".join(re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[2:] for line in lines if line.startswith("python -m zoo.")]


@pytest.mark.parametrize("page", names_of_pages(PAGES))
def test_every_command_has_the_settings_that_it_names(page: str) -> None:
    """Those of the start page and of the guides are run, by `tests/test_guides.py`; all others are checked here."""
    for name, *words in commands_of(ROOT / page):
        given = parse_arguments([word for word in words if "=" in word])
        if name in WORK:
            checked_arguments(WORK[name], given)
        elif name == "zoo.fit" and not OWN_CLASS.search(" ".join(words)) and given.get("recipe") in recipe_names():
            several = any(re.fullmatch(r"[\d.e-]+(,[\d.e-]+)+", word.partition("=")[2]) for word in words)
            settings = {key: value for key, value in given.items() if key not in ("recipe", *OF_THE_COMMAND)}
            if not several:  # a grid, whose values are not those of one run
                load_recipe(given["recipe"], settings)


@pytest.mark.parametrize("page", ["README.md", "docs/getting-started.md"])
def test_the_five_lines_of_python(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = python_block(page, containing="zoo.fit(")
    names: dict[str, object] = {}
    exec(lines.replace("20_000", "192, model={'width': 4}, trainer={'accelerator': 'cpu'}"), names)
    images, scores = names["images"], names["scores"]
    assert isinstance(images, torch.Tensor)
    assert isinstance(scores, torch.Tensor)
    assert (images.shape, scores.shape) == ((16, 1, 16, 16), (16,))


def test_the_subclass_trains_without_registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_ideas.py").write_text(python_block("docs/subclassing.md", containing="class ModeSeekingGAN"))
    run = zoo.fit(
        "dcgan_digits",
        out="run",
        images=192,
        trainer={"accelerator": "cpu"},
        model={"class": "my_ideas.ModeSeekingGAN", "seek": 2.0, "width": 4},
    )
    assert "g/mode_seeking" in run.model.last_terms
    assert type(zoo.load_run("run")).__name__ == "ModeSeekingGAN"


def test_the_subclass_of_the_readme_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = python_block("README.md", containing="class SmoothGAN")
    Path("my_smooth_ideas.py").write_text(lines)  # a name of its own: modules of one name are imported once
    run = zoo.fit(
        "dcgan_digits",
        out="run",
        images=192,
        trainer={"accelerator": "cpu"},
        model={"class": "my_smooth_ideas.SmoothGAN", "width": 4},
    )
    assert run.model.last_terms["g/variation"] > 0
    assert type(zoo.load_run("run")).__name__ == "SmoothGAN"


@pytest.mark.parametrize("page", ["README.md", "docs/pretrained.md"])
def test_a_pretrained_model_is_loaded(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(f"import zoo\n{python_block(page, containing='from_pretrained(')}", names)
    images = names["images"]
    assert isinstance(images, torch.Tensor)
    assert images.shape == (20, 1, 16, 16)


def test_a_pretrained_model_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(f"import zoo\n{python_block('docs/pretrained.md', containing='save_pretrained(')}", {})
    assert torch.equal(
        zoo.from_pretrained("./my_digits").sample(2, seed=0), zoo.from_pretrained("dcgan_digits").sample(2, seed=0)
    )


def test_the_mixture_is_built_and_sampled() -> None:
    names: dict[str, object] = {}
    exec(f"import zoo\n{python_block('docs/mixtures.md', containing='zoo.MixGAN(')}", names)
    model, images = names["model"], names["images"]
    assert isinstance(model, zoo.MixGAN)
    assert isinstance(images, torch.Tensor)
    assert (model.generator_weights.shape, images.shape) == ((5,), (16, 3, 32, 32))


def test_the_sources_of_weights_are_those_that_there_are() -> None:
    section = text_of("docs/pretrained.md").split("## Weights from other projects")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.split("| source |")[1].splitlines()[2:] if line.startswith("|")]
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == set(SOURCES)


@pytest.mark.skipif(importlib.util.find_spec("pl_bolts") is None, reason="pip install --no-deps lightning-bolts==0.7.0")
def test_the_recipe_with_lightning_bolts_is_one() -> None:
    command = text_of("docs/lightning-bolts.md").split("python -m zoo.fit ")[1].split("```")[0]
    words = parse_arguments(command.replace("\\\n", " ").split())
    recipe = load_recipe(words.pop("recipe"), words)
    assert recipe.data.arguments["resolution"] == 16
    assert recipe.callbacks["LatentDimInterpolator"].arguments["every"] == 20_000


def test_the_errors_of_a_recipe_are_those_that_are_shown() -> None:
    shown = re.search(r"\$ python -m zoo.fit (.*)\nzoo.fit: ((?:.|\n)*?)```", text_of("docs/recipes.md"))
    assert shown is not None
    words = parse_arguments(shown[1].split())
    with pytest.raises(ValueError, match="2 faults") as caught:
        load_recipe(words.pop("recipe"), words)
    assert str(caught.value) == shown[2].strip()
