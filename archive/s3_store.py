"""An archive in S3, or in a store that speaks its protocol."""

from typing import Any

S3Store: Any = None
