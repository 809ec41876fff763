# SPDX-License-Identifier: Apache-2.0
"""Who may act: tenants and their API keys, as a fold of governing events and decisions over it. No tables of its
own.
"""
