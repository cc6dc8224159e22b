"""Upload a verified release to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from zoo.hub.loading import UserClasses
from zoo.hub.verifying import verify
from zoo.io.files import with_home


def push(
    folder: str | Path, repo: str, revision: str | None = None, private: bool = False, cls: UserClasses | None = None
) -> str:
    """Verify a release, upload it to the Hugging Face hub, and return the address of the repository.

    Args:
        folder: folder of the release.
        repo: name of the repository, `org/name`; the repository is created if it does not exist.
        revision: branch to write to; None for the main branch.
        private: whether a newly created repository is private.
        cls: classes that the user wrote, as for `from_pretrained`.

    Raises:
        ReleaseError: if the verification fails, or the hub refuses the upload.
    """
    from zoo.releases.huggingface import push as upload

    verify(folder, cls)
    return upload(with_home(folder), repo, revision=revision, private=private)
