"""Shares and variety of the kinds of images, generated against held-out ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.kinds import Kinds, kinds_of
from zoo.audit.statistics import shares
from zoo.audit.statistics.shares import Share, Variety

REQUESTED = "given by the requested labels"


@dataclass(frozen=True)
class Comparison:
    """Shares and variety of the kinds (classes or clusters), generated against held-out images.

    Args:
        kinds: the kinds, with the kind of each image.
        shares: share of each kind, or, if `requested`, share of the images requested as a kind that are classified as
            it.
        shares_by: how the shares were measured, as text; `REQUESTED` if the generator takes class labels, which then
            determine the shares.
        varieties: variety of each kind with enough images; the last one is that of all images together.
    """

    kinds: Kinds
    shares: list[Share]
    shares_by: str
    varieties: list[Variety]

    @property
    def requested(self) -> bool:
        """Whether the generator takes class labels."""
        return self.shares_by == REQUESTED

    @property
    def noun(self) -> str:
        """Plural noun for the kinds: `kinds` if they are clusters, `classes` otherwise."""
        return "kinds" if self.kinds.clusters else "classes"

    @property
    def dropped(self) -> list[Share]:
        """Shares of the kinds that are dropped, the lowest ratio first."""
        return sorted((share for share in self.shares if share.dropped), key=lambda share: share.ratio)

    @property
    def collapsed(self) -> list[Variety]:
        """Varieties of the kinds that are collapsed; among them that of all images together, if it is."""
        return [variety for variety in self.varieties if variety.collapsed]

    def name(self, kind: int) -> str:
        """Return the name of a kind; the index after the last kind stands for all images together."""
        return self.kinds.names[kind] if kind < len(self.kinds) else "all images together"


def compare(evidence: Evidence, real: Tensor, fake: Tensor) -> Comparison:
    """Compare shares and variety of each kind, from features of held-out (N, D) and generated images (M, D)."""
    kinds = kinds_of(evidence)
    requested, true = evidence.generated.labels, evidence.held_out.labels
    mine, theirs = kinds.generated, kinds.held_out
    known = torch.unique(evidence.train.labels) if evidence.train.labels is not None else torch.empty(0)
    if not kinds.clusters and requested is not None and true is not None and _all_requested(requested, true, known):
        right, right_real = known[mine] == requested, known[theirs] == true
        mine, theirs = (torch.searchsorted(known, side).clamp(max=len(known) - 1) for side in (requested, true))
        rows, shares_by = shares.agreement(right, mine, right_real, theirs, len(kinds)), REQUESTED
    else:
        corrected = None if kinds.truth is None else shares.confusion_corrected_shares(*kinds.votes, kinds.truth)
        rows = shares.shares(*kinds.counts()) if corrected is None else corrected
        shares_by = (
            "as classified" if corrected is None else "corrected for the classifier's mistakes on held-out images"
        )
    draw = evidence.rng("variety")
    within = shares.variety(fake, mine, real, theirs, len(kinds), draw)
    (merged,) = shares.variety(fake, torch.zeros(len(fake)), real, torch.zeros(len(real)), 1, draw)
    overall = Variety(len(kinds), merged.generated, merged.held_out, merged.n, merged.p)
    return Comparison(kinds, rows, shares_by, [*within, overall])


def _all_requested(requested: Tensor, true: Tensor, known: Tensor) -> bool:
    """Check that generated images were requested of every class (M,) of held-out images, and of known classes only.

    Otherwise, as in a folder of generated images without a class, the images themselves must tell their classes.
    """
    return bool(torch.isin(torch.unique(true), requested).all()) and bool(torch.isin(requested, known).all())
