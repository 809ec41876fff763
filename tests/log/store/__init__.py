# SPDX-License-Identifier: Apache-2.0
"""Tests of what the log asks of a database."""
