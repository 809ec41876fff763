# SPDX-License-Identifier: Apache-2.0
"""HTTP: what all routes share (access, problems, cursors, the hot front), and the ledger's own routes."""
