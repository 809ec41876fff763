# SPDX-License-Identifier: Apache-2.0
"""What is wrong with bytes that are no request, in words that its sender can act on.

The parser says so in a fixed text for each of its states. What is answered is only ever one of the texts below, and so
nothing of what was sent; a text that is not known here is answered in general.
"""

from httptools import HttpParserError, HttpParserInvalidURLError

from ledger.log.errors import MalformedRequestError

_LINE_END = "a line of the head does not end with CR LF"
_BOTH_LENGTHS = "Content-Length and Transfer-Encoding exclude each other"
_CHUNK_END = "a chunk is longer or shorter than its size says, or its lines do not end with CR LF"

# By what the parser's text begins with.
_WORDS = {
    "Pause on PRI": "it is HTTP/2",
    "Invalid method": "it begins with no method that HTTP has, in capitals (is it https, which is not spoken here?)",
    "Invalid HTTP version": "the request line does not end in HTTP/1.1",
    "Expected HTTP/": "the request line does not end in HTTP/1.1",
    "Expected CRLF": _LINE_END,
    "Missing expected LF after header value": _LINE_END,
    "Missing expected CR after header value": _LINE_END,
    "Invalid header token": "the name of a header field has a byte that none may have, or no colon behind it",
    "Invalid header value": "the value of a header field has a control character",
    "Unexpected whitespace after header value": "a header field goes on in a second line, which is obsolete",
    "Unexpected space after start line": "there is a blank before the first header field",
    "Invalid character in Content-Length": "Content-Length is no number",
    "Empty Content-Length": "Content-Length is no number",
    "Content-Length overflow": "Content-Length is too large a number",
    "Duplicate Content-Length": "there is more than one Content-Length",
    "Content-Length can't": _BOTH_LENGTHS,
    "Transfer-Encoding can't": _BOTH_LENGTHS,
    "Invalid `Transfer-Encoding`": "chunked is the only Transfer-Encoding, and is named once",
    "Invalid character in chunk size": "the size of a chunk is not hexadecimal",
    "Chunk size overflow": "the size of a chunk is too large a number",
    "Invalid character in chunk extensions": "what follows the size of a chunk is no extension",
    "Expected LF after chunk": _CHUNK_END,
    "Missing expected CR after chunk": _CHUNK_END,
}


def not_http(error: HttpParserError) -> MalformedRequestError:
    """The refusal of what the parser could not read."""
    if isinstance(error, HttpParserInvalidURLError):
        return _not_http("its request line has no URL, or one with a byte that none may have")
    text = str(error)
    return _not_http(next((words for beginning, words in _WORDS.items() if text.startswith(beginning)), ""))


def wrong_hosts(count: int) -> MalformedRequestError:
    """The refusal of a request with so many Host headers (RFC 9112 §3.2)."""
    return _not_http(f"it has {count} Host headers, want exactly one")


def _not_http(words: str) -> MalformedRequestError:
    return MalformedRequestError(f"this is not HTTP/1.1: {words}" if words else "this is not HTTP/1.1")
