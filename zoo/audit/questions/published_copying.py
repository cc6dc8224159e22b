"""Statistics of copying from the literature, beside their values for held-out images. They raise no alarm."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings.builder import Builder
from zoo.audit.statistics import memory
from zoo.audit.statistics.fld import generalisation_gap
from zoo.audit.statistics.memory import RATIO_RANK
from zoo.audit.statistics.significance import Z95, wilson_percent

CELLS = 5  # cells of the partition behind C_T
MIXTURE, SCORED = 500, 1_000  # FLD: centres of the mixture, and images of each origin that are scored
CANNOT_ALARM = "cannot raise an alarm by itself"


def add_data_copying(finding: Builder, evidence: Evidence, space: str, setting: Tensor, checking: Tensor) -> None:
    """Add the statistic C_T of `memory.data_copying`, unless none of its clusters has enough images.

    Args:
        finding: the finding to add to.
        evidence: the images and their features.
        space: name of the feature space.
        setting: indices (n,) of the held-out images that stand in for generated ones under the null.
        checking: indices (m,) of the other held-out images, which those are compared with.
    """
    train, held_out, generated = memory.project(
        *(evidence.features(part, space) for part in ("train", "held_out", "generated"))
    )
    seed = evidence.seed_of("C_T")
    measured = memory.data_copying(train, held_out, generated, CELLS, seed)
    null = memory.data_copying(train, held_out[checking], held_out[setting], CELLS, seed)
    if not measured.cells:
        return
    reach = Z95 * measured.deviation
    finding.add_statistic(
        f"C_T in {space}",
        (measured.value, measured.value - reach, measured.value + reach),
        null=(null.value if null.cells else 0.0, -reach, reach),
        n=len(generated),
        description="far below 0: generated images are closer to training images than held-out images are, as copies "
        f"are, but also blurred images; {CANNOT_ALARM}",
    )


def add_authenticity(finding: Builder, evidence: Evidence, space: str) -> None:
    """Add the share of generated images that `memory.authentic` marks, with that of held-out images as the null."""
    train = evidence.features("train", space)
    held_out = memory.authentic(evidence.nearest("held_out", "train", RATIO_RANK, space), train)
    generated = memory.authentic(evidence.nearest("generated", "train", RATIO_RANK, space), train)
    finding.add_statistic(
        f"authentic in {space}",
        wilson_percent(int(generated.sum()), len(generated)),
        null=wilson_percent(int(held_out.sum()), len(held_out)),
        n=len(generated),
        unit="%",
        description="generated images farther from their nearest training image than that image is from its nearest "
        f"other training image; {CANNOT_ALARM}",
    )


def add_fld_gap(finding: Builder, evidence: Evidence, setting: Tensor, checking: Tensor) -> None:
    """Add the generalisation gap of the feature likelihood divergence (FLD), see `generalisation_gap`.

    Args:
        finding: the finding to add to.
        evidence: the images and their features.
        setting: indices (n,) of the held-out images that stand in for generated ones under the null.
        checking: indices (m,) of the held-out images that are scored.
    """
    train, held_out, generated = (evidence.features(part) for part in ("train", "held_out", "generated"))
    draw = evidence.rng("mixture")
    known = train[torch.randperm(len(train), generator=draw)[:SCORED]]
    new = held_out[checking[:SCORED]]
    n = min(MIXTURE, len(generated), len(setting))
    centres = generated[torch.randperm(len(generated), generator=draw)[:n]]
    finding.add_statistic(
        "generalisation gap of FLD",
        generalisation_gap(known, new, centres),
        null=generalisation_gap(known, new, held_out[setting[:n]]),
        n=n,
        description="far below 0: a density fitted to generated images gives training images a higher likelihood than "
        f"held-out ones; {CANNOT_ALARM}",
    )
