# SPDX-License-Identifier: Apache-2.0
"""Who may read and change tenants, and what a tenant has (notation: table.py)."""

TENANT = """
# method path                                                  session  key      staging  other    revoked  expired  no
# One's own tenant.
GET    /api/v1/tenant                                          ........ ........ ........ ........ 11111111 11111111 1
PATCH  /api/v1/tenant                                          .333333. .333333. 33333333 .333333. 11111111 11111111 1
{"name": "Analytical Engines"}
GET    /api/v1/plans                                           ........ ........ ........ ........ ........ ........ .

# All tenants.
GET    /api/v1/admin/tenants                                   3333333. 3333333. 33333333 3333333. 11111111 11111111 1
POST   /api/v1/admin/tenants                                   3333333. 3333333. 33333333 3333333. 11111111 11111111 1
{"tenant_id": "made-by-the-operator"}
POST   /api/v1/auth/tenants                                    3333333. 3333333. 33333333 3333333. 11111111 11111111 1
{"tenant_id": "made-or-changed-by-the-operator"}
GET    /api/v1/admin/tenants/{tenant_id}                       ........ ........ ........ 4444444. 11111111 11111111 1
PATCH  /api/v1/admin/tenants/{tenant_id}                       3333333. 3333333. 33333333 3333333. 11111111 11111111 1
{"plan": "enterprise"}

# Usage. What agents do can be told for all environments together only.
GET    /api/v1/usage                                           ......3. ......3. ......3. ......3. 11111111 11111111 1
GET    /api/v1/tenant/quota                                    ......3. ......3. ......3. ......3. 11111111 11111111 1
GET    /api/v1/usage/by-agent                                  ......3. ......3. 33333333 ......3. 11111111 11111111 1
GET    /api/v1/usage/anomalies                                 ......3. ......3. 33333333 ......3. 11111111 11111111 1
GET    /api/v1/usage/dashboard                                 ......3. ......3. 33333333 ......3. 11111111 11111111 1

# The kill switch.
GET    /api/v1/kill-switch                                     ........ ........ ........ ........ 11111111 11111111 1
PUT    /api/v1/kill-switch                                     ..33333. ..33333. 33333333 ..33333. 11111111 11111111 1
DELETE /api/v1/kill-switch                                     ..33333. ..33333. 33333333 ..33333. 11111111 11111111 1
GET    /api/v1/decision/kill-switch/{tenant_id}                ........ ........ ........ 44444444 11111111 11111111 1
POST   /api/v1/decision/kill-switch/{tenant_id}                ..33333. ..33333. 33333333 44444444 11111111 11111111 1
DELETE /api/v1/decision/kill-switch/{tenant_id}                ..33333. ..33333. 33333333 44444444 11111111 11111111 1

# The console.
GET    /api/v1/dashboard/state                                 ......3. ......3. ......3. ......3. 11111111 11111111 1
PUT    /api/v1/dashboard/state                                 ......3. ......3. ......3. ......3. 11111111 11111111 1
{"columns": ["verdict"]}
POST   /api/v1/feedback                                        ......3. ......3. ......3. ......3. 11111111 11111111 1
{"topic": "question", "text": "Why?"}
"""
