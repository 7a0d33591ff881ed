"""Requests to the place in S3 where an archive is."""

from collections.abc import Iterator
from typing import Any

from archive.entries import StoreError
from pipeline.s3 import S3Address, client, failures, reason


class S3Connection:
    """Connects when it is first asked."""

    def __init__(self, root: S3Address) -> None:
        self.root = root

    def pages(self, prefix: str) -> Iterator[Any]:
        """The answers of a listing, 1000 objects each. Raises: StoreError."""
        try:
            pages = client().get_paginator("list_objects_v2").paginate(Bucket=self.root.bucket, Prefix=prefix)
            yield from pages
        except failures() as error:
            raise self.told(error, self.root) from error

    def ask(self, operation: str, address: S3Address, **arguments: Any) -> Any:
        """Raises: StoreError."""
        try:
            return getattr(client(), operation)(**address.as_arguments(), **arguments)
        except failures() as error:
            raise self.told(error, address) from error

    def told(self, error: Exception, address: S3Address) -> StoreError:
        return StoreError(f"{address}: {reason(error, address.bucket)}")

    def below(self, name: str) -> S3Address:
        return S3Address(self.root.bucket, "/".join(filter(None, (self.root.key, name))))
