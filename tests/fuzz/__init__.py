# SPDX-License-Identifier: Apache-2.0
"""A fuzz target for every parser: of the service, of the verifier, and of both where each has one.

python -m tests.fuzz --list
python -m tests.fuzz read_report --seconds 600
"""
