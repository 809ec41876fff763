# SPDX-License-Identifier: Apache-2.0
"""That what spec/coverage.csv calls live is live: a case for each such row, asked of a running service.

A case is a function that takes an `Ask`, calls it, and asserts on what comes back. It is kept under the ids of the rows
that it shows, in the file of its group of capabilities; method and path come from the table, so that they are those of
the row. To make a row live, write a case and change the row's status.
"""
