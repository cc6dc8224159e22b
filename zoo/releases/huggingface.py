"""The Hugging Face hub, through its own client: its cache, its tokens, its resumed transfers."""

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
    """`huggingface_hub`.

    Raises:
        ReleaseError: naming what to install.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ReleaseError(
            "repositories of the hub need the package huggingface_hub: pip install 'gan-zoo[hub]'. Folders, "
            "addresses with a digest and our own releases need nothing"
        ) from error
    return huggingface_hub


def download(repo: str, revision: str | None) -> Path:
    """The folder, in the client's cache, with configuration and weights of a repository.

    Works without a network for what the cache holds. The weights' digest is held against the configuration's; a file
    that differs is removed from the cache.

    Args:
        repo: `org/name`.
        revision: a branch, a tag or a commit; None for the main branch.

    Raises:
        ReleaseError: when there is no such repository or revision, it is no release, or it cannot be reached.
    """
    config = _file(repo, release_format.CONFIG, revision or None)
    expected = release_format.digest_of(release_format.read_config(config), release_format.WEIGHTS)
    if expected is None:
        raise ReleaseError(f"{repo} is refused: its {release_format.CONFIG} has no digest of {release_format.WEIGHTS}")
    # The commit of the first file, so that a push in between cannot mix two releases
    weights = _file(repo, release_format.WEIGHTS, config.parent.name)
    found = sha256_of(weights)
    if found != expected:
        for path in {weights.resolve(), weights}:
            path.unlink(missing_ok=True)
        raise ReleaseError(
            f"{release_format.WEIGHTS} of {repo} is damaged or not the one its {release_format.CONFIG} speaks of: "
            f"its sha256 is {found}, not {expected}. It was removed from the cache"
        )
    return config.parent


def _file(repo: str, name: str, revision: str | None) -> Path:
    hub = client()
    from huggingface_hub import errors

    at = f" at revision {revision}" if revision else ""
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
        raise ReleaseError(f"{name} of {repo}{at} is not in the cache, and the hub cannot be reached") from error
    except errors.EntryNotFoundError as error:
        raise ReleaseError(
            f"the repository {repo} has no {name}{at}, so it is no release of the zoo. Weights of other formats are "
            "brought in by zoo.hub.convert, never loaded as they are"
        ) from error
    except Exception as error:  # the hub's own, and those of whichever library it speaks HTTP by
        raise ReleaseError(
            f"cannot fetch {name} of {repo}{at}: {first_line(error)}. What has arrived is kept: ask again"
        ) from error


def push(folder: Path, repo: str, *, revision: str | None = None, private: bool = False) -> str:
    """Upload a verified release; returns the repository's address.

    Its card there says how to load it from there. Files of a release that was there before, such as its audit, go.

    Raises:
        ReleaseError: when the hub refuses it, or cannot be reached.
    """
    hub = client()
    from huggingface_hub import errors

    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="gan-zoo")
    try:
        made = api.create_repo(repo, private=private, exist_ok=True)
        if revision:
            api.create_branch(made.repo_id, branch=revision, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            config = _for_repository(folder, Path(scratch), made.repo_id)
            api.upload_folder(
                repo_id=made.repo_id,
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
    except Exception as error:  # of whichever library the client speaks HTTP by
        raise ReleaseError(f"cannot push to {repo}: {first_line(error)}. Is the hub to be reached?") from error
    return str(made)


def _for_repository(folder: Path, scratch: Path, repo: str) -> dict[str, Any]:
    """Copy a release's own files, with a card that loads it from a repository; returns its configuration."""
    config = release_format.read_config(folder / release_format.CONFIG)
    for name in config["files"]:
        shutil.copyfile(folder / name, scratch / name)
    config["about"] = {**(config.get("about") or {}), "where": repo}
    release_format.write_text(scratch / release_format.CARD, card_of(scratch, config))
    release_format.write_text(scratch / release_format.CONFIG, json.dumps(config, indent=2) + "\n")
    return config
