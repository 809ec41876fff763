# SPDX-License-Identifier: Apache-2.0
"""OpenID providers to log in at: a certified one with a browser before it, and hostile ones."""
