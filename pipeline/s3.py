"""S3, and stores that speak its protocol: addresses, the client, and what is wrong in plain words.

botocore finds credentials, region and endpoint where all AWS tools do: AWS_ACCESS_KEY_ID, AWS_PROFILE,
AWS_ENDPOINT_URL, ~/.aws/config, or the role of the machine.
"""

import functools
import os
import re
from typing import Any, NamedTuple, Self

from pipeline.errors import ConfigError
from pipeline.logs import redact, visible

S3 = "s3://"
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
TRIES = 4
LINK_S = 24 * 3600
"""How long a link to an object is valid: longer than any source takes to be labelled."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "403"}
_ABSENT = {"NoSuchKey", "404", "NotFound"}
_CHANGED = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}


class S3Address(NamedTuple):
    """`s3://bucket/key`. A key is text as it is: nothing in it is an escape, and `?` and `#` have no meaning."""

    bucket: str
    key: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Raises: ConfigError: it is no such address."""
        bucket, _, key = url.removeprefix(S3).partition("/")
        if not url.startswith(S3) or not _BUCKET.fullmatch(bucket):
            raise ConfigError(f"{visible(redact(url))}: is no address in S3; expected s3://bucket/prefix")
        return cls(bucket, key)

    def as_arguments(self) -> dict[str, str]:
        """Of requests."""
        return {"Bucket": self.bucket, "Key": self.key}

    def __str__(self) -> str:
        return f"{S3}{self.bucket}/{self.key}"


def client() -> Any:
    """The client of this process. A forked one gets its own, as connections cannot be shared. Raises: ConfigError."""
    return _client_of(os.getpid())


@functools.cache
def _client_of(process: int) -> Any:
    """A client, which threads may share. It connects when it is first asked.

    Checksums that newer clients add to bodies are off: older stores write them into the object. Content-MD5 does their
    work.

    Raises: ConfigError: botocore is not installed, or is told an unusable endpoint, region or profile.
    """
    try:
        import botocore.config
        import botocore.exceptions
        import botocore.session
    except ImportError as error:
        raise ConfigError("s3://: botocore is not installed. Run: pip install 'percept-av[s3]'") from error
    config = botocore.config.Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": TRIES, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
    )
    try:
        return botocore.session.Session().create_client("s3", config=config)
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise ConfigError(f"s3://: {visible(redact(str(error)))}. Check AWS_ENDPOINT_URL and AWS_PROFILE.") from error


def link_to(url: str) -> str:
    """An https address from which anyone can read an object for a day, so a secret. It is not asked for the object.

    Raises: ConfigError; OSError: there are no credentials.
    """
    address = S3Address.of(url)
    try:
        link: str = client().generate_presigned_url("get_object", Params=address.as_arguments(), ExpiresIn=LINK_S)
    except failures() as error:
        raise OSError(reason(error, address.bucket)) from error
    return link


def failures() -> tuple[type[Exception], ...]:
    """What requests raise."""
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError


def reason(error: Exception, bucket: str) -> str:
    """What went wrong with a request, and what to do. No part of it is secret."""
    from botocore import exceptions as of

    text = visible(redact(str(error)))
    if isinstance(error, of.NoCredentialsError | of.PartialCredentialsError | of.CredentialRetrievalError):
        return "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    if isinstance(error, of.HTTPClientError | of.ConnectionError):
        return f"the store cannot be reached ({text}). Check AWS_ENDPOINT_URL and the network."
    code = code_of(error)
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket}. Create it, or correct the name."
    if code in _REFUSED:
        return f"the credentials are refused ({code}). Check them, and the clock of this machine."
    if code in _DENIED:
        return (
            f"permission denied. The credentials need s3:ListBucket, GetObject, PutObject and DeleteObject on {bucket}."
        )
    return text


def code_of(error: Exception) -> str:
    """The store's own name for an error, such as `NoSuchKey`; "" if the store did not answer."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def is_absent(error: Exception) -> bool:
    return code_of(error) in _ABSENT


def is_changed(error: Exception) -> bool:
    """Whether a condition of the request was not met."""
    return code_of(error) in _CHANGED
