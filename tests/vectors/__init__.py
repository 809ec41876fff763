# SPDX-License-Identifier: Apache-2.0
"""Vectors of our own formats in `spec/vectors`: how they are made, and that the service agrees with them."""
