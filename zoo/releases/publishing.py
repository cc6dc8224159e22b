"""The mixin by which every model can be saved as a release and pushed to the Hugging Face hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, cast

from zoo.io.files import with_home
from zoo.releases.huggingface import push
from zoo.releases.release_format import ReleasableModel
from zoo.releases.writing import write_release


class Publishable:
    """Mixin of `zoo.GAN` that writes releases and pushes them to the Hugging Face hub."""

    origin: dict[str, Any] | None = None
    """Source of weights that were converted from another library, for the card; None for weights trained here."""

    def save_pretrained(
        self, folder: str | Path, *, dtype: str = "float32", about: dict[str, Any] | None = None
    ) -> Path:
        """Write a release (weights, configuration, card and grid) and return its folder.

        `zoo.from_pretrained(folder)` loads the model again. The averaged generator and the discriminator are written;
        the live generator and the state of the optimizers are not. A folder that holds a release is overwritten.

        Args:
            folder: folder of the release.
            dtype: `float32` keeps every bit; `float16` or `bfloat16` halve the size of the file, and the loaded weights
                are rounded.
            about: facts for the card, see `zoo.releases.card`; `python -m zoo.hub run=RUN` collects them from a run
                folder.

        Raises:
            ReleaseError: if the model's arguments are not plain values, or the folder holds something else.
        """
        return write_release(cast("ReleasableModel", self), with_home(folder), dtype=dtype, about=about)

    def push_to_hub(
        self,
        repo: str,
        *,
        revision: str | None = None,
        private: bool = False,
        dtype: str = "float32",
        about: dict[str, Any] | None = None,
    ) -> str:
        """Upload a release to a repository of the Hugging Face hub and return the repository's address.

        This needs `pip install 'gan-zoo[hub]'` and a token with the right to write (`hf auth login`).

        Args:
            repo: name of the repository, such as `my-name/dcgan-digits`; it is created if it does not exist.
            revision: branch to write to; None for the main branch.
            private: whether a newly created repository is private.
            dtype: type of the stored weights, as for `save_pretrained`.
            about: facts for the card, as for `save_pretrained`.

        Raises:
            ReleaseError: if the release cannot be written, or the hub refuses it.
        """
        name = repo.rpartition("/")[2] or "release"
        with tempfile.TemporaryDirectory() as scratch:
            folder = write_release(cast("ReleasableModel", self), Path(scratch) / name, dtype=dtype, about=about)
            return push(folder, repo, revision=revision, private=private)
