# SPDX-License-Identifier: Apache-2.0
"""The tenant layer over HTTP, a file for each kind of thing."""
