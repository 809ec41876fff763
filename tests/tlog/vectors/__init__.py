# SPDX-License-Identifier: Apache-2.0
"""Vectors of trees, notes, checkpoints, tiles and tlog-proofs, and the textbook that they are made from. Nothing in
this package imports the ledger.
"""
