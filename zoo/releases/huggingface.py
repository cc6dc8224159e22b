"""Download and upload releases with the client of the Hugging Face hub, which handles cache, tokens and resuming."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from zoo.errors import ReleaseError, first_line
from zoo.io.files import sha256_of
from zoo.releases import release_format
from zoo.releases.audited import card_of


def client() -> ModuleType:
    """Import `huggingface_hub`.

    Raises:
        ReleaseError: if it is not installed; the text says how to install it.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ReleaseError(
            "repositories of the hub need the package huggingface_hub: pip install 'gan-zoo[hub]'. Folders, "
            "addresses with a digest and our own releases need nothing"
        ) from error
    return huggingface_hub


def download_release(repo: str, revision: str | None) -> Path:
    """Return the folder, in the client's cache, with the configuration and the weights of a repository.

    Files that are in the cache need no network. The digest of the weights is compared with the configuration; a file
    that differs is removed from the cache.

    Args:
        repo: name of the repository, `org/name`.
        revision: a branch, a tag or a commit; None for the main branch.

    Raises:
        ReleaseError: if there is no such repository or revision, it is no release, or it cannot be reached.
    """
    config = _download_file(repo, release_format.CONFIG, revision or None)
    expected = release_format.recorded_sha256(release_format.read_config(config), release_format.WEIGHTS)
    if expected is None:
        raise ReleaseError(f"{repo} is refused: its {release_format.CONFIG} has no digest of {release_format.WEIGHTS}")
    # By the commit of the first file, so that a push in between cannot mix two releases
    weights = _download_file(repo, release_format.WEIGHTS, config.parent.name)
    digest = sha256_of(weights)
    if digest != expected:
        for path in {weights.resolve(), weights}:
            path.unlink(missing_ok=True)
        raise ReleaseError(
            f"{release_format.WEIGHTS} of {repo} is damaged or not the one its {release_format.CONFIG} describes: "
            f"its sha256 is {digest}, not {expected}. It was removed from the cache"
        )
    return config.parent


def _download_file(repo: str, name: str, revision: str | None) -> Path:
    """Download one file of a repository into the client's cache; faults become a `ReleaseError` with a remedy."""
    hub = client()
    from huggingface_hub import errors

    at_revision = f" at revision {revision}" if revision else ""
    try:
        return Path(
            hub.hf_hub_download(
                repo,
                name,
                revision=revision,
                endpoint=os.environ.get("HF_ENDPOINT"),
                cache_dir=os.environ.get("HF_HUB_CACHE"),
                library_name="gan-zoo",
            )
        )
    except errors.GatedRepoError as error:
        raise ReleaseError(
            f"the repository {repo} asks its users to agree first: open its page, then hf auth login"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ReleaseError(
            f"the hub has no repository {repo}, or it is private and this machine has no token for it (hf auth "
            f"login). If a folder is meant, write ./{repo}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ReleaseError(
            f"the repository {repo} has no revision {revision!r}: give a branch, a tag or a commit"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ReleaseError(
            f"{name} of {repo}{at_revision} is not in the cache, and the hub cannot be reached"
        ) from error
    except errors.EntryNotFoundError as error:
        raise ReleaseError(
            f"the repository {repo} has no {name}{at_revision}, so it is no release of the zoo. Weights of other "
            "formats are converted by zoo.hub.convert, never loaded as they are"
        ) from error
    except Exception as error:  # errors of the client, and of the HTTP library that it uses
        raise ReleaseError(
            f"cannot fetch {name} of {repo}{at_revision}: {first_line(error)}. What has arrived is kept: try again"
        ) from error


def push(folder: Path, repo: str, *, revision: str | None = None, private: bool = False) -> str:
    """Upload a verified release and return the address of the repository.

    The uploaded card says how to load the release from the repository. Files of an earlier release that this one does
    not have, such as its audit, are deleted there.

    Args:
        folder: folder of the release.
        repo: name of the repository, `org/name`; the repository is created if it does not exist.
        revision: branch to write to; None for the main branch.
        private: whether a newly created repository is private.

    Raises:
        ReleaseError: if the hub refuses the upload, or cannot be reached.
    """
    hub = client()
    from huggingface_hub import errors

    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="gan-zoo")
    try:
        created = api.create_repo(repo, private=private, exist_ok=True)
        if revision:
            api.create_branch(created.repo_id, branch=revision, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            config = _copy_for_repository(folder, Path(scratch), created.repo_id)
            api.upload_folder(
                repo_id=created.repo_id,
                folder_path=scratch,
                revision=revision,
                delete_patterns=[name for name in release_format.OPTIONAL if name not in config["files"]],
                commit_message=f"{config['class']} after {config['images_seen']:,} images",
            )
    except ReleaseError:
        raise
    except errors.HFValidationError as error:
        raise ReleaseError(f"repo must be ORG/NAME or NAME; got {repo!r}") from error
    except errors.HfHubHTTPError as error:
        raise ReleaseError(
            f"the hub refuses {repo}: {first_line(error)}. A token with the right to write is needed: hf auth login"
        ) from error
    except Exception as error:  # errors of the HTTP library that the client uses
        raise ReleaseError(f"cannot push to {repo}: {first_line(error)}. Can the hub be reached?") from error
    return str(created)


def _copy_for_repository(folder: Path, scratch: Path, repo: str) -> dict[str, Any]:
    """Copy the files of a release, with a card that loads it from a repository, and return the configuration."""
    config = release_format.read_config(folder / release_format.CONFIG)
    for name in config["files"]:
        shutil.copyfile(folder / name, scratch / name)
    config["about"] = {**(config.get("about") or {}), "where": repo}
    release_format.write_text(scratch / release_format.CARD, card_of(scratch, config))
    release_format.write_text(scratch / release_format.CONFIG, json.dumps(config, indent=2) + "\n")
    return config
