"""Objects of S3, or of any store that speaks its protocol, as files and streams; boto3 is loaded on first use."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from clary.toolkit.errors import PlatformError, UserError


class S3:
    """A client. Credentials and region come from where boto3 finds them; ``endpoint_url`` names another store."""

    def __init__(self, *, endpoint_url: str | None = None, client: Any = None) -> None:
        if client is None:
            import boto3

            client = boto3.client("s3", endpoint_url=endpoint_url)
        self._client = client

    def download(self, address: str, folder: Path) -> None:
        """Fetch every object under the address into the folder, below the path that their keys share with it."""
        bucket, prefix = split(address)
        folder.mkdir(parents=True, exist_ok=True)
        for key in self._keys(address):
            target = folder / (key.removeprefix(prefix).lstrip("/") or PurePosixPath(key).name)
            if folder.resolve() not in target.resolve().parents:
                raise UserError(f"{address} holds the key {key!r}, which would land outside the download folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with told(address):
                self._client.download_file(bucket, key, str(target))

    @contextmanager
    def open_first(self, address: str) -> Iterator[tuple[BinaryIO, str]]:
        """The first object under the address as a stream, and its key."""
        key = self._keys(address)[0]
        with told(address):
            body = self._client.get_object(Bucket=split(address)[0], Key=key)["Body"]
        try:
            yield cast(BinaryIO, io.BufferedReader(_Raw(body))), key
        finally:
            body.close()

    def upload_file(self, path: Path, address: str) -> None:
        """Store the file under the address."""
        bucket, key = split(address)
        with told(address):
            self._client.upload_file(str(path), bucket, key)

    def upload(self, content: bytes, address: str) -> None:
        """Store the bytes under the address."""
        bucket, key = split(address)
        with told(address):
            self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def _keys(self, address: str) -> list[str]:
        """The keys under the address in order, folder markers and hidden names left out."""
        bucket, prefix = split(address)
        with told(address):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        keys = sorted(key for key in keys if not key.endswith("/") and not PurePosixPath(key).name.startswith("."))
        if not keys:
            raise UserError(f"there are no objects under {address}")
        return keys


class _Raw(io.RawIOBase):
    """A response body as a raw stream, which a buffered reader asks in blocks."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._body.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)


def split(address: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``; UserError if it is no such address."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not address.startswith("s3://") or not bucket:
        raise UserError(f"an address like s3://bucket/key is needed; got {address!r}")
    return bucket, key


@contextmanager
def told(subject: str) -> Iterator[None]:
    """Turn what botocore raises within into an error for people: the service's own words, and about what."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"].get("Code"), error.response["Error"].get("Message")
        raise UserError(f"{subject}: {message or 'refused'} ({code})") from error
    except (NoCredentialsError, NoRegionError) as error:
        raise UserError(f"{subject}: {error}; set up AWS credentials and a region, as for boto3") from error
    except (Boto3Error, BotoCoreError) as error:
        raise PlatformError(f"{subject}: {error}") from error
