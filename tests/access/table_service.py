# SPDX-License-Identifier: Apache-2.0
"""What the service says of itself (notation: table.py)."""

SERVICE = """
# method path                                                  session  key      staging  other    revoked  expired  no
# Whether it works. Numbers are for people of a tenant.
GET    /health                                                 ........ ........ ........ ........ ........ ........ .
HEAD   /health                                                 ........ ........ ........ ........ ........ ........ .
GET    /ready                                                  ........ ........ ........ ........ ........ ........ .
HEAD   /ready                                                  ........ ........ ........ ........ ........ ........ .
GET    /status                                                 ........ ........ ........ ........ ........ ........ .
HEAD   /status                                                 ........ ........ ........ ........ ........ ........ .
GET    /api/v1/health                                          ........ ........ ........ ........ ........ ........ .
HEAD   /api/v1/health                                          ........ ........ ........ ........ ........ ........ .
GET    /api/v1/system/health                                   ........ ........ ........ ........ ........ ........ .
GET    /api/v1/health/details                                  ......3. ......3. ......3. ......3. 11111111 11111111 1
# From another machine.
GET    /metrics                                                ......3. ......3. ......3. ......3. 11111111 11111111 1

# What others need to know.
GET    /.well-known/jwks.json                                  ........ ........ ........ ........ ........ ........ .
GET    /ledger-verify.pyz                                      ........ ........ ........ ........ ........ ........ .
GET    /llms.txt                                               ........ ........ ........ ........ ........ ........ .
"""
