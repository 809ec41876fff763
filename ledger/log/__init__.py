# SPDX-License-Identifier: Apache-2.0
"""The append-only log: entries, their order, their evidence, and the state that is a fold of them."""
