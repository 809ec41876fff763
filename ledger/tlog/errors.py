# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with bytes from outside.

    TlogError
    ├── MalformedError     the bytes are not in the format: nothing can be said of their content
    ├── ProofError         well formed, but the mathematics does not hold
    └── SignatureError     well formed, but not signed as asked

Bad input raises one of these, for every possible input. An impossible state of our own is an assertion.
"""


class TlogError(Exception):
    """Base of everything this package raises on purpose."""


class MalformedError(TlogError):
    """The input is not in the format."""


class ProofError(TlogError):
    """An inclusion or consistency proof does not hold."""


class SignatureError(TlogError):
    """No trusted key signed the note, or a trusted key's signature is wrong."""
