# SPDX-License-Identifier: Apache-2.0
"""The API of one process: all routes of all layers, and what the OpenAPI document says beyond what they say."""

from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide

from ledger.aliases import second_names
from ledger.log.days import DayDocument
from ledger.log.receipts import Receipt
from ledger.log.report import Report
from ledger.settings import Settings
from ledger.tenant.routes import (
    agents,
    console,
    logins,
    me,
    members,
    shares,
    sso,
    switch,
    tenant,
    tenants,
    tokens,
    usage,
)
from ledger.tenant.routes import keys as key_routes
from ledger.tenant.tenancy import Tenancy, provide_tenancy
from ledger.web import (
    audit_log,
    description,
    erasures,
    events,
    exports,
    health,
    live,
    receipts,
    refusals,
    signing_keys,
    tiles,
    transparency,
)
from ledger.web.doors import answer_response, asked_of, provide_principal, provide_service
from ledger.web.front import EXPOSED_HEADERS, MAX_BODY_BYTES
from ledger.web.observe import Metrics
from ledger.web.problems import problem
from ledger.web.service import Service


def make_api(service: Service, tenancy: Tenancy, metrics: Metrics, settings: Settings) -> Litestar:
    """The door behind the front, with every route."""
    api = Router(
        "/api/v1",
        route_handlers=[
            events.post_events, events.list_events, events.search_events, events.get_event,
            audit_log.list_audit_log, live.stream_events,
            receipts.get_receipt_key, receipts.get_receipt, receipts.post_receipt_verify,
            transparency.get_head, transparency.get_checkpoint,
            transparency.get_inclusion, transparency.get_inclusion_of_event, transparency.get_consistency,
            transparency.list_roots, transparency.get_root, transparency.close_root, transparency.post_root_verify,
            signing_keys.list_signing_keys, signing_keys.get_signing_key, signing_keys.rotate_signing_key,
            transparency.run_check, transparency.get_check,
            erasures.post_erasure, erasures.delete_payloads,
            exports.post_export, exports.get_audit_export,
            exports.get_export, exports.get_export_file, exports.delete_export,
            key_routes.create_key, key_routes.list_keys, key_routes.delete_key, key_routes.validate_key,
            logins.set_up, logins.log_in, logins.log_out, logins.accept_invitation,
            me.get_me, me.patch_me, me.list_roles,
            members.list_members, members.get_member,
            members.create_member, members.patch_member, members.delete_member,
            tokens.issue_token, tokens.refresh_token, tokens.revoke_tokens, tokens.introspect_token,
            agents.create_credential, agents.create_named_credential, agents.list_credentials,
            agents.delete_credential, agents.issue_agent_token,
            sso.list_offers, sso.start_login, sso.finish_login, sso.get_config, sso.put_config, sso.run_test,
            tenant.get_tenant, tenant.patch_tenant, tenant.list_plans,
            tenants.create_tenant, tenants.list_tenants, tenants.get_tenant_by_id, tenants.patch_tenant_by_id,
            usage.get_usage, usage.get_quota,
            usage.get_usage_by_agent, usage.get_usage_anomalies, usage.get_usage_dashboard,
            switch.get_kill_switch, switch.engage_kill_switch, switch.release_kill_switch,
            console.get_dashboard_state, console.put_dashboard_state, console.post_feedback,
            shares.create_share, shares.list_shares, shares.delete_share, shares.get_shared,
            *second_names(),
        ],
    )  # fmt: skip
    described = description.Description(
        {
            ("POST", "/api/v1/events"): Report,
            ("POST", "/api/v1/events/search"): events.EventSearch,
            ("POST", "/api/v1/erasures"): erasures.ErasureRequest,
            ("POST", "/api/v1/audit/exports"): exports.ExportRequest,
            ("POST", "/api/v1/keys"): key_routes.NewKeyRequest,
            ("POST", "/api/v1/keys/validate"): key_routes.ValidateRequest,
            ("POST", "/api/v1/setup"): logins.SetupRequest,
            ("POST", "/api/v1/auth/login"): logins.LoginRequest,
            ("POST", "/api/v1/invitations/accept"): logins.AcceptRequest,
            ("PATCH", "/api/v1/auth/me"): me.ProfileChange,
            ("POST", "/api/v1/members"): members.NewMemberRequest,
            ("PATCH", "/api/v1/members/{member_id}"): members.MemberChange,
            ("POST", "/api/v1/auth/token"): logins.LoginRequest,
            ("POST", "/api/v1/auth/refresh"): tokens.RefreshRequest,
            ("POST", "/api/v1/auth/revoke"): tokens.RevokeRequest,
            ("POST", "/api/v1/auth/introspect"): tokens.IntrospectRequest,
            ("POST", "/api/v1/agents/{agent_id}/credentials"): agents.NewCredentialRequest,
            ("POST", "/api/v1/auth/credentials"): agents.NamedCredentialRequest,
            ("POST", "/api/v1/auth/agent/token"): agents.AgentTokenRequest,
            ("PUT", "/api/v1/auth/sso/config"): sso.ProviderRequest,
            ("POST", "/api/v1/auth/sso/config/test"): sso.CheckRequest,
            ("PATCH", "/api/v1/tenant"): tenant.TenantChange,
            ("POST", "/api/v1/admin/tenants"): tenants.NewTenantRequest,
            ("PATCH", "/api/v1/admin/tenants/{tenant_id}"): tenants.AdminChange,
            ("PUT", "/api/v1/kill-switch"): switch.EngageRequest,
            ("PUT", "/api/v1/dashboard/state"): dict[str, Any],
            ("POST", "/api/v1/feedback"): console.FeedbackRequest,
            ("POST", "/api/v1/audit/shares"): shares.NewShareRequest,
            ("POST", "/api/v1/transparency/roots"): transparency.CloseRequest,
            ("POST", "/api/v1/signing-keys/rotate"): signing_keys.RotateRequest,
            ("POST", "/api/v1/receipts/verify"): Receipt,
            ("POST", "/api/v1/transparency/roots/verify"): DayDocument,
        },
        answers={
            ("POST", "/api/v1/events"): events.ReportAnswer,
            ("GET", "/api/v1/receipts/{event_id}"): Receipt,
            ("GET", "/api/v1/transparency/inclusion/{event_id}"): transparency.InclusionProof,
            ("GET", "/api/v1/transparency/roots/{date}"): DayDocument,
            ("POST", "/api/v1/transparency/roots"): DayDocument,
        },
        queries={
            ("POST", "/api/v1/events"): {"receipts": ("none", "full")},
            ("GET", "/api/v1/events"): {"disclose": ("none", "all")},
            ("GET", "/api/v1/events/{event_id}"): {"disclose": ("none", "all"), **events.CALL_OF},
            ("GET", "/api/v1/receipts/{event_id}"): {"disclose": ("none", "all"), **events.CALL_OF},
            ("GET", "/api/v1/transparency/inclusion/{event_id}"): events.CALL_OF,
        },
        refused={
            ("POST", "/api/v1/events"): (409,),
            ("POST", "/api/v1/erasures"): (404, 409),
            ("DELETE", "/api/v1/events/payloads"): (409,),
            ("POST", "/api/v1/keys"): (409,),
            ("POST", "/api/v1/setup"): (409,),
            ("POST", "/api/v1/members"): (409,),
            ("PATCH", "/api/v1/members/{member_id}"): (409,),
            ("DELETE", "/api/v1/members/{member_id}"): (409,),
            ("POST", "/api/v1/auth/logout"): (409,),
            ("POST", "/api/v1/auth/refresh"): (401, 409),
            ("POST", "/api/v1/auth/revoke"): (404,),
            ("POST", "/api/v1/auth/login"): refusals.LOGIN,
            ("POST", "/api/v1/auth/token"): refusals.LOGIN,
            ("POST", "/api/v1/auth/agent/token"): refusals.LOGIN,
            ("POST", "/api/v1/invitations/accept"): refusals.LOGIN,
            ("POST", "/api/v1/agents/{agent_id}/credentials"): (409,),
            ("POST", "/api/v1/auth/credentials"): (409,),
            ("DELETE", "/api/v1/agents/{agent_id}/credentials/{credential_id}"): (409,),
            ("GET", "/api/v1/auth/sso/providers"): (404, 429),
            ("GET", "/api/v1/auth/sso/{provider}"): (429,),
            ("GET", "/api/v1/auth/sso/{provider}/callback"): (401, 403, 429),
            ("PUT", "/api/v1/auth/sso/config"): (409,),
            ("POST", "/api/v1/auth/sso/config/test"): (404,),
            ("DELETE", "/api/v1/keys/{key_id}"): (409,),
            ("POST", "/api/v1/audit/shares"): (409,),
            ("POST", "/api/v1/admin/tenants"): (409,),
            ("PUT", "/api/v1/kill-switch"): (409,),
            ("DELETE", "/api/v1/audit/shares/{share_id}"): (409,),
            ("GET", "/api/v1/audit/shared/{token}"): (429,),
            ("POST", "/api/v1/transparency/roots"): (409,),
            ("POST", "/api/v1/signing-keys/rotate"): (409,),
            ("GET", "/api/v1/transparency/inclusion"): (404,),
            ("GET", "/api/v1/transparency/consistency"): (404,),
            ("GET", "/api/v1/transparency/verify"): (404,),
            ("GET", "/api/v1/transparency/keys/current"): (404,),
            ("GET", "/api/v1/transparency/keys"): refusals.CREDENTIAL,
            ("GET", "/api/v1/receipts/key"): refusals.CREDENTIAL,
            ("GET", "/api/v1/audit/exports/{export_id}/{name}"): (416,),
            ("POST", "/api/v1/receipts/verify"): (429,),
            ("POST", "/api/v1/transparency/roots/verify"): (429,),
        },
        texts=[("GET", "/api/v1/receipts/{event_id}")],
        files={("GET", "/api/v1/audit/exports/{export_id}/{name}"): exports.MEDIA_TYPES.values()},
    )
    return Litestar(
        route_handlers=[
            api, tokens.get_jwks,
            tiles.get_root_log, tiles.get_log, tiles.get_log_by_token,
            health.get_health, health.get_short_health, health.get_health_details, health.get_ready,
            health.get_status, health.get_metrics,
            description.get_asset, description.get_llms_txt, description.get_verifier, *described.pages(),
        ],
        dependencies={
            "service": Provide(provide_service, sync_to_thread=False),
            "principal": Provide(provide_principal),
            "tenancy": Provide(provide_tenancy, sync_to_thread=False),
        },
        exception_handlers={Exception: _problem_response},
        openapi_config=described.config(),
        cors_config=_cors(settings),
        request_max_body_size=MAX_BODY_BYTES,
        state=State({"service": service, "metrics": metrics, "tenancy": tenancy}),
        logging_config=None,
    )  # fmt: skip


def _problem_response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return answer_response(problem(error, instance=request.scope["path"], request_id=asked_of(request).request_id))


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "Last-Event-ID",
            "X-Request-ID",
            "X-Requested-With",
            *settings.key_headers,
            *settings.agent_headers,
            *settings.tenant_headers,
        ],
        expose_headers=list(EXPOSED_HEADERS),
    )
