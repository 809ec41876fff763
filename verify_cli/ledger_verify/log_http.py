# SPDX-License-Identifier: Apache-2.0
"""Files of a log over HTTP. The only part of the verifier that speaks to the network, loaded when a URL is given.

The server is not trusted. An answer has a bound on its size, packed and unpacked, and on its time; only the one server that
was named is asked, whatever it redirects to; nothing is sent but the names of files. No proxy and no setting is taken from
the environment.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from email.message import Message
from typing import IO

from ledger_verify import __version__
from ledger_verify.errors import CannotTellError, MalformedError, shown

SILENCE_SECONDS = 30.0  # without a byte
ANSWER_SECONDS = 300.0  # for a whole answer
_CHUNK = 1 << 16


class HttpLog:
    """A log below a URL prefix."""

    def __init__(self, url: str) -> None:
        parts = _parse(url)
        self._prefix = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _SameServer(),
        ):
            self._opener.add_handler(handler)
        self._headers = {"Accept-Encoding": "gzip, identity", "User-Agent": f"ledger-verify/{__version__}"}

    def read(self, path: str, limit: int) -> bytes | None:
        """The bytes of a file, or None if the server says that there is none."""
        try:
            request = urllib.request.Request(self._prefix + path, headers=self._headers)
            with self._opener.open(request, timeout=SILENCE_SECONDS) as answer:
                return _body(answer, limit, path)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (404, 410):
                    return None
                hint = ". The log wants a read token in the path: …/t/<token>/" if error.code in (401, 403) else ""
                raise CannotTellError(f"the server answered {error.code} for {path}{hint}") from None
        except urllib.error.URLError as error:
            reason = error.reason.strerror if isinstance(error.reason, OSError) else None
            raise CannotTellError(f"cannot reach the server: {shown(reason or str(error.reason), 200)}") from None
        except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
            raise CannotTellError(
                f"no whole answer for {path}: {type(error).__name__} {shown(str(error), 200)}"
            ) from None


def _parse(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        raise CannotTellError("this is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotTellError("a log's URL begins with http:// or https:// and a host")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise CannotTellError("a log's URL has no query, fragment or user")
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise CannotTellError("a log's URL is printable ASCII without spaces")
    return parts


class _SameServer(urllib.request.HTTPRedirectHandler):
    """Follow a redirection within the server; refuse one to another, or to another scheme."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            fp.close()
            raise CannotTellError(
                f"the server redirects to {shown(f'{new.scheme}://{new.netloc}')}: give that URL itself"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _body(answer: http.client.HTTPResponse, limit: int, path: str) -> bytes:
    """The body, unpacked; neither the server nor its compression decides how much memory that takes."""
    encoding = (answer.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding not in ("gzip", "identity"):
        raise CannotTellError(f"the server packs {path} as {shown(encoding)}, which nobody asked for")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
    deadline = time.monotonic() + ANSWER_SECONDS
    body, received = bytearray(), 0
    while part := answer.read1(_CHUNK):
        received += len(part)
        body += part if unpack is None else unpack.decompress(part, limit + 1 - len(body))
        if len(body) > limit or received > limit + _CHUNK:  # packing adds a little to what cannot be packed
            raise MalformedError(f"{path} is too long", want=f"at most {limit} bytes")
        if time.monotonic() > deadline:
            raise CannotTellError(f"{path} did not arrive within {ANSWER_SECONDS:.0f} seconds")
    if answer.length or (unpack is not None and not unpack.eof):
        raise CannotTellError(f"the answer for {path} was cut short")
    return bytes(body)
