"""S3 as a store: what stores do wrong is noticed, and said in plain words."""

import logging
import socket
import sys
from collections.abc import Callable

import pytest

from archive.claims import Claims
from archive.entries import StoreError
from archive.s3_store import S3Store
from pipeline import s3
from pipeline.errors import PerceptError
from tests.archive.s3_server import SECRET, Request, proxy, using


def names_in(store: S3Store) -> list[str]:
    return [entry.name for entry in store.list()]


def test_listing_goes_on_after_a_thousand_names(s3_address: str, bucket: str) -> None:
    """The server's own limit is lowered, as writing thousands of objects takes long."""

    def lower(request: Request) -> None:
        request.path += "&max-keys=3" if "list-type=2" in request.path else ""

    names = [f"v/{number}.parquet" for number in range(10)]
    store = S3Store(f"s3://{bucket}")
    for name in names:
        store.put(name, b"x")
    with proxy(s3_address, lower) as between, using(between.address):
        assert names_in(store) == names
        assert len(between.seen) == 4


def cut(request: Request) -> None:
    request.body = request.body[:-1]


def flip(request: Request) -> None:
    request.body = bytes([request.body[0] ^ 1]) + request.body[1:]


@pytest.mark.parametrize(("harm", "has"), [(cut, "4"), (flip, "others")])
def test_an_upload_that_comes_out_otherwise_is_deleted(
    s3_address: str, bucket: str, harm: Callable[[Request], None], has: str
) -> None:
    def change(request: Request) -> None:
        if request.method == "PUT":
            harm(request)
            request.headers.pop("Content-MD5")

    with proxy(s3_address, change) as between, using(between.address):
        store = S3Store(f"s3://{bucket}/labels")
        with pytest.raises(
            StoreError, match=rf"a\.parquet: the store took 5 bytes and has {has}; it was deleted there"
        ):
            store.put("a.parquet", b"12345")
        assert names_in(store) == []


def test_uploads_carry_what_the_store_can_check_and_nothing_inside_the_body(s3_address: str, bucket: str) -> None:
    with proxy(s3_address, lambda request: None) as between, using(between.address):
        S3Store(f"s3://{bucket}").put("a.parquet", b"12345")
    (put,) = (request for request in between.seen if request.method == "PUT")
    assert put.headers["Content-MD5"] == "gnzLDuqKcGxMNKFokfhOew=="
    assert put.body == b"12345"
    assert not [name for name in put.headers if "checksum" in name.lower() or "trailer" in name.lower()]


def test_a_claim_whose_answer_is_lost_is_ours(s3_address: str, bucket: str) -> None:
    lost = list[str]()

    def change(request: Request) -> None:
        if "If-None-Match" in request.headers and "probe" not in request.path and not lost:
            lost.append(request.path)
            request.is_cut = True

    with proxy(s3_address, change) as between, using(between.address):
        assert Claims(S3Store(f"s3://{bucket}/labels"), 60).take("v/a.mp4")
        assert lost
        assert not Claims(S3Store(f"s3://{bucket}/labels"), 60).take("v/a.mp4")


def test_a_store_without_conditions_is_told(s3_address: str, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    def change(request: Request) -> None:
        request.headers.pop("If-None-Match", None)

    with caplog.at_level(logging.WARNING, "percept"):
        assert S3Store(f"s3://{bucket}/labels").claim("a", "b")
        assert caplog.text == ""
        with proxy(s3_address, change) as between, using(between.address):
            assert S3Store(f"s3://{bucket}/labels").claim("c", "d")
    assert "several machines may do the same work" in caplog.text


def test_an_object_that_is_replaced_while_it_is_read_is_told(bucket: str) -> None:
    store = S3Store(f"s3://{bucket}/labels")
    store.put("a.parquet", bytes(3 << 20))
    with store.open("a.parquet") as file:
        assert file.read(10) == bytes(10)
        store.put("a.parquet", bytes([1]) * (3 << 20))
        file.seek(2 << 20)
        with pytest.raises(OSError, match="was replaced while it was read"):
            file.read(10)


def all_of(store: S3Store) -> list[Callable[[], object]]:
    return [
        lambda: names_in(store),
        lambda: store.open("a.parquet"),
        lambda: store.put("a.parquet", b"x"),
        lambda: store.delete("a.parquet"),
        lambda: store.claim("a", "b"),
        lambda: store.read_claim("a"),
        lambda: store.tidy(1),
    ]


def check(store: S3Store, text: str, but: int = -1) -> None:
    """Everything that a store does fails with this text, and without secrets."""
    for number, use in enumerate(all_of(store)):
        if number != but:
            with pytest.raises((PerceptError, OSError)) as failed:
                use()
            assert text in str(failed.value), number
            assert SECRET not in str(failed.value)


def test_a_missing_bucket_is_told(bucket: str) -> None:
    check(S3Store("s3://nowhere/labels"), "there is no bucket nowhere. Create it, or correct the name.", but=1)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("AccessDenied", "permission denied. The credentials need s3:ListBucket"),
        ("SignatureDoesNotMatch", "the credentials are refused (SignatureDoesNotMatch)"),
    ],
)
def test_refusals_are_told(s3_address: str, bucket: str, code: str, text: str) -> None:
    def refuse(request: Request) -> None:
        body = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()
        request.answer = 403, {"Content-Length": str(len(body) * (request.method != "HEAD"))}, body

    with proxy(s3_address, refuse) as between, using(between.address):
        check(S3Store(f"s3://{bucket}/labels"), text, but=1)
        with pytest.raises(OSError, match="permission denied"):
            S3Store(f"s3://{bucket}/labels").open("a.parquet")


def test_missing_credentials_are_told(s3_address: str) -> None:
    with using(s3_address, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""):
        check(S3Store("s3://bucket/labels"), "no credentials; set AWS_ACCESS_KEY_ID")


def test_a_store_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "TRIES", 1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with using(f"http://user:{SECRET.replace('/', '')}@127.0.0.1:{port}"):
        store = S3Store("s3://bucket/labels")
        check(store, "the store cannot be reached")
        with pytest.raises(StoreError) as failed:
            store.put("a.parquet", b"")
        assert SECRET.replace("/", "") not in str(failed.value)


def test_an_endpoint_that_is_none_is_told() -> None:
    with using("nonsense"), pytest.raises(PerceptError, match=r"nonsense.*Check AWS_ENDPOINT_URL"):
        S3Store("s3://bucket/labels").put("a.parquet", b"")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_client_of", s3._client_of.__wrapped__)
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    with pytest.raises(PerceptError, match=r"pip install 'percept-av\[s3\]'"):
        S3Store("s3://bucket/labels").put("a.parquet", b"")
