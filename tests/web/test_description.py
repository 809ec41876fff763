# SPDX-License-Identifier: Apache-2.0
"""The service described: the document, the pages that show it, llms.txt and the verifier."""

import asyncio
import hashlib
import json
import re
import shutil
import subprocess

import pytest

from ledger.aliases import second_names
from tests.running import event
from tests.web.asking import API, application, asgi_client, report

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
NOT_DESCRIBED = ("/docs", "/redoc", "/openapi.json", "/llms.txt", "/ledger-verify.pyz", "/metrics", "/log/", "/root/")
PUBLIC = {
    ("get", f"{API}/receipts/key"),
    ("post", f"{API}/receipts/verify"),
    ("get", f"{API}/auth/sso/providers"),
    ("get", f"{API}/auth/sso/{{provider}}"),
    ("get", f"{API}/auth/sso/{{provider}}/callback"),
    ("get", f"{API}/transparency/roots"),
    ("get", f"{API}/transparency/roots/{{date}}"),
    ("post", f"{API}/transparency/roots/verify"),
    ("get", f"{API}/transparency/keys"),
    ("get", f"{API}/transparency/keys/current"),
    ("get", f"{API}/roles"),
    ("get", "/.well-known/jwks.json"),
    *(("post", f"{API}/{path}") for path in ("auth/login", "auth/token", "auth/refresh", "auth/agent/token")),
    ("post", f"{API}/invitations/accept"),
    ("get", f"{API}/plans"),
    ("get", f"{API}/audit/shared/{{token}}"),
    *((method, path) for method in ("get", "head") for path in (f"{API}/health", "/health", "/ready", "/status")),
}


@pytest.fixture(scope="module")
def document(nobody):
    answer = nobody.get("/openapi.json")
    assert answer.headers["content-type"].startswith("application/")
    return answer.json()


def operations(document):
    return [(method, path, operation) for path, item in document["paths"].items() for method, operation in item.items()]


def references(value):
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref":
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


# ------------------------------------------------------------------------------------------------------------ document


def test_document_is_openapi_3_1(document):
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    for method, path, operation in operations(document):
        assert method in METHODS, path
        assert operation["responses"], path
        named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path
        for parameter in operation.get("parameters", []):
            assert parameter["in"] in ("path", "query", "header", "cookie")
            assert "schema" in parameter
        for status in operation["responses"]:
            assert re.fullmatch(r"[1-5]\d\d|default", status)


def test_every_operation_has_an_id_a_summary_and_a_tag_of_its_own(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["tags"], path


def test_every_reference_leads_somewhere(document):
    found = list(references(document))
    assert found
    for reference in found:
        value = document
        for step in reference.removeprefix("#/").split("/"):
            value = value[step.replace("~1", "/").replace("~0", "~")]


def test_document_lists_every_route_of_the_application_once(document, fresh_ledger):
    async def routes():
        async with application(fresh_ledger[0]) as app:
            return {
                (method.lower(), re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
                for route in app.litestar.routes
                for method in getattr(route, "methods", ())
                if method != "OPTIONS"
            }

    again = {
        (method.lower(), re.sub(r"\{(\w+):\w+\}", r"{\1}", API + path))
        for handler in second_names()
        for method in handler.http_methods
        for path in handler.paths
    }
    described = {(method, path) for method, path, _ in operations(document)}
    wanted = {(method, path) for method, path in asyncio.run(routes()) if not path.startswith(NOT_DESCRIBED)}
    assert again < wanted
    assert described == wanted - again
    assert len(described) >= 28


def test_answers_without_a_body_are_described_without_one(document):
    bodiless = [operation for method, _, operation in operations(document) if method == "head"]
    assert bodiless
    for operation in bodiless:
        assert not any("content" in response for response in operation["responses"].values())


def test_operations_without_a_credential_are_the_public_ones(document):
    assert document["security"] == [{"key": []}]
    unprotected = {(method, path) for method, path, item in operations(document) if item.get("security") == []}
    assert unprotected == PUBLIC


def test_public_operations_are_public_and_the_others_are_not(document, nobody):
    for method, path, operation in operations(document):
        needed = {p["name"]: "1" for p in operation.get("parameters", []) if p["in"] == "query" and p.get("required")}
        # Without a body, a session is renewed by the credential that is shown.
        body = b"{}" if operation.get("requestBody") else None
        status = nobody.request(method, re.sub(r"\{\w+\}", "x", path), params=needed, content=body).status_code
        assert (status == 401) == (operation.get("security") != []), (method, path, status)


ANYWHERE = {400, 408, 413, 414, 415, 431, 500, 503}


def test_every_refusal_is_described_under_its_status(document):
    """What a connection refuses can happen to every request; what a key can do wrong, to every one that shows one."""
    for method, path, operation in operations(document):
        described = {int(status) for status in operation["responses"]}
        assert described >= ANYWHERE, path
        if (method, path) not in PUBLIC:
            assert described >= {401, 403, 429}, path
        if "{" in path:
            assert 404 in described, path
        if operation.get("requestBody"):
            assert 422 in described, path
    assert described_of(document, "post", "/events") >= {409, 413, 415, 422, 429, 503}
    assert 429 in described_of(document, "post", "/receipts/verify")
    assert 409 in described_of(document, "delete", "/keys/{key_id}")


def described_of(document, method, path):
    return {int(status) for status in document["paths"][API + path][method]["responses"]}


def test_errors_are_described_as_they_are(document, nobody):
    problem = document["components"]["schemas"]["Problem"]
    for name, response in document["components"]["responses"].items():
        content = response["content"]
        assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}, name
        assert response["description"], name
    assert "Retry-After" in document["components"]["responses"]["TooManyRequests"]["headers"]
    body = nobody.get(f"{API}/events").json()
    assert set(problem["required"]) <= body.keys() <= problem["properties"].keys()


def test_body_of_a_report_is_described_with_its_members(document):
    schemas = document["components"]["schemas"]
    content = document["paths"][f"{API}/events"]["post"]["requestBody"]["content"]
    name = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    assert set(schemas[name]["properties"]) == {"events", "agent_manifest"}
    reported = schemas["ReportedEvent"]
    assert set(event("x")) == set(reported["properties"])
    assert {"call_id", "agent_id", "tool_name", "verdict", "mode"} == set(reported["required"])


def test_answers_have_the_members_that_are_described(document, owner):
    [item] = report(owner, event("described"))["items"]
    for path, made in (
        ("/transparency/head", "/transparency/head"),
        ("/events/{event_id}", f"/events/{item['event_id']}"),
        ("/events", "/events"),
        ("/keys", "/keys"),
        ("/health/details", "/health/details"),
    ):
        schema = document["paths"][API + path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        shape = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        assert set(shape["properties"]) == owner.get(API + made).json().keys(), path


# --------------------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_page_takes_everything_from_the_service_itself(nobody, path):
    page = nobody.get(path)
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assets = [address for address in loaded if not address.startswith("data:")]
    assert assets
    for address in assets:
        assert address.startswith("/docs/assets/")
        asset = nobody.get(address)
        assert asset.status_code == 200
        assert len(asset.content) > 1000
        assert asset.headers["content-type"].split(";")[0] in ("text/javascript", "application/javascript", "text/css")
    outside = re.sub(r"<script>.*?</script>", "", page.text, flags=re.DOTALL)
    assert not re.search(r"""(?:url\(|@import|//)\s*["']?https?:""", outside)
    assert "fonts.googleapis" not in page.text
    assert "cdn." not in page.text


@pytest.mark.parametrize(("path", "rendered"), [("/docs", "opblock-summary-path"), ("/redoc", "operation/")])
def test_page_works_in_a_browser_without_the_internet(service, tmp_path, path, rendered):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--virtual-time-budget=20000", "--dump-dom", service.url + path,
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=100).stdout
    assert dom.count(rendered) >= 25
    assert "Report events" in dom


def test_llms_txt_leads_to_what_is_there(nobody, document):
    answer = nobody.get("/llms.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("# ")
    links = re.findall(r"\]\(([^)]+)\)", answer.text)
    assert links
    for link in links:
        address, _, pointer = link.partition("#")
        assert nobody.get(address).status_code == 200
        value = document
        for step in pointer.split("/")[1:]:
            value = value[step.replace("~1", "/").replace("~0", "~")]


def test_verifier_is_the_file_and_the_root_log_has_its_digest(service, nobody, tmp_path):
    answer = nobody.get("/ledger-verify.pyz")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.content == (service.data / "ledger-verify.pyz").read_bytes()
    released = nobody.get("/root/tile/entries/000.p/3").content
    assert hashlib.sha256(answer.content).hexdigest().encode() in released
    file = tmp_path / "ledger-verify.pyz"
    file.write_bytes(answer.content)
    with service.client() as client:
        [item] = report(client, event("for-the-verifier"))["items"]
        receipt = tmp_path / "receipt.json"
        receipt.write_bytes(client.get(f"{API}/receipts/{item['event_id']}").content)
    command = ["python3", "-I", "-S", str(file), "receipt", str(receipt), "--key", service.keys["log_vkey"], "--json"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)


def test_service_without_the_verifier_says_so(fresh_ledger):
    place, _ = fresh_ledger
    place.verifier.unlink()

    async def ask():
        async with application(place) as app, asgi_client(app) as client:
            return await client.get("/ledger-verify.pyz")

    assert asyncio.run(ask()).status_code == 404
