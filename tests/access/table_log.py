# SPDX-License-Identifier: Apache-2.0
"""Who may report, read, prove, check, erase and export (notation: table.py)."""

LOG = """
# method path                                                  session  key      staging  other    revoked  expired  no
# Reporting and reading. Only keys and agents report, so that an entry says whose it is; agents see their own.
POST   /api/v1/events                                          333333.3 ..3.33.. ..3.33.. ..3.33.. 11111111 11111111 1
{"events": [{"call_id": "{call_id}", "agent_id": "our-agent", "tool_name": "x", "verdict": "allow", "mode": "observe"}]}
GET    /api/v1/events                                          ........ ........ ........ ........ 11111111 11111111 1
GET    /api/v1/events?disclose=all                             ...3.33. ...3.33. ...3.33. ...3.33. 11111111 11111111 1
POST   /api/v1/events/search                                   ........ ........ ........ ........ 11111111 11111111 1
{}
POST   /api/v1/events/search                                   ...3.33. ...3.33. ...3.33. ...3.33. 11111111 11111111 1
{"disclose": "all"}
GET    /api/v1/events/{event_id}                               ........ ........ 44444444 44444444 11111111 11111111 1
GET    /api/v1/events/{event_id}?disclose=all                  ...3.33. ...3.33. 44434334 44434334 11111111 11111111 1
GET    /api/v1/audit-log                                       ......3. ......3. ......3. ......3. 11111111 11111111 1
# Without an end, and so asked for no more than its beginning.
GET    /api/v1/events/stream                                   ......3. ......3. ......3. ......3. 11111111 11111111 1

# Receipts. Who shows no credential learns the root log's key, who shows a wrong one nothing.
GET    /api/v1/receipts/{event_id}                             ........ ........ 44444444 44444444 11111111 11111111 1
GET    /api/v1/receipts/{event_id}?disclose=all                ...3.33. ...3.33. 44434334 44434334 11111111 11111111 1
GET    /api/v1/receipts/key                                    ........ ........ ........ ........ 11111111 11111111 .
POST   /api/v1/receipts/verify                                 ........ ........ ........ ........ ........ ........ .
{}

# Heads and proofs. An index is one of the caller's own log; that of the first and the third tenant are shorter.
GET    /api/v1/transparency/head                               ........ ........ ........ ........ 11111111 11111111 1
GET    /api/v1/transparency/checkpoint                         ........ ........ ........ ........ 11111111 11111111 1
GET    /api/v1/transparency/inclusion/{event_id}               ........ ........ 44444444 44444444 11111111 11111111 1
GET    /api/v1/transparency/inclusion?leaf_index={leaf_index}  ........ ........ 44444444 44444444 11111111 11111111 1
GET    /api/v1/transparency/inclusion?leaf_index=0             ......4. ......4. ......4. ......4. 11111111 11111111 1
GET    /api/v1/transparency-log/proof/{leaf_index}             ........ ........ 44444444 44444444 11111111 11111111 1
GET    /api/v1/transparency/consistency?from=1&to=2            ........ ........ ........ ........ 11111111 11111111 1

# Daily roots and signing keys.
GET    /api/v1/transparency/roots                              ........ ........ ........ ........ ........ ........ .
POST   /api/v1/transparency/roots                              3333333. 3333333. 33333333 3333333. 11111111 11111111 1
GET    /api/v1/transparency/roots/{date}                       ........ ........ ........ ........ ........ ........ .
POST   /api/v1/transparency/roots/verify                       ........ ........ ........ ........ ........ ........ .
{}
GET    /api/v1/transparency/keys                               ........ ........ ........ ........ 11111111 11111111 .
GET    /api/v1/transparency/keys/current                       ........ ........ ........ ........ ........ ........ .
POST   /api/v1/signing-keys/rotate                             .333333. .333333. 33333333 .333333. 11111111 11111111 1
{"purpose": "log"}
POST   /api/v1/signing-keys/rotate                             3333333. 3333333. 33333333 3333333. 11111111 11111111 1
{"purpose": "root"}

# Self-checks.
POST   /api/v1/transparency/verify                             ...3.33. ...3.33. ...3.33. ...3.33. 11111111 11111111 1
GET    /api/v1/transparency/verify                             ...3.33. ...3.33. ...3.33. ...3.33. 11111111 11111111 1
GET    /api/v1/audit/logs/verify                               ...3.33. ...3.33. ...3.33. ...3.33. 11111111 11111111 1

# Erasing and exporting concern every environment.
POST   /api/v1/erasures                                        .3.3333. .3.3333. 33333333 43433334 11111111 11111111 1
{"grounds": "other", "event_ids": ["{event_id}"]}
DELETE /api/v1/events/payloads?older_than_days=30000           .3.3333. .3.3333. 33333333 .3.3333. 11111111 11111111 1
POST   /api/v1/audit/exports                                   ...3.33. ...3.33. 33333333 ...3.33. 11111111 11111111 1
{"to": 1}
GET    /api/v1/audit/export?to=1                               ...3.33. ...3.33. 33333333 ...3.33. 11111111 11111111 1
GET    /api/v1/audit/exports/{export_id}                       ...3.33. ...3.33. 33333333 44434334 11111111 11111111 1
GET    /api/v1/audit/exports/{export_id}/{name}                ...3.33. ...3.33. 33333333 44434334 11111111 11111111 1
DELETE /api/v1/audit/exports/{export_id}                       ...3.33. ...3.33. 33333333 44434334 11111111 11111111 1

# Links for auditors. Whoever has one needs nothing else.
POST   /api/v1/audit/shares                                    ...3333. ...3333. 33333333 ...3333. 11111111 11111111 1
{"label": "for the auditors"}
GET    /api/v1/audit/shares                                    ...3.33. ...3.33. ...3.33. ...3.33. 11111111 11111111 1
DELETE /api/v1/audit/shares/{share_id}                         ...3333. ...3333. 33333333 44433334 11111111 11111111 1
GET    /api/v1/audit/shared/{token}                            ........ ........ ........ ........ ........ ........ .

# Logs as tiles: the root log for everybody, a tenant's for people, whole. A token in the path is an auditor's key.
GET    /root/{path}                                            ........ ........ ........ ........ ........ ........ .
GET    /log/{log_id}/{path}                                    ......3. ......3. 33333333 44444444 11111111 11111111 1
GET    /log/{log_id}/t/{read_token}/{path}                     33333333 3333.333 33333333 33334333 11111111 11111111 1
"""
