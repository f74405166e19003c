"""What the tests of scripts/schemathesis/run know of Trunkline beyond its OpenAPI document."""

import os

import schemathesis

# What the other calls are about; a call that would take it away takes something of its own kind away that nobody needs.
KEPT = {"acme", "my-acme", "other-acme", os.environ.get("TESTED_KEY_ID")}
NEEDED_BY_NOBODY = "doomed"

# Codes of a 400 that is about the world and not about the request's shape: what it names is not there, or a provider said no.
ABOUT_THE_WORLD = {
    "unknown_provider_config",
    "unknown_connection",
    "unknown_provider",
    "unknown_sync",
    # A name in the path that breaks its rule names nothing.
    "invalid_uri_params",
    "connection_test_failed",
    "conflict",
    "sync_variant_already_exists",
    # Which integration and which syncs may stand in the body or in a header, so neither is required in the body.
    "missing_provider_config_key",
    "no_syncs_found",
}

# Paths whose rules stand elsewhere: which fields a provider wants at its own path, what the proxy takes in its description.
ELSEWHERE = {"/{integration}/connect", "/proxy/{endpoint}"}

# Fields with a rule that JSON Schema cannot tell, by the name of each; a 400 must be about one of these and nothing else.
RULES = {
    "page": "as far as the database can count",
    "search": "at providers a regular expression",
    "scopes": "those that there are, and none that the caller's own key lacks",
    "provider": "one that is there; for a quick start, which is OAuth's, none",
    "credentials": "an integration has none, they are OAuth's; a connection those of its provider",
    "accountSid": "a connection keeps the account that its rows came from",
    "name": "not taken",
    "uniqueKey": "not taken",
    "end_user": "needed unless there are tags; its texts are bounded",
    "organization": "its texts are bounded",
    "allowed_integrations": "those that there are",
    "integration_id": "one that there is",
    "connection_id": "one that there is",
    "webhook_url_override": "an address of http or https",
    "connection_config": "the fields that the provider has",
    "integration_config": "the fields that the provider has, bounded",
    "overrides": "of integrations that there are",
    "integrations_config_defaults": "of integrations that there are",
    "limit": "written without a fraction, where JSON Schema takes 5.0 for an integer",
    "timeLimit": "the same",
    "timeout": "the same",
    "validityPeriod": "the same",
    "to": "a phone number or the address of a channel",
    "areaCode": "written without a fraction, where JSON Schema takes 5.0 for an integer",
    "phoneNumber": "the same as to",
    "from": "the same; needed unless another field stands for it",
    "body": "needed unless another field stands for it",
    "url": "the same",
    "input": "as the action declares it",
    "frequency": "a schedule within what a provider allows",
    "until_cursor": "only what a record bears",
    "filter": "kinds of changes with commas between",
    "ids": "each of 1 to 16384 characters",
    "cursor": "only what a page gave as next_cursor",
    "opts": "not beside the older words, and emptyCache only with reset",
    "tags": "ten at most, in lower case",
    "metadata": "bounded in size and depth",
}


def errors(response):
    """The error of an answer, or an empty map if it is not shaped as one."""
    try:
        found = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


@schemathesis.check
def a_request_that_the_schema_allows_is_refused_for_a_reason_beyond_it(ctx, response, case):
    """Stands in for what the configuration takes from `positive_data_acceptance`."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.path in ELSEWHERE or "%00" in response.request.url:
        # NUL is no text anywhere, as the database has it.
        return
    error = errors(response)
    if error.get("code") in ABOUT_THE_WORLD:
        return
    found = error.get("errors") or []
    if any(field.get("code") == "unknown" for field in found):
        # Stateful tests fill a body with what another operation answered, whatever its schema says.
        return
    fields = [".".join(field.get("path", [])) for field in found]
    unknown = [field for field in fields if field.split(".")[0] not in RULES]
    assert fields and not unknown, f"a request that the schema allows was refused: {error.get('code')}, fields {fields}"


@schemathesis.check
def every_error_has_its_shape(ctx, response, case):
    """A code, a message, and the request's id."""
    if response.status_code < 400:
        return
    assert response.headers.get("x-request-id"), "an answer without X-Request-Id"
    if response.headers.get("trunkline-upstream-status") or case.method.upper() == "HEAD" or response.request.method == "HEAD":
        return
    error = errors(response)
    assert error.get("code") and error.get("message"), f"an error of another shape: {response.text[:200]!r}"


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Keeps what every call needs: the integration, the connections and the key."""
    takes_away = case.method.upper() == "DELETE" or (case.method.upper() == "PATCH" and case.path == "/integrations/{unique_key}")
    if takes_away and case.path_parameters:
        for name, value in list(case.path_parameters.items()):
            if value in KEPT:
                case.path_parameters[name] = NEEDED_BY_NOBODY


@schemathesis.hook
def filter_case(ctx, case):
    """Leaves out requests whose one fault is a header that nobody knows: HTTP says to ignore those."""
    return "x-schemathesis-unknown-property" not in {name.lower() for name in case.headers or {}}
