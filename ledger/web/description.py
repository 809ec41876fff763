# SPDX-License-Identifier: Apache-2.0
"""The service described: OpenAPI, pages to read it with, llms.txt, and the verifier to download (CAPABILITIES X03).

Litestar derives the document from the handlers. What it cannot see is added here: the bodies that handlers read
themselves, which routes need no credential, and the one form of all errors. Swagger UI and Redoc come out of an
installed package, so the pages work without the internet.
"""

import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, RedocRenderPlugin, SwaggerRenderPlugin
from litestar.params import FromPath

import ledger
from ledger.log.errors import NotFoundError
from ledger.web import refusals
from ledger.web.refusals import PROBLEM
from ledger.web.service import Service

_FAVICON = '<link rel="icon" href="data:,">'
_ASSETS = {
    "swagger-ui-bundle.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js": "swagger-ui-dist/swagger-ui-standalone-preset.js",
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    "redoc.standalone.js": "redoc/bundles/redoc.standalone.js",
}
_PUBLIC = (
    "/health",
    "/ready",
    "/status",
    "/api/v1/health",
    "/api/v1/receipts/key",
    "/api/v1/receipts/verify",
    "/api/v1/transparency/roots",
    "/api/v1/transparency/keys",
    "/api/v1/audit/shared/",
    "/api/v1/roles",
    "/api/v1/plans",
    "/api/v1/auth/login",
    "/api/v1/auth/token",
    "/api/v1/auth/refresh",
    "/api/v1/auth/agent/token",
    "/api/v1/invitations/accept",
    "/api/v1/auth/sso/",
    "/.well-known/",
)
_NOT_PUBLIC = {
    ("POST", "/api/v1/transparency/roots"),
    ("GET", "/api/v1/health/details"),
    ("GET", "/api/v1/auth/sso/config"),
    ("PUT", "/api/v1/auth/sso/config"),
    ("POST", "/api/v1/auth/sso/config/test"),
}


class Description:
    """The OpenAPI document with what Litestar cannot derive: by method and path, the bodies of requests and of answers
    that handlers read and write themselves, query parameters that they look up and the values of these (none named is
    any), refusals beyond those that follow from the operation (`refusals.py`), which answers can also be had as text,
    and which are files of these media types that can be fetched in parts.
    """

    def __init__(
        self,
        bodies: Mapping[tuple[str, str], Any],
        answers: Mapping[tuple[str, str], Any],
        queries: Mapping[tuple[str, str], Mapping[str, Sequence[str]]],
        refused: Mapping[tuple[str, str], Iterable[int]],
        texts: Iterable[tuple[str, str]],
        files: Mapping[tuple[str, str], Iterable[str]],
    ) -> None:
        self._bodies = bodies
        self._answers = answers
        self._queries = queries
        self._refused = refused
        self._texts = frozenset(texts)
        self._files = files

    def config(self) -> OpenAPIConfig:
        amend = self.amend

        class Json(JsonRenderPlugin):
            def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
                return super().render(request, amend(openapi_schema))

        return OpenAPIConfig(
            title="Decision Ledger", version=ledger.__version__, path="/openapi.json", render_plugins=[Json(path="/")]
        )

    def pages(self) -> list[HTTPRouteHandler]:
        """`/docs` and `/redoc`."""
        swagger = SwaggerRenderPlugin(
            js_url="/docs/assets/swagger-ui-bundle.js",
            css_url="/docs/assets/swagger-ui.css",
            standalone_preset_js_url="/docs/assets/swagger-ui-standalone-preset.js",
            favicon=_FAVICON,
        )
        redoc = RedocRenderPlugin(js_url="/docs/assets/redoc.standalone.js", google_fonts=False, favicon=_FAVICON)

        @get("/docs", include_in_schema=False, media_type="text/html")
        async def get_docs(request: Request[Any, Any, Any]) -> bytes:
            return swagger.render(request, self.amend(request.app.openapi_schema.to_schema()))

        @get("/redoc", include_in_schema=False, media_type="text/html")
        async def get_redoc(request: Request[Any, Any, Any]) -> bytes:
            return redoc.render(request, self.amend(request.app.openapi_schema.to_schema()))

        return [get_docs, get_redoc]

    def amend(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document, completed in place."""
        shapes = list(dict.fromkeys([*self._bodies.values(), *self._answers.values()]))
        schemas, components = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
        reference = dict(zip(shapes, schemas, strict=True))
        every = document.setdefault("components", {})
        every.setdefault("schemas", {}).update(components | {"Problem": PROBLEM})
        every["responses"] = refusals.components()
        every["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "lk_<env>_<random>"}}
        document["security"] = [{"key": []}]
        for path, item in document["paths"].items():
            for method, operation in item.items():
                place = method.upper(), path
                if (body := self._bodies.get(place)) is not None:
                    operation["requestBody"] = {"content": {"application/json": {"schema": reference[body]}}}
                if (answer := self._answers.get(place)) is not None:
                    operation["responses"]["200"]["content"] = {"application/json": {"schema": reference[answer]}}
                if place in self._texts:
                    operation["responses"]["200"]["content"]["text/plain"] = {"schema": {"type": "string"}}
                for kind in self._files.get(place, ()):
                    schema = {} if kind == "application/json" else {"type": "string", "format": "binary"}
                    for status, words in (("200", "The whole file"), ("206", "The part asked for by `Range`")):
                        answer = operation["responses"].setdefault(status, {})
                        answer["description"] = words
                        answer.setdefault("content", {})[kind] = {"schema": schema}
                for name, values in self._queries.get(place, {}).items():
                    enum = {"enum": list(values)} if values else {}
                    parameter = {"name": name, "in": "query", "schema": {"type": "string", **enum}}
                    operation["parameters"] = [
                        *(given for given in operation.get("parameters", []) if given["name"] != name), parameter
                    ]  # fmt: skip
                if path.startswith(_PUBLIC) and place not in _NOT_PUBLIC:
                    operation["security"] = []
                # Litestar's own form of a 400 is never sent.
                operation["responses"].pop("400", None)
                operation["responses"].get("204", {}).pop("content", None)
                operation["responses"] |= refusals.refusals(path, operation, self._refused.get(place, ()))
                if method == "head":
                    for response in operation["responses"].values():
                        response.pop("content", None)
        return document


@get("/docs/assets/{name:str}", include_in_schema=False)
async def get_asset(name: FromPath[str]) -> Response[bytes]:
    package = find_spec("drf_spectacular_sidecar")
    if name not in _ASSETS or package is None or package.origin is None:
        raise NotFoundError(f"there is no asset {name[:40]!r}")
    path = Path(package.origin).parent / "static" / "drf_spectacular_sidecar" / _ASSETS[name]
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(path.read_bytes(), media_type=kind, headers={"cache-control": "public, max-age=86400"})


@get("/llms.txt", include_in_schema=False, media_type="text/plain")
async def get_llms_txt() -> str:
    return (
        "# Decision Ledger\n\n"
        "> Append-only transparency ledger for decisions of AI agents, with receipts that can be verified offline.\n\n"
        "- [OpenAPI](/openapi.json): every route, request and answer\n"
        "- [Docs](/docs): the same, to read and try\n"
        "- [Report events](/openapi.json#/paths/~1api~1v1~1events): POST /api/v1/events, Bearer key, up to 1,000\n"
        "- [Receipts](/openapi.json#/paths/~1api~1v1~1receipts~1{event_id}): evidence of one event in one file\n"
        "- [Daily roots](/api/v1/transparency/roots): public, pin them\n"
        "- [Verifier](/ledger-verify.pyz): one file, Python standard library only\n"
    )


@get("/ledger-verify.pyz", include_in_schema=False)
async def get_verifier(service: NamedDependency[Service]) -> Response[bytes]:
    if not service.verifier.exists():
        raise NotFoundError("this service was set up without the verifier")
    return Response(service.verifier.read_bytes(), media_type="application/zip")
