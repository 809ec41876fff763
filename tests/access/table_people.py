# SPDX-License-Identifier: Apache-2.0
"""Who may come in, and settle who else may (notation: table.py)."""

PEOPLE = """
# method path                                                  session  key      staging  other    revoked  expired  no
# Coming in. What is in the body is right, and no credential is asked for.
POST   /api/v1/auth/login                                      ........ ........ ........ ........ ........ ........ .
{"email": "{member_email}", "password": "correct horse battery", "tenant_id": "{tenant_id}"}
POST   /api/v1/auth/token                                      ........ ........ ........ ........ ........ ........ .
{"email": "{member_email}", "password": "correct horse battery", "tenant_id": "{tenant_id}"}
POST   /api/v1/auth/agent/token                                ........ ........ ........ ........ ........ ........ .
{"agent_id": "{agent_id}", "secret": "{agent_secret}"}
POST   /api/v1/invitations/accept                              ........ ........ ........ ........ ........ ........ .
{"invitation": "{invitation}", "password": "correct horse battery"}
POST   /api/v1/setup                                           .333333. .333333. 33333333 .333333. 11111111 11111111 1
{"email": "{email}", "password": "correct horse battery"}

# Sessions. Keys and agents have none of a member's, which is a conflict and no refusal.
POST   /api/v1/auth/refresh                                    ........ ........ ........ ........ ........ ........ .
{"refresh_token": "{refresh_token}"}
# By header a cookie gets a token; a token, but for the one that is for it, and a key get none.
POST   /api/v1/auth/refresh                                    ......1. 11111111 11111111 11111111 11111111 11111111 1
POST   /api/v1/auth/logout                                     ........ ........ ........ ........ 11111111 11111111 1
POST   /api/v1/auth/revoke                                     ........ ........ ........ ........ 11111111 11111111 1
{}
POST   /api/v1/auth/revoke                                     ..33333. ..33333. 33333333 44333334 11111111 11111111 1
{"member_id": "{member_id}"}
POST   /api/v1/auth/revoke                                     ..33333. ..33333. 33333333 4433333. 11111111 11111111 1
{"agent_id": "{agent_id}"}
# Others' tokens are no tokens: whoever asks of one is told no more than that.
POST   /api/v1/auth/revoke                                     ..33333. ..33333. 33333333 44444444 11111111 11111111 1
{"token": "{agent_token}"}
POST   /api/v1/auth/introspect                                 ..3..33. ..3..33. ..3..33. ........ 11111111 11111111 1
{"token": "{agent_token}"}

# Oneself. A profile is a person's; the organization's name is the tenant's.
GET    /api/v1/auth/me                                         ........ ........ ........ ........ 11111111 11111111 1
PATCH  /api/v1/auth/me                                         ......3. 33333333 33333333 33333333 11111111 11111111 1
{"name": "Ada"}
PATCH  /api/v1/auth/me                                         .333333. .333333. 33333333 .333333. 11111111 11111111 1
{"organization": "Analytical Engines"}
GET    /api/v1/roles                                           ........ ........ ........ ........ ........ ........ .

# Members. Nobody gives or takes a role that may do more than his own.
GET    /api/v1/members                                         ......3. ......3. ......3. ......3. 11111111 11111111 1
GET    /api/v1/members/{member_id}                             ......3. ......3. ......3. 44444434 11111111 11111111 1
POST   /api/v1/members                                         ..33333. ..33333. 33333333 ..33333. 11111111 11111111 1
{"email": "{email}", "role": "readonly"}
POST   /api/v1/members                                         .333333. .333333. 33333333 .333333. 11111111 11111111 1
{"email": "{email}", "role": "owner"}
PATCH  /api/v1/members/{member_id}                             ..33333. ..33333. 33333333 44333334 11111111 11111111 1
{"role": "auditor"}
PATCH  /api/v1/members/{member_id}                             .333333. .333333. 33333333 44333334 11111111 11111111 1
{"role": "owner"}
DELETE /api/v1/members/{member_id}                             ..33333. ..33333. 33333333 44333334 11111111 11111111 1

# Keys. One for staging makes and revokes keys for staging; that there are others is no secret.
GET    /api/v1/keys                                            .....33. .....33. .....33. .....33. 11111111 11111111 1
POST   /api/v1/keys                                            ..3.333. ..3.333. 33333333 ..3.333. 11111111 11111111 1
{"env": "production", "label": "one"}
POST   /api/v1/keys                                            ..3.333. ..3.333. ..3.333. ..3.333. 11111111 11111111 1
{"env": "staging", "label": "one"}
POST   /api/v1/keys                                            .333333. .333333. .333333. .333333. 11111111 11111111 1
{"env": "staging", "label": "one", "role": "owner"}
DELETE /api/v1/keys/{key_id}                                   ..3.333. ..3.333. 33333333 44343334 11111111 11111111 1
POST   /api/v1/auth/keys/revoke                                ..3.333. ..3.333. 33333333 44343334 11111111 11111111 1
{"key_id": "{key_id}"}
POST   /api/v1/keys/validate                                   ........ ........ ........ ........ 11111111 11111111 1
{"key": "{key}"}

# Agents. A name of an agent belongs to no tenant, a credential does.
GET    /api/v1/agents/{agent_id}/credentials                   ......3. ......3. ......3. ......3. 11111111 11111111 1
POST   /api/v1/agents/{agent_id}/credentials                   ..3.333. ..3.333. 33333333 ..3.333. 11111111 11111111 1
{"env": "production"}
POST   /api/v1/agents/{agent_id}/credentials                   ..3.333. ..3.333. ..3.333. ..3.333. 11111111 11111111 1
{"env": "staging"}
POST   /api/v1/auth/credentials                                ..3.333. ..3.333. 33333333 ..3.333. 11111111 11111111 1
{"agent_id": "{agent_id}", "env": "production"}
POST   /api/v1/auth/credentials                                ..3.333. ..3.333. ..3.333. ..3.333. 11111111 11111111 1
{"agent_id": "{agent_id}", "env": "staging"}
DELETE /api/v1/agents/{agent_id}/credentials/{credential_id}   ..3.333. ..3.333. 44343334 44343334 11111111 11111111 1

# Single sign-on. Who comes back from a provider must be the browser that went there, whatever he shows; whose
# providers let people in is the owner's to say.
GET    /api/v1/auth/sso/providers?tenant_id={tenant_id}        ........ ........ ........ ........ ........ ........ .
GET    /api/v1/auth/sso/{provider}?tenant_id={tenant_id}       ........ ........ ........ ........ ........ ........ .
GET    /api/v1/auth/sso/{provider}/callback?code=x&state=x     33333333 33333333 33333333 33333333 33333333 33333333 3
GET    /api/v1/auth/sso/config                                 ..33.33. ..33.33. ..33.33. ..33.33. 11111111 11111111 1
PUT    /api/v1/auth/sso/config                                 .333333. .333333. 33333333 .333333. 11111111 11111111 1
{"provider": "acme", "issuer": "{issuer}", "client_id": "ledger", "role": "auditor"}
POST   /api/v1/auth/sso/config                                 .333333. .333333. 33333333 .333333. 11111111 11111111 1
{"provider": "acme", "issuer": "{issuer}", "client_id": "ledger", "role": "auditor"}
POST   /api/v1/auth/sso/config/test                            .333333. .333333. 33333333 43333334 11111111 11111111 1
{"provider": "{provider}"}
"""
