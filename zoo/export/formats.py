"""The formats of exported generators: ONNX, torch.export, and arrays of NumPy."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import UserError
from zoo.export.checking import example_inputs
from zoo.export.facts import Facts
from zoo.gan import GAN
from zoo.sampling.exportable import ExportableGenerator

Run = Callable[[Sequence[Tensor]], Tensor]
"""A function from the inputs of a generator to its images, computed by an exported file."""
FACTS = "facts.json"
"""Name under which the facts are kept in the file of `torch.export`, and in that of NumPy without the ending."""
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def write_onnx(path: Path, model: GAN, generator: ExportableGenerator, facts: Facts) -> Run:
    """Write an ONNX file with any number of rows, and return what runs it by onnxruntime on a CPU.

    Raises:
        UserError: if packages are missing.
    """
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(f'format=onnx needs {", ".join(missing)}, not installed: pip install ".[export]"')
    import onnxruntime

    with _quiet():
        program = torch.onnx.export(
            _exported(model, generator),
            dynamo=True,
            input_names=list(generator.inputs),
            output_names=["images"],
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(facts.texts())
        program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(inputs: Sequence[Tensor]) -> Tensor:
        given = {name: value.numpy() for name, value in zip(generator.inputs, inputs)}
        return torch.from_numpy(session.run(None, given)[0])

    return run


def write_torch(path: Path, model: GAN, generator: ExportableGenerator, facts: Facts) -> Run:
    """Write a program of `torch.export` with any number of rows, and return what runs it."""
    with _quiet():
        torch.export.save(_exported(model, generator), path, extra_files={FACTS: json.dumps(facts.texts())})
        loaded = torch.export.load(path).module()
    return lambda inputs: loaded(*inputs)


def write_npz(path: Path, model: GAN, generator: ExportableGenerator, facts: Facts) -> Run:
    """Write the weights as arrays of NumPy, without pickles, and return what runs the generator with those read back.

    The names are those of the module; `facts` is a text in JSON.
    """
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    about: dict[str, Any] = {FACTS.removesuffix(".json"): np.array(json.dumps(facts.texts()))}
    with open(path, "wb") as file:  # given a path, NumPy would add an ending
        np.savez_compressed(file, **arrays, **about)
    with np.load(path, allow_pickle=False) as archive:
        state = {name: torch.from_numpy(archive[name]) for name in arrays}
    fresh = ExportableGenerator(model, generator.pixels)
    fresh.load_state_dict(state)
    return lambda inputs: fresh(**dict(zip(fresh.inputs, inputs)))


WRITERS: dict[str, tuple[str, Callable[[Path, GAN, ExportableGenerator, Facts], Run]]] = {
    "onnx": (".onnx", write_onnx),
    "torch": (".pt2", write_torch),
    "npz": (".npz", write_npz),
}
"""The ending of the file and the function that writes it, by the name of the format."""


class _ByPosition(torch.nn.Module):
    """A generator whose inputs are given by position, in the order of `inputs`; an exported program has those alone."""

    def __init__(self, generator: ExportableGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> Tensor:
        images: Tensor = self.generator(**dict(zip(self.generator.inputs, inputs)))
        return images


def _exported(model: GAN, generator: ExportableGenerator) -> torch.export.ExportedProgram:
    """Return a program of the generator for any number of rows."""
    inputs = example_inputs(model, generator, 3)
    rows = torch.export.Dim("rows")
    shapes: Any = (tuple({0: rows} for _ in inputs),)
    with torch.no_grad():
        return torch.export.export(_ByPosition(generator), inputs, dynamic_shapes=shapes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep notes about the inside of the exporters from the user's screen."""
    loud = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(loud)
