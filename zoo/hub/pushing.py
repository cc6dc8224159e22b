"""Upload a verified release to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from zoo.hub.loading import UserClasses
from zoo.hub.verifying import verify


def push(
    folder: str | Path, repo: str, revision: str | None = None, private: bool = False, cls: UserClasses | None = None
) -> str:
    """Verify a release and upload it to the Hugging Face hub; returns the repository's address.

    Args:
        folder: of the release.
        repo: `org/name`; made if it does not exist.
        revision: branch to write to; None for the main one.
        private: whether a repository that is made is private.
        cls: as for `from_pretrained`.

    Raises:
        ReleaseError: when it does not hold what it claims, or the hub refuses it.
    """
    from zoo.releases.huggingface import push as upload

    verify(folder, cls)
    return upload(Path(folder), repo, revision=revision, private=private)
