# SPDX-License-Identifier: Apache-2.0
"""The commands, one file each. Results go to stdout, talk to stderr; exit codes are 0 done, 1 refused or failed, 2
usage.
"""
