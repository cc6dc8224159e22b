"""Are the weights healthy? The largest singular values of every layer, as Brock et al. 2019 watch them
(arXiv:1809.11096, section 4.1: they explode when training collapses), against those of random matrices.

How large a singular value should be depends on a layer's shape. A matrix (m, n) of independent entries with root mean
square r has the largest one near r * (sqrt(m) + sqrt(n)) (Marchenko and Pastur 1967; Bai and Yin 1993): this is the
null, and each layer is measured in it. Training adds a few strong directions and so lifts layers above 1; a layer of
which one direction holds nearly all the energy passes on little else. There is no verdict in these numbers: they are
read beside the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.subject import SubjectAdapter
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Are the weights healthy?"

EXACT_UP_TO = 1_024  # rows or columns, whichever are fewer; larger matrices are iterated
ITERATIONS = 30  # of the block power iteration, on 3 + 5 vectors
ONE_DIRECTION = 0.9
"""Share of a layer's energy in its first direction from which it is named. A random matrix of 16 rows or more stays
below about 0.25; a good generator can well have a layer at 0.6, as our dcgan_digits has."""
SMALLEST = 16  # rows and columns from which a layer is judged: below, one direction is a large share of all there are
GROWTH = 4.0
"""Growth of a largest singular value over the second half of a run from which it is named. Under a usual schedule it
grows by some 10 %; in a collapse by orders of magnitude."""
NAMED = 3  # layers in the answer


@dataclass(frozen=True)
class Layer:
    """One weight.

    Args:
        network: `generator` or `discriminator`, or what stands first in its name.
        name: within the network.
        shape: as stored.
        values: its three largest singular values; fewer where it has fewer.
        scale: the largest, in that of a random matrix of the same shape and size of entries.
        energy: share of the first direction in the sum of squares.
        dead: outputs (rows) that are zero throughout.
        broken: entries that are not finite.
    """

    network: str
    name: str
    shape: tuple[int, ...]
    values: tuple[float, ...]
    scale: float
    energy: float
    dead: int
    broken: int

    @property
    def one_direction(self) -> bool:
        """Whether nearly all that passes goes one way."""
        rows, columns = self.shape[0], _columns(self.shape)
        return min(rows, columns) >= SMALLEST and self.energy > ONE_DIRECTION


def ask(evidence: Evidence) -> Finding:
    """The answer.

    Raises:
        NotApplicable: for a subject that shows no weights.
    """
    layers = [measured(network, name, tensor) for network, name, tensor in chosen(evidence.subject)]
    if not layers:
        raise NotApplicable("its state_dict() holds no weight with two dimensions or more")
    grown = growth(evidence.extras.get("history") or [])
    broken = [layer for layer in layers if layer.broken]
    dead = [layer for layer in layers if layer.dead and not layer.broken]
    narrow = [layer for layer in layers if layer.one_direction]
    exploding = {name: factor for name, factor in grown.items() if factor >= GROWTH}
    statistics = [
        Statistic("values that are not finite", float(sum(layer.broken for layer in layers)), null=0.0),
        Statistic(
            "outputs that are zero",
            float(sum(layer.dead for layer in layers)),
            null=0.0,
            says="rows of weights without a single other value",
        ),
    ]
    for network in dict.fromkeys(layer.network for layer in layers):
        own = [layer for layer in layers if layer.network == network and not layer.broken]
        if own:
            top = max(own, key=lambda layer: layer.scale)
            statistics.append(
                Statistic(
                    f"largest singular value, {network}",
                    top.scale,
                    null=1.0,
                    says=f"in that of a random matrix of the same shape and size of entries; at {top.name}",
                )
            )
    if grown:
        name = max(grown, key=lambda key: grown[key])
        statistics.append(
            Statistic(
                "largest growth",
                grown[name],
                null=1.0,
                says=f"of a largest singular value over the second half of the run; at {name}",
            )
        )
    return Finding(
        "weights",
        QUESTION,
        "note" if broken or dead or narrow or exploding else "passed",
        _answer(layers, broken, dead, narrow, exploding),
        tuple(statistics),
        {},
        _drawn(layers, evidence.extras),
        {
            "layers": {
                f"{layer.network}.{layer.name}": {
                    "shape": list(layer.shape),
                    "singular_values": [_short(v) for v in layer.values],
                    "scale": _short(layer.scale),
                    "energy_of_first": _short(layer.energy),
                }
                for layer in layers
            },
            "one_direction_from": ONE_DIRECTION,
            "growth_from": GROWTH,
            "exact_up_to": EXACT_UP_TO,
        },
    )


def chosen(subject: SubjectAdapter) -> list[tuple[str, str, Tensor]]:
    """Weights with two dimensions or more: network, name within it, tensor.

    Where a model keeps the generator's moving average, that is the generator: it draws the images.
    """
    tensors = subject.weights()
    named = getattr(subject.subject, "named_parameters", None)
    parameters = {name for name, _ in named()} if callable(named) else set(tensors)
    averaged = any(name.startswith("average.") for name in tensors)
    found = []
    for name, tensor in tensors.items():
        if name not in parameters or tensor.ndim < 2 or not tensor.is_floating_point() or not tensor.numel():
            continue
        network, _, rest = name.partition(".")
        if averaged and network == "generator":
            continue
        found.append(("generator" if network == "average" else network if rest else "weights", rest or name, tensor))
    return found


def measured(network: str, name: str, tensor: Tensor) -> Layer:
    """The numbers of one weight, as a matrix with one row for each of its first dimension."""
    matrix = tensor.detach().to("cpu", torch.float32).flatten(1)
    shape = tuple(tensor.shape)
    broken = int((~matrix.isfinite()).sum())
    if broken:
        return Layer(network, name, shape, (), float("nan"), float("nan"), 0, broken)
    dead = int((matrix == 0).all(1).sum())
    values = singular_values(matrix)
    square = float(matrix.double().square().sum())
    random = (square / matrix.numel()) ** 0.5 * (matrix.shape[0] ** 0.5 + matrix.shape[1] ** 0.5)
    if not square:
        return Layer(network, name, shape, tuple(values), 0.0, 0.0, dead, 0)
    return Layer(network, name, shape, tuple(values), values[0] / random, values[0] ** 2 / square, dead, 0)


def singular_values(matrix: Tensor, count: int = 3) -> list[float]:
    """The largest singular values, in order: exact for small matrices, else by block power iteration."""
    if min(matrix.shape) <= EXACT_UP_TO:
        found: list[float] = torch.linalg.svdvals(matrix)[:count].tolist()
        return found
    draw = torch.Generator().manual_seed(0)
    vectors = torch.randn(matrix.shape[1], count + 5, generator=draw)
    for _ in range(ITERATIONS):
        left = torch.linalg.qr(matrix @ vectors).Q
        vectors, triangle = torch.linalg.qr(matrix.T @ left)
    iterated: list[float] = torch.linalg.svdvals(triangle)[:count].tolist()
    return iterated


def growth(history: Sequence[dict[str, Any]]) -> dict[str, float]:
    """By which factor each layer's largest singular value grew over the second half of a run.

    Args:
        history: one entry for each reading: `images`, and for each layer its largest singular values.
    """
    rows = sorted((row for row in history if "images" in row), key=lambda row: float(row["images"]))
    if len(rows) < 3:
        return {}
    half = next(row for row in rows if row["images"] >= rows[-1]["images"] / 2)
    found = {}
    for name, values in rows[-1].items():
        before = half.get(name)
        if isinstance(values, list | tuple) and isinstance(before, list | tuple) and values and before and before[0]:
            found[name] = float(values[0]) / float(before[0])
    return found


def _answer(
    layers: list[Layer], broken: list[Layer], dead: list[Layer], narrow: list[Layer], exploding: dict[str, float]
) -> str:
    faults = []
    if broken:
        faults.append(f"{_names(broken)} hold values that are not finite: the model has diverged")
    if exploding:
        names = ", ".join(sorted(exploding, key=lambda name: -exploding[name])[:NAMED])
        faults.append(
            f"the largest singular value grew by a factor of {max(exploding.values()):.3g} in the second "
            f"half of the run ({names}), as before a collapse"
        )
    if dead:
        faults.append(f"{sum(layer.dead for layer in dead)} outputs of {_names(dead)} are zero and stay zero")
    if narrow:
        faults.append(f"in {_names(narrow)} a single direction holds nearly all that passes")
    if faults:
        whole = "; ".join(faults)
        return f"{whole[0].upper()}{whole[1:]}."
    return f"Yes: all {len(layers)} layers are finite, none has outputs that are zero, none passes one direction only."


def _names(layers: list[Layer]) -> str:
    names = [f"{layer.network}.{layer.name}" for layer in layers]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if value == value else None


def _columns(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape[1:]:
        product *= size
    return product


def _drawn(layers: list[Layer], extras: dict[str, Any]) -> tuple[Figure, ...]:
    whole = [layer for layer in layers if not layer.broken]
    colours = {"generator": figures.COLOURS["generated"], "discriminator": figures.COLOURS["held_out"]}

    def draw(axes: Axes) -> None:
        for network in dict.fromkeys(layer.network for layer in whole):
            places = [i for i, layer in enumerate(whole) if layer.network == network]
            values = [whole[i].scale for i in places]
            axes.plot(places, values, "o", markersize=5, color=colours.get(network, "#7a68cf"), label=network)
        axes.axhline(1, color=figures.COLOURS["null"], linestyle="--", linewidth=1, label="random matrix")
        axes.set(xlabel="layer, in order", ylabel="largest singular value", ylim=(0, None))
        axes.legend()

    def draw_history(axes: Axes) -> None:
        rows = extras["history"]
        for name in sorted({key for row in rows for key, v in row.items() if isinstance(v, list | tuple) and v}):
            known = [(row["images"], row[name][0]) for row in rows if row.get(name)]
            network = "generator" if name.startswith(("g/", "generator")) else "discriminator"
            axes.plot(*zip(*known), color=colours[network], linewidth=0.9, alpha=0.7)
        axes.set(xlabel="images seen", ylabel="largest singular value", yscale="log")

    drawn = [
        figures.plot(
            draw,
            "singular-values",
            "The largest singular value of each layer, in that of a random matrix of "
            "the same shape and size of entries. Strong directions lift a layer above 1.",
        )
    ]
    if growth(extras.get("history") or []):
        drawn.append(
            figures.plot(
                draw_history,
                "history",
                "The largest singular value of each layer over the run: orange the "
                "generator's, blue the discriminator's. Lines that shoot up announce a collapse.",
            )
        )
    return tuple(figure for figure in drawn if figure is not None)
