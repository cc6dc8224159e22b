"""The smallest working example of each kind of change that CONTRIBUTING.md names, as files and inserted lines."""

from __future__ import annotations

from tests.helpers.additions.addition import Addition
from tests.helpers.additions.measures import ALARM, EXTRACTOR, METRIC, QUESTION
from tests.helpers.additions.models import LAYER, LOSS, MODEL
from tests.helpers.additions.sources_and_commands import COMMAND, CONVERTER, DATA_SOURCE

ADDITIONS = (LOSS, LAYER, MODEL, METRIC, EXTRACTOR, DATA_SOURCE, ALARM, QUESTION, COMMAND, CONVERTER)

__all__ = ["ADDITIONS", "Addition"]
