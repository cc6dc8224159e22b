"""Logger for TensorBoard that does not end a run when its file cannot be written."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import TensorBoardLogger

from zoo.io.room import spared

_others: list[Any] = []


def _without_full_disk(args: threading.ExceptHookArgs) -> None:
    """Print exceptions of threads, but not that TensorBoard's writer failed: the next number to log reports it."""
    if not (isinstance(args.exc_value, OSError) and type(args.thread).__name__ == "_AsyncWriterThread"):
        _others[-1](args)


class TensorBoardFiles(TensorBoardLogger):
    """Lightning's logger for TensorBoard; on a full disk the run goes on without it, which is said once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if threading.excepthook is not _without_full_disk:
            _others.append(threading.excepthook)
            threading.excepthook = _without_full_disk

    @rank_zero_only
    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Log numbers, if they can be written."""
        with self._spared():
            super().log_metrics(*args, **kwargs)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Log the arguments of the model, if they can be written."""
        with self._spared():
            super().log_hyperparams(*args, **kwargs)

    @rank_zero_only
    def save(self) -> None:
        """Flush, if that is possible."""
        with self._spared():
            super().save()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the file; what cannot be written is left out."""
        with self._spared():
            super().finalize(status)

    def _spared(self) -> Any:
        return spared("TensorBoard's file", Path(self.log_dir))
