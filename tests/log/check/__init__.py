# SPDX-License-Identifier: Apache-2.0
"""The parts of the self-check. What it finds as a whole is in `tests/log/test_check.py`."""
