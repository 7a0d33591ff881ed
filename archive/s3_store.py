"""An archive in S3, or in a store that speaks its protocol."""

import contextlib
import io
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5
from typing import BinaryIO, cast

from archive.entries import Entry, StoreError, is_shard, parts_of
from archive.s3_claims import S3Claims
from archive.s3_object import ns_of, opened
from pipeline.s3 import S3Address
from pipeline.sinks.file import printable


class S3Store(S3Claims):
    """Objects appear whole. Each upload is checked by the store (Content-MD5), and by its size and ETag afterwards."""

    def __init__(self, where: str) -> None:
        """Raises: ConfigError: the address is none."""
        super().__init__(S3Address.of(where.rstrip("/")))
        self.where = where

    def list(self) -> Iterator[Entry]:
        start = self.root.key + "/" if self.root.key else ""
        for page in self.pages(start):
            for item in page.get("Contents", ()):
                name = item["Key"].removeprefix(start)
                if is_shard(name):
                    yield Entry(name, item["Size"], ns_of(item["LastModified"]))

    def open(self, name: str) -> BinaryIO:
        return cast(BinaryIO, opened(self._address(name)))

    def put(self, name: str, data: bytes) -> None:
        address = self._address(name)
        digest = md5(data, usedforsecurity=False)
        self.ask("put_object", address, Body=data, ContentMD5=b64encode(digest.digest()).decode())
        if fault := self._fault(address, data, digest.hexdigest()):
            self.ask("delete_object", address)
            raise StoreError(f"{address}: the store took {len(data)} bytes and has {fault}; it was deleted there")

    @contextlib.contextmanager
    def sink(self, name: str) -> Iterator[BinaryIO]:
        file = io.BytesIO()  # one request has all of it, so that it can be checked
        yield file
        self.put(name, file.getvalue())

    def _fault(self, address: S3Address, data: bytes, digest: str) -> str:
        """What is wrong with an object that was written; "" if nothing is."""
        head = self.ask("head_object", address)
        if head["ContentLength"] != len(data):
            return f"{head['ContentLength']}"
        is_ours = head["ETag"].strip('"') == digest or "SSEKMSKeyId" in head or "SSECustomerAlgorithm" in head
        return "" if is_ours or self.ask("get_object", address)["Body"].read() == data else "others"

    def delete(self, name: str) -> None:
        self.ask("delete_object", self._address(name))

    def _address(self, name: str) -> S3Address:
        parts = parts_of(name)
        if printable(name) != name:
            raise StoreError(f"{printable(name)}: a name in S3 must be UTF-8")
        return self.below("/".join(parts))
