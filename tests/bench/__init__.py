# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: every figure as a part of what the same machine can do at best, measured in the same run.

    python -m tests.bench ingest --store sqlite --json ingest.json
    python -m tests.bench batch|proof|restart|check|memory|disk|verify --store sqlite|postgres|null

A rate alone says more of the machine than of the program. So beside the service runs what bounds it: an ASGI
application that only sends the body back (under the same server with the same settings), the same service over a store
without a disk, the same rows loaded in bulk into the same tables, a one-row commit. They take turns, so that noise
meets all of them. The load comes from a process of its own, and any answer but 200 ends the run.

The figures are (a) to (l) of `figures.py`. Nothing here asserts a speed; the tests only hold that it measures.
"""
