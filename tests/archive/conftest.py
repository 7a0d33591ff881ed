"""A server for S3, started when the first test asks for it."""

from collections.abc import Iterator

import pytest

from pipeline import s3
from tests.archive.s3_server import s3_server, using


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    pytest.importorskip("moto", reason="the S3 server of the tests is not installed: pip install -e '.[dev]'")
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(s3_address: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an empty bucket, which the environment leads to."""
    name = f"test-{abs(hash(request.node.nodeid)):x}"
    with using(s3_address):
        s3.client().create_bucket(Bucket=name)
        yield name
