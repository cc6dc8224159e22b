"""Are the weights healthy? The largest singular values of every layer, against those of random matrices.

Brock et al. 2019 (arXiv:1809.11096, section 4.1) monitor them: they explode when training collapses. Their usual size
depends on the shape of a layer. A matrix (m, n) of independent entries with root mean square r has its largest singular
value near r (sqrt(m) + sqrt(n)) (Marchenko and Pastur 1967; Bai and Yin 1993). This is the null, and the unit in which
each layer is measured. Training adds a few strong directions, which lifts layers above 1; a layer with nearly all its
energy in one direction passes on little else. These numbers support no verdict; read them beside the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.subject import SubjectAdapter
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Finding, NotApplicable
from zoo.layers.wrappers import plain_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Are the weights healthy?"

EXACT_UP_TO = 1_024  # rows or columns, whichever are fewer; larger matrices use power iteration
ITERATIONS = 30  # block power iterations, on 3 + 5 vectors
ONE_DIRECTION = 0.9
"""Share of a layer's energy in its first direction above which the layer is named. A random matrix of 16 rows or more
has less than about 0.25; a good generator can have a layer at 0.6, as the release dcgan_digits does."""
SMALLEST = 16  # rows and columns of the smallest layer that is judged; with fewer, one direction is a large share
GROWTH = 4.0
"""Growth of a largest singular value over the second half of a run above which the layer is named. It is some 10 %
under a usual schedule, and orders of magnitude in a collapse."""
NAMED = 3  # layers named in the answer


@dataclass(frozen=True)
class Layer:
    """A weight with two dimensions or more.

    Args:
        network: `generator` or `discriminator`, or the first part of its name.
        name: name within the network.
        shape: shape of the tensor.
        values: its three largest singular values; fewer if it has fewer, none if entries are not finite.
        scale: its largest singular value, relative to that of a random matrix of the same shape and root mean square;
            NaN if entries are not finite, 0 if all are 0.
        energy: share of the first direction in the sum of squares; NaN or 0 in the same cases.
        zero_rows: number of rows (outputs) whose entries are all 0.
        non_finite: number of entries that are not finite.
    """

    network: str
    name: str
    shape: tuple[int, ...]
    values: tuple[float, ...]
    scale: float
    energy: float
    zero_rows: int
    non_finite: int

    @property
    def one_direction(self) -> bool:
        """Whether more than ONE_DIRECTION of the energy is in one direction; False for layers too small to judge."""
        rows, columns = self.shape[0], math.prod(self.shape[1:])
        return min(rows, columns) >= SMALLEST and self.energy > ONE_DIRECTION


def run(evidence: Evidence) -> Finding:
    """Measure the singular values of all layers, and find layers that are broken, zero, one-directional or exploding.

    Raises:
        NotApplicable: if the subject has no weights.
    """
    layers = [measured(network, name, tensor) for network, name, tensor in chosen(evidence.subject)]
    if not layers:
        raise NotApplicable("its state_dict() has no weight with two dimensions or more")
    growths = growth(evidence.extras.get("history") or [])
    faults = _faults(layers, growths)
    finding = Builder("weights", QUESTION)
    _add_statistics(finding, layers, growths)
    _add_figures(finding, layers, evidence.extras)
    finding.add_protocol(
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
        }
    )
    answer = f"Yes: all {len(layers)} layers are finite, and none has all-zero outputs or a single direction."
    if faults:
        text = "; ".join(faults)
        answer = f"{text[0].upper()}{text[1:]}."
    return finding.build(answer, note=bool(faults))


def _faults(layers: list[Layer], growths: dict[str, float]) -> list[str]:
    """Describe each kind of fault in the layers in a clause; the list is empty if there are no faults."""
    non_finite = [layer for layer in layers if layer.non_finite]
    zero = [layer for layer in layers if layer.zero_rows and not layer.non_finite]
    narrow = [layer for layer in layers if layer.one_direction]
    exploding = {name: factor for name, factor in growths.items() if factor >= GROWTH}
    faults = []
    if non_finite:
        faults.append(f"{_names(non_finite)} have entries that are not finite: the model has diverged")
    if exploding:
        names = ", ".join(sorted(exploding, key=lambda name: -exploding[name])[:NAMED])
        faults.append(
            f"the largest singular value grew by a factor of {max(exploding.values()):.3g} in the second half of the "
            f"run ({names}), as before a collapse"
        )
    if zero:
        faults.append(f"{sum(layer.zero_rows for layer in zero)} outputs of {_names(zero)} have all-zero weights")
    if narrow:
        faults.append(f"in {_names(narrow)} a single direction has nearly all the energy")
    return faults


def _add_statistics(finding: Builder, layers: list[Layer], growths: dict[str, float]) -> None:
    """Add counts of broken weights, the largest singular value of each network, and the largest growth."""
    finding.add_statistic("entries that are not finite", float(sum(layer.non_finite for layer in layers)), null=0.0)
    finding.add_statistic(
        "outputs with all-zero weights",
        float(sum(layer.zero_rows for layer in layers)),
        null=0.0,
        description="rows of weights whose entries are all 0",
    )
    for network in dict.fromkeys(layer.network for layer in layers):
        finite = [layer for layer in layers if layer.network == network and not layer.non_finite]
        if finite:
            top = max(finite, key=lambda layer: layer.scale)
            finding.add_statistic(
                f"largest singular value, {network}",
                top.scale,
                null=1.0,
                description=f"relative to a random matrix of the same shape and root mean square; at {top.name}",
            )
    if growths:
        name = max(growths, key=lambda key: growths[key])
        finding.add_statistic(
            "largest growth",
            growths[name],
            null=1.0,
            description=f"of a largest singular value over the second half of the run; at {name}",
        )


def chosen(subject: SubjectAdapter) -> list[tuple[str, str, Tensor]]:
    """Choose the weights with two dimensions or more; the moving average (EMA) of the generator replaces it.

    Returns:
        For each weight, the name of its network, its name within the network, and the tensor.
    """
    stored = subject.weights()
    tensors = {plain: stored[name] for plain, name in plain_names(subject.subject, stored).items()}
    named = getattr(subject.subject, "named_parameters", None)
    parameters = set(plain_names(subject.subject, dict(named())) if callable(named) else tensors)
    averaged = any(name.startswith("average.") for name in tensors)
    selected = []
    for name, tensor in tensors.items():
        if name not in parameters or tensor.ndim < 2 or not tensor.is_floating_point() or not tensor.numel():
            continue
        network, _, rest = name.partition(".")
        if averaged and network == "generator":
            continue
        owner = "generator" if network == "average" else network if rest else "weights"
        selected.append((owner, rest or name, tensor))
    return selected


def measured(network: str, name: str, tensor: Tensor) -> Layer:
    """Measure a weight as a matrix with one row for each index of its first dimension."""
    matrix = tensor.detach().to("cpu", torch.float32).flatten(1)
    shape = tuple(tensor.shape)
    non_finite = int((~matrix.isfinite()).sum())
    if non_finite:
        return Layer(network, name, shape, (), float("nan"), float("nan"), 0, non_finite)
    zero_rows = int((matrix == 0).all(1).sum())
    values = singular_values(matrix)
    square = float(matrix.double().square().sum())
    random = (square / matrix.numel()) ** 0.5 * (matrix.shape[0] ** 0.5 + matrix.shape[1] ** 0.5)
    if not square:
        return Layer(network, name, shape, tuple(values), 0.0, 0.0, zero_rows, 0)
    return Layer(network, name, shape, tuple(values), values[0] / random, values[0] ** 2 / square, zero_rows, 0)


def singular_values(matrix: Tensor, count: int = 3) -> list[float]:
    """Compute the largest singular values of a matrix (M, N), in descending order.

    Exact for small matrices; by block power iteration for larger ones (more than EXACT_UP_TO rows and columns).
    """
    if min(matrix.shape) <= EXACT_UP_TO:
        exact: list[float] = torch.linalg.svdvals(matrix)[:count].tolist()
        return exact
    draw = torch.Generator().manual_seed(0)
    vectors = torch.randn(matrix.shape[1], count + 5, generator=draw)
    for _ in range(ITERATIONS):
        left = torch.linalg.qr(matrix @ vectors).Q
        vectors, triangle = torch.linalg.qr(matrix.T @ left)
    iterated: list[float] = torch.linalg.svdvals(triangle)[:count].tolist()
    return iterated


def growth(history: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Compute the growth of each layer's largest singular value over the second half of a run.

    Args:
        history: readings during the run: `images` seen, and for each layer its largest singular values.

    Returns:
        A factor for each layer; empty for fewer than three readings.
    """
    rows = sorted((row for row in history if "images" in row), key=lambda row: float(row["images"]))
    if len(rows) < 3:
        return {}
    half = next(row for row in rows if row["images"] >= rows[-1]["images"] / 2)
    factors = {}
    for name, values in rows[-1].items():
        before = half.get(name)
        if isinstance(values, list | tuple) and isinstance(before, list | tuple) and values and before and before[0]:
            factors[name] = float(values[0]) / float(before[0])
    return factors


def _names(layers: list[Layer]) -> str:
    """Return the names of the first layers, with the number of others."""
    names = [f"{layer.network}.{layer.name}" for layer in layers]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _short(value: float) -> float | None:
    """Round to four significant digits; None for NaN."""
    return float(f"{value:.4g}") if value == value else None


def _add_figures(finding: Builder, layers: list[Layer], extras: dict[str, Any]) -> None:
    """Add the largest singular value of each layer, and its course over the run if that was recorded."""
    finite = [layer for layer in layers if not layer.non_finite]
    colours = {"generator": figures.COLOURS["generated"], "discriminator": figures.COLOURS["held_out"]}

    def draw(axes: Axes) -> None:
        for network in dict.fromkeys(layer.network for layer in finite):
            indices = [i for i, layer in enumerate(finite) if layer.network == network]
            values = [finite[i].scale for i in indices]
            axes.plot(indices, values, "o", markersize=5, color=colours.get(network, "#7a68cf"), label=network)
        axes.axhline(1, color=figures.COLOURS["null"], linestyle="--", linewidth=1, label="random matrix")
        axes.set(xlabel="layer, in order", ylabel="relative largest singular value", ylim=(0, None))
        axes.legend()

    def draw_history(axes: Axes) -> None:
        rows = extras["history"]
        for name in sorted({key for row in rows for key, v in row.items() if isinstance(v, list | tuple) and v}):
            known = [(row["images"], row[name][0]) for row in rows if row.get(name)]
            network = "generator" if name.startswith(("g/", "generator")) else "discriminator"
            axes.plot(*zip(*known), color=colours[network], linewidth=0.9, alpha=0.7)
        axes.set(xlabel="images seen", ylabel="largest singular value", yscale="log")

    finding.add_figure(
        figures.plot(
            draw,
            "singular-values",
            "Largest singular value of each layer, relative to that of a random matrix of the same shape and root mean "
            "square. Strong directions lift a layer above 1.",
        )
    )
    if growth(extras.get("history") or []):
        finding.add_figure(
            figures.plot(
                draw_history,
                "history",
                "Largest singular value of each layer over the run; orange: generator, blue: discriminator. A steep "
                "rise announces a collapse.",
            )
        )
