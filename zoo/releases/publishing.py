"""What every model can do to leave home: be saved as a release, and be pushed to the Hugging Face hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, cast

from zoo.releases.huggingface import push
from zoo.releases.release_format import ReleasableModel
from zoo.releases.writing import write_release


class Publishable:
    """The part of `zoo.GAN` that writes releases; `zoo.hub` does the work."""

    origin: dict[str, Any] | None = None
    """Where weights that were not trained here come from; None for those that were. Goes into the card."""

    def save_pretrained(
        self, folder: str | Path, *, dtype: str = "float32", about: dict[str, Any] | None = None
    ) -> Path:
        """Write a release: weights, configuration, card and grid. `zoo.from_pretrained(folder)` gives the model back.

        The averaged generator and the discriminator are written, not the live generator and nothing of the optimizers.
        A folder that holds a release is overwritten.

        Args:
            folder: where to.
            dtype: `float32` keeps every bit; `float16` or `bfloat16` halve the file, and rounded weights are loaded.
            about: facts for the card, see `zoo.releases.card`; `python -m zoo.hub run=RUN` finds them in a run's
                folder.

        Raises:
            ReleaseError: when the model's arguments are no plain values, or the folder holds something else.
        """
        return write_release(cast("ReleasableModel", self), Path(folder), dtype=dtype, about=about)

    def push_to_hub(
        self,
        repo: str,
        *,
        revision: str | None = None,
        private: bool = False,
        dtype: str = "float32",
        about: dict[str, Any] | None = None,
    ) -> str:
        """Publish as a repository of the Hugging Face hub, made if it does not exist; returns its address.

        Needs `pip install 'gan-zoo[hub]'` and a token with the right to write (`hf auth login`).

        Args:
            repo: such as `my-name/dcgan-digits`.
            revision: branch to write to; None for the main one.
            private: whether a repository that is made is private.
            dtype: as for `save_pretrained`.
            about: as for `save_pretrained`.

        Raises:
            ReleaseError: when the release cannot be written, or the hub refuses it.
        """
        name = repo.rpartition("/")[2] or "release"
        with tempfile.TemporaryDirectory() as scratch:
            folder = write_release(cast("ReleasableModel", self), Path(scratch) / name, dtype=dtype, about=about)
            return push(folder, repo, revision=revision, private=private)
