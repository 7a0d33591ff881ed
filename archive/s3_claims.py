"""Claims as objects in S3: made by `If-None-Match`, changed by `If-Match`."""

import logging
import secrets
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from archive.entries import CLAIMS, Claim
from archive.s3_connection import S3Connection
from pipeline.logs import log
from pipeline.s3 import S3Address, client, failures, is_absent, is_changed


class S3Claims(S3Connection):
    """A claim's age is that of its object, both times being told by the store."""

    def __init__(self, root: S3Address) -> None:
        super().__init__(root)
        self._is_checked = False

    def claim(self, key: str, text: str) -> bool:
        if not self._is_checked:
            self._check_conditions()
        return self._put_if(key, text, IfNoneMatch="*")

    def read_claim(self, key: str) -> Claim | None:
        found = self._read(key)
        return found[0] if found is not None else None

    def touch(self, key: str, text: str) -> bool:
        return self.swap(key, text, text)

    def swap(self, key: str, old: str, new: str) -> bool:
        found = self._read(key)
        return found is not None and found[0].text == old and self._put_if(key, new, IfMatch=found[1])

    def drop(self, key: str, text: str) -> None:
        found = self._read(key)
        if found is not None and found[0].text == text:
            self.ask("delete_object", self._at(key))

    def tidy(self, age_s: float) -> int:
        removed = 0
        for page in self.pages(self._at("").key):
            for item in page.get("Contents", ()):
                if age_of(item, page) > age_s:
                    self.ask("delete_object", S3Address(self.root.bucket, item["Key"]))
                    removed += 1
        return removed

    def _read(self, key: str) -> tuple[Claim, str] | None:
        """A claim and its ETag."""
        try:
            answer = client().get_object(**self._at(key).as_arguments())
            text = answer["Body"].read().decode("utf-8", "replace")
        except failures() as error:
            if is_absent(error):
                return None
            raise self.told(error, self._at(key)) from error
        return Claim(text, max(0.0, age_of(answer, answer))), answer["ETag"]

    def _put_if(self, key: str, text: str, **condition: str) -> bool:
        """Write a claim if the condition holds.

        A request that is sent again, since no answer came, finds what it wrote itself; so the text decides.
        """
        try:
            client().put_object(**self._at(key).as_arguments(), Body=text.encode(), **condition)
        except failures() as error:
            if not is_changed(error) and not is_absent(error):
                raise self.told(error, self._at(key)) from error
            found = self._read(key)
            return found is not None and found[0].text == text
        return True

    def _check_conditions(self) -> None:
        """Warn if the store, as older ones do, writes whatever the condition says."""
        key = f".probe.{secrets.token_hex(4)}"
        self.ask("put_object", self._at(key), Body=b"one")
        is_kept = not self._put_if(key, "two", IfNoneMatch="*") and not self._put_if(key, "two", IfMatch='"0"')
        self.ask("delete_object", self._at(key))
        self._is_checked = True
        if not is_kept:
            text = "the store knows no conditional writes, so several machines may do the same work. Use one at a time."
            log(logging.WARNING, f"{self.root}: {text}")

    def _at(self, key: str) -> S3Address:
        return self.below(f"{CLAIMS}/{key}")


def age_of(item: Any, answer: Any) -> float:
    """Seconds since an object was written, when the store answered."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(UTC)
    return float((now - item["LastModified"]).total_seconds())
