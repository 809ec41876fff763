# SPDX-License-Identifier: Apache-2.0
"""`python -m ledger_verify` is the command `ledger-verify`."""

import sys

from ledger_verify.cli import main

if __name__ == "__main__":
    sys.exit(main())
