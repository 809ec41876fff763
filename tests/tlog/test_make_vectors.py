# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.tlog.vectors import make, signing


@pytest.mark.parametrize("name", ["merkle", "notes", "checkpoints", "tiles", "tlog_proofs"])
def test_committed_vectors_are_what_the_script_makes(name):
    about, cases = make.FILES[f"{name}.json"]
    committed = (make.FOLDER / f"{name}.json").read_bytes()
    assert committed == make.render(about, cases()).encode()
    assert len(committed) < 200_000


def test_script_makes_no_other_file():
    assert set(make.FILES) == {"merkle.json", "notes.json", "checkpoints.json", "tiles.json", "tlog_proofs.json"}


def test_textbook_gives_the_published_roots(textbook):
    """Roots of Tessera's test log, as its checkpoints have them."""
    tree = textbook.Tree([textbook.leaf(data) for data in signing.TESSERA_LEAVES])
    assert {n: textbook.b64(tree.root(n)) for n in (1, 2, 3, 5, 15)} == {
        1: "0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=",
        2: "T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=",
        3: "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=",
        5: "gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=",
        15: "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=",
    }


def test_textbook_proves_and_verifies_alike(textbook, tree):
    for n in range(1, 40):
        for i in range(n):
            leaf_hash = tree.mth(i, i + 1)
            assert textbook.inclusion_holds(i, n, leaf_hash, tree.inclusion(i, n), tree.root(n))
            assert textbook.consistency_holds(i + 1, n, tree.consistency(i + 1, n), tree.root(i + 1), tree.root(n))
