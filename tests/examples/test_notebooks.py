"""The notebooks of `examples/`, executed from the first cell to the last with small numbers in place of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

nbformat: Any = pytest.importorskip("nbformat", reason='pip install ".[test]"')
KernelManager: Any = pytest.importorskip("jupyter_client.manager", reason='pip install ".[test]"').KernelManager
nbclient: Any = pytest.importorskip("nbclient", reason='pip install ".[test]"')
pytest.importorskip("ipykernel", reason='pip install ".[test]"')

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))
SMALL = {
    "audit_foreign_generator": """IMAGES, QUESTIONS = 300, ["copying"]
import dataclasses
from zoo.audit.evidence.budget import BUDGETS
BUDGETS["quick"] = dataclasses.replace(BUDGETS["quick"], images=IMAGES, repeats=10)""",
    "compare_runs": "IMAGES, SEEDS, WIDTHS, SAMPLES = 192, [0, 1], [4, 8], 40",
    "new_loss": "IMAGES, WIDTH = 192, 4",
    "quick_start": "IMAGES, WIDTH, SAMPLES = 192, 4, 100",
    "your_photographs": "STAND_INS, IMAGES, RESOLUTION, WIDTH, BATCH = 300, 64, 16, 4, 16",
}
"""What the cell of parameters is followed by here."""

pytestmark = pytest.mark.xdist_group("notebooks")  # of one worker, which starts the kernel once


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """One kernel for all notebooks, so that torch is imported once; each begins without names of the one before."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")]),
    }
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**environment, "OMP_NUM_THREADS": "1"})
    yield manager
    manager.shutdown_kernel(now=True)


def read(name: str) -> Any:
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def execute(name: str, kernel: Any, folder: Path) -> str:
    """Run a notebook in a folder; returns all that it printed or showed as text."""
    book = read(name)
    (place,) = [i for i, cell in enumerate(book.cells) if "parameters" in cell.metadata.get("tags", [])]
    book.cells.insert(place + 1, nbformat.v4.new_code_cell(SMALL[name]))
    begin = (
        f"%reset -f\nimport os, torch\nos.chdir({str(folder)!r})\nos.environ['ZOO_CACHE'] = {str(folder / 'cache')!r}"
    )
    book.cells.insert(0, nbformat.v4.new_code_cell(f"{begin}\ntorch.manual_seed(0)\ntorch.set_num_threads(1)"))
    client = nbclient.NotebookClient(book, km=kernel, timeout=240)
    client.execute(cleanup_kc=False)
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output.get("data", {}).get("text/plain", "") for output in outputs]
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    return "\n".join([*(output.get("text", "") for output in outputs), *shown, f"pictures: {pictures}"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "audit_foreign_generator",
            ["Memorising", "alarm: Does it copy training images?", "No sign of copying", "pictures: 1"],
        ),
        (
            "compare_runs",
            ["model.width=8", "95 % Welch interval", "real against real", "told apart by 2 seeds", "'tables'"],
        ),
        ("new_loss", ["g/variation", "variation: parent", "Did you mean smooth?", "pictures: 1"]),
        ("quick_start", ["just trained: ", "real against real: ", "dcgan_digits", "pictures: 2"]),
        ("your_photographs", ["Folder: 300 images", "270 to train on, 30 held out", "pictures: 2"]),
    ],
)
def test_a_notebook_runs_to_its_end(name: str, says: list[str], kernel: Any, tmp_path: Path) -> None:
    text = execute(name, kernel, tmp_path)
    for words in says:
        assert words in text, text


def test_every_notebook_is_run() -> None:
    assert sorted(SMALL) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_kept_without_what_they_showed(name: str) -> None:
    book = read(name)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    assert book.metadata.kernelspec.name == "python3"
    first = book.cells[0]
    assert (first.cell_type, first.source.startswith("# ")) == ("markdown", True)
