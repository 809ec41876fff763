# SPDX-License-Identifier: Apache-2.0
"""Decision Ledger: an append-only transparency ledger and receipt service for decisions of AI agents."""

__version__ = "0.1.0"
