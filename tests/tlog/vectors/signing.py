# SPDX-License-Identifier: Apache-2.0
"""Keys of fixed seeds, and notes signed by hand.

Published values, and where they were published:

    Tessera's test log      transparency-dev/tessera testdata/: leaves, roots, checkpoint, key (Apache-2.0)
    example.com/foo         the example of c2sp.org/signed-note (CC BY 4.0)
    go.sum database tree    the example of c2sp.org/tlog-checkpoint, under the names that its signature was made for
    PeterNeumann            the key of golang.org/x/mod/sumdb/note's tests (BSD-3-Clause)
"""

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.tlog.vectors.textbook import b64

TESSERA_LEAVES = b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split()
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESSERA_CHECKPOINT = """\
example.com/log/testdata
5
gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=

— example.com/log/testdata M9e0lmn5eDHyHP10zJObZdFAX2y1V8fdDKBi4IiHbDYf1TCUBwxZOhqwv2QZCqrdda2zTRTrmnwjwscN5RBTEmZUYAs=
"""
TESSERA_PROOF = f"""\
c2sp.org/tlog-proof@v1
index 2
9xWrP6pdBx5uKsS7mU1b9zWUPcw3mdoNCF55gM+5M2o=
T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=
zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=

{TESSERA_CHECKPOINT}"""
SUMDB_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_TEXT = "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SUMDB_NOTE = f"""\
{SUMDB_TEXT}
— sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = """\
This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


class Key:
    """An Ed25519 key with a name; `seed` is 32 bytes, or else made from the name."""

    def __init__(self, name, seed=None):
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(seed or sha256(f"vectors: {name}".encode()).digest())
        self.public = self.private.public_key().public_bytes_raw()
        self.key_id = key_id(name, b"\x01" + self.public)
        self.vkey = vkey(name, b"\x01" + self.public)

    def signature(self, text):
        return self.private.sign(text.encode())

    def line(self, text):
        return signature_line(self.name, self.key_id + self.signature(text))

    def note(self, text):
        return f"{text}\n{self.line(text)}"


def key_id(name, key):
    return sha256(name.encode() + b"\n" + key).digest()[:4]


def vkey(name, key):
    return f"{name}+{key_id(name, key).hex()}+{b64(key)}"


def signature_line(name, blob):
    return f"— {name} {b64(blob)}\n"


LOG = Key("example.com/log")
NEXT = Key("example.com/log", sha256(b"vectors: the next key of example.com/log").digest())
OTHER = Key("example.org/other")
WITNESS = Key("witness.example/w1")
# Two keys with one name and one key id, found by trying seeds until two of them met.
TWIN_NAME = "example.com/twins"
TWINS = Key(TWIN_NAME, (43733).to_bytes(32, "big")), Key(TWIN_NAME, (62278).to_bytes(32, "big"))
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519


def checkpoint_text(origin, size, root):
    return f"{origin}\n{size}\n{b64(root)}\n"
