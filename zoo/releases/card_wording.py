"""Sentences of the model card that differ between versions of the library.

A card in the wording of an earlier version is still valid: `zoo.hub.verify` compares a card with all wordings. The
sentences are formatted with `str.format`.
"""

from __future__ import annotations

CURRENT = {
    "rounded": "The weights are stored as {dtype}, which rounds them and halves the file; computations are in float32.",
    "samples": "The first {samples} samples of seed {seed}, without selection{order}.",
    "held_out": "{held_out:,} held out and never used in training",
    "initialised": ", except for {anew} of {total} tensors, which were initialised at random",
    "audited": "Audited with `python -m zoo.audit` ({settings}).",
    "page": "The full report: [audit.html](audit.html).",
    "not_evaluated": "this model was not evaluated",
    "converted_without": "it was converted without {network}: the one here has random weights",
    "not_audited": "; they are few, and memorisation was not tested",
    "widget": "samples of seed {seed}",
}
WITHOUT_WIDGET = {**CURRENT, "widget": ""}  # the first cards of 0.2
VERSION_0_1 = {
    "rounded": "Weights are stored as {dtype}, rounded, to halve the file, and computed with in float32.",
    "samples": "The first {samples} samples of seed {seed}{order}. Nothing was picked.",
    "held_out": "{held_out:,} held out and never trained on",
    "initialised": ", but for {anew} of {total} tensors, which were drawn anew",
    "audited": "By `python -m zoo.audit` ({settings}).",
    "page": "The whole report: [audit.html](audit.html).",
    "not_evaluated": "nothing about this model was measured",
    "converted_without": "it came without {network}: what is there has random weights",
    "not_audited": "; they are few, and whether it memorises was not tested",
    "widget": "",
}
WORDINGS = (CURRENT, WITHOUT_WIDGET, VERSION_0_1)
