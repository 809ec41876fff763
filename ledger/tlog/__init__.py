# SPDX-License-Identifier: Apache-2.0
"""Transparency-log formats: Merkle trees, tiles, signed notes, checkpoints, proofs.

Pure: bytes in, bytes out. Nothing here knows a clock, a file, a network or a database, and nothing here imports
anything else of this project.
"""
