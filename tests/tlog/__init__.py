# SPDX-License-Identifier: Apache-2.0
"""Tests of the pure functions on trees, tiles, notes, checkpoints and proofs."""
