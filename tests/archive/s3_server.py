"""A server that speaks S3, in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline import s3
from tests.conftest import ROOT

BUCKET = "archive-test"
SECRET = "not+to/be=printed"


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a running server with a bucket, which the environment names while this lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(server, port)
        with pytest.MonkeyPatch.context() as patch, environment(patch, f"http://127.0.0.1:{port}"):
            s3.client().create_bucket(Bucket=BUCKET)
            yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def environment(patch: pytest.MonkeyPatch, endpoint: str) -> Iterator[None]:
    """What users set to reach a store, and nothing that this machine has."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_ENDPOINT_URL", endpoint)
    patch.setenv("AWS_ACCESS_KEY_ID", "tester")
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3._client_of.cache_clear()
    yield
    s3.client().close()
    s3._client_of.cache_clear()


def wait_for(server: "subprocess.Popen[bytes]", port: int) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the S3 server did not start")
