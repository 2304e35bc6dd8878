"""The connection to a bucket: its settings and credentials, and what its failures are called.

Credentials are those of the usual places: the environment, the profile of ``~/.aws``, the role of a
container or machine. None of them is ever part of a message.
"""

import configparser
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import from_url

from mfscale.results.errors import StorageError, StoreError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_RETRIES: "RetryConfig" = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {"max_backoff": timedelta(seconds=3)},
}
_CONNECT_S, _TIMEOUT_S = 5, 120
"""To reach a server; to send or receive one object, models of a hundred MB included."""
_RIGHTS = "check that these credentials may list, get, put and delete objects there"
_CREDENTIALS = "check AWS_ACCESS_KEY_ID and the like, or AWS_PROFILE (docs/stores.md)"
_GOOGLE = "set GOOGLE_APPLICATION_CREDENTIALS to the file of a key"
_NETWORK = "check the network and AWS_ENDPOINT_URL, and try again"
_CAUSES = (
    ("NoSuchBucket", "there is no such bucket", "make it first, or correct the name"),
    ("InvalidAccessKeyId", "the access key is not known there", _CREDENTIALS),
    ("SignatureDoesNotMatch", "the secret key is not that of the access key", _CREDENTIALS),
    ("ExpiredToken", "the credentials have expired", "renew them"),
    ("redirect", "the bucket is in another region", "set AWS_REGION to that of the bucket"),
    ("AuthorizationHeaderMalformed", "the region is another", "set AWS_REGION to the bucket's"),
    ("NotImplemented", "it lacks a condition on writing", "take other storage (docs/stores.md)"),
    ("computeMetadata", "there are no credentials", _GOOGLE),
    ("169.254.169.254", "there are no credentials", _CREDENTIALS),
)
"""What is found in a failure's text → what it is called, and the remedy; the first that fits."""


def connected(url: str) -> "ObjectStore":
    """Prepare to speak to a bucket; nothing is sent yet.

    Raises
    ------
    StoreError
        If the URL, the profile or a setting cannot be used.
    """
    parts = urlsplit(url)
    if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise StoreError(
            f"{parts.scheme}://… is not the URL of a store; give {parts.scheme}://BUCKET/PREFIX, "
            "and credentials by the environment"
        )
    config = _of_profile() if parts.scheme == "s3" else {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    options: ClientConfig = {
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        "timeout": timedelta(seconds=_TIMEOUT_S),
        "allow_http": endpoint.startswith("http://"),  # who writes so means so
    }
    try:
        return from_url(url, config=config, client_options=options, retry_config=_RETRIES)  # type: ignore[call-overload, no-any-return]
    except (BaseError, ValueError) as error:
        raise StoreError(
            f"{url} cannot be used as a store ({_first_line(error)}); check the settings of the "
            "environment (docs/stores.md)"
        ) from None


@contextmanager
def worded() -> Iterator[None]:
    """Raise failures as StorageError, or FileNotFoundError if only the object is not there.

    Of conditional writes AlreadyExistsError and PreconditionError pass.
    """
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise _storage_error(error) from None
        raise
    except (BaseError, ValueError) as error:
        raise _storage_error(error) from None


def _storage_error(error: Exception) -> StorageError:
    text = str(error)
    for mark, reason, remedy in _CAUSES:
        if mark in text:
            return StorageError(reason, remedy)
    if found := re.search(r"<Code>(\w+)</Code>", text):
        return StorageError(f"refused: {found[1]}", _RIGHTS)
    if found := re.search(r"status code: (4\d\d \w+)", text):
        return StorageError(f"refused: {found[1]}", _RIGHTS)
    if "HTTP error" in text:
        return StorageError("no answer", _NETWORK)
    return StorageError(type(error).__name__, _NETWORK)


def _of_profile() -> dict[str, Any]:
    """Keys and region of a profile in ``~/.aws``, where the environment has none.

    A profile whose keys another program or server gives is refused with what makes them plain.
    """
    config: dict[str, Any] = {}
    name = os.environ.get("AWS_PROFILE")
    profile = _profile(name or "default")
    if name is not None and not profile:
        raise StoreError(f"AWS_PROFILE: there is no profile {name!r} in ~/.aws")
    if not any(os.environ.get(v) for v in ("AWS_REGION", "AWS_DEFAULT_REGION")):
        config |= {"region": profile["region"]} if "region" in profile else {}
    if os.environ.get("AWS_ACCESS_KEY_ID") and name is None:
        return config
    keys = {
        ours: profile[theirs]
        for ours, theirs in (
            ("access_key_id", "aws_access_key_id"),
            ("secret_access_key", "aws_secret_access_key"),
            ("token", "aws_session_token"),
        )
        if theirs in profile
    }
    if name is not None and not keys:
        raise StoreError(
            f"AWS_PROFILE: profile {name!r} holds no keys of its own; put them into the "
            'environment: eval "$(aws configure export-credentials --format env)", and unset '
            "AWS_PROFILE"
        )
    return config | keys


def _profile(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        path = Path(os.environ.get(variable) or Path.home() / ".aws" / file)
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            raise StoreError(
                f"{path} cannot be read; correct it, or name another: {variable}"
            ) from None
        if parser.has_section(section):
            found |= dict(parser.items(section))
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
