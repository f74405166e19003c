"""Rules of Trunkline that its OpenAPI document cannot express, for the tests of scripts/schemathesis/run."""

import os

import schemathesis

# Objects that other requests need. A request that would delete one deletes an unneeded object of the same kind instead.
KEPT = {"acme", "my-acme", "other-acme", os.environ.get("TESTED_KEY_ID")}
UNNEEDED = "doomed"

# Codes of a 400 that depends on the server's state and not on the request's shape: an object does not exist, or the provider refused.
STATE_DEPENDENT = {
    "unknown_provider_config",
    "unknown_connection",
    "unknown_provider",
    "unknown_sync",
    # An invalid name in the path never exists.
    "invalid_uri_params",
    "connection_test_failed",
    "conflict",
    "sync_variant_already_exists",
    # Integration and syncs may be in the body or in a header, so the body does not require them.
    "missing_provider_config_key",
    "no_syncs_found",
}

# What else depends on the server and its connections, by path.
STATE_DEPENDENT_AT = {
    # Without a public URL and a secret nothing can be subscribed to.
    "/{integration}/webhooks": "connection_validation_failed",
}

# Paths with rules outside the schema: the fields of a provider, and the description of the proxy.
OTHER_RULES = {"/{integration}/connect", "/proxy/{endpoint}"}

# Fields with a rule that JSON Schema cannot express. A 400 must name only these fields.
RULES = {
    "page": "within the range of the database",
    "search": "for providers a regular expression",
    "scopes": "existing scopes that the caller's key has",
    "provider": "must exist; for a quick start (OAuth only) none",
    "credentials": "none for an integration (OAuth only); for a connection those of its provider",
    "accountSid": "a connection keeps the account of its rows",
    "name": "unused",
    "uniqueKey": "unused",
    "end_user": "required without tags; limited length",
    "organization": "limited length",
    "allowed_integrations": "must exist",
    "integration_id": "must exist",
    "connection_id": "must exist",
    "webhook_url_override": "an http or https URL",
    "connection_config": "the provider's fields",
    "integration_config": "the provider's fields, with limited length",
    "overrides": "existing integrations",
    "integrations_config_defaults": "existing integrations",
    "limit": "without a fraction; JSON Schema accepts 5.0 as an integer",
    "timeLimit": "the same",
    "timeout": "the same",
    "validityPeriod": "the same",
    "to": "a phone number or a channel address",
    "areaCode": "without a fraction; JSON Schema accepts 5.0 as an integer",
    "phoneNumber": "the same as to",
    "from": "the same; required unless an alternative field is present",
    "body": "required unless an alternative field is present",
    "url": "the same",
    "input": "as declared by the action",
    "frequency": "a schedule that the provider allows",
    "until_cursor": "only a cursor of a record",
    "filter": "kinds of changes, separated by commas",
    "ids": "each of 1 to 16384 characters",
    "cursor": "only the next_cursor of a page",
    "opts": "not with the older parameters; emptyCache only with reset",
    "tags": "at most ten, in lower case",
    "metadata": "limited size and depth",
    "types": "types of events, separated by commas",
    "events": "types of events, or groups of them",
    "integrations": "keys of integrations",
    "timeout_seconds": "without a fraction; JSON Schema accepts 5.0 as an integer",
    "retry_seconds": "the same; each at most seven days",
    "rate_per_second": "the same",
    "concurrency": "the same",
    "from_change": "the same; not with since or status",
    "since": "not with from_change",
    "headers": "names and values of headers, with limited length",
    "primary_url": "an http or https URL",
    "secondary_url": "the same",
    "secret": "a key of Standard Webhooks; only when an endpoint is made",
    "ed25519": "only when an endpoint is made",
    "subscription": "one that the provider's file declares",
}


def errors(response):
    """Returns the error of a response, or an empty map if it has none."""
    try:
        found = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


@schemathesis.check
def a_valid_request_is_refused_only_for_a_rule_outside_the_schema(ctx, response, case):
    """Checks the 400 responses that the configuration allows for `positive_data_acceptance`."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.path in OTHER_RULES or "%00" in response.request.url:
        # The database does not accept NUL in text.
        return
    error = errors(response)
    if error.get("code") in STATE_DEPENDENT or error.get("code") == STATE_DEPENDENT_AT.get(case.path, ""):
        return
    found = error.get("errors") or []
    if any(field.get("code") == "unknown" for field in found):
        # Stateful tests fill bodies with values from other responses, against the schema.
        return
    fields = [".".join(field.get("path", [])) for field in found]
    unknown = [field for field in fields if field.split(".")[0] not in RULES]
    assert fields and not unknown, f"a valid request was refused: {error.get('code')}, fields {fields}"


@schemathesis.check
def every_error_has_its_shape(ctx, response, case):
    """Checks that an error has a code, a message, and the request's id."""
    if response.status_code < 400:
        return
    assert response.headers.get("x-request-id"), "the response has no X-Request-Id"
    if response.headers.get("trunkline-upstream-status") or case.method.upper() == "HEAD" or response.request.method == "HEAD":
        return
    error = errors(response)
    assert error.get("code") and error.get("message"), f"the error has another shape: {response.text[:200]!r}"


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Protects the objects that every request needs: the integration, the connections and the key."""
    deletes = case.method.upper() == "DELETE" or (case.method.upper() == "PATCH" and case.path == "/integrations/{unique_key}")
    if deletes and case.path_parameters:
        for name, value in list(case.path_parameters.items()):
            if value in KEPT:
                case.path_parameters[name] = UNNEEDED


@schemathesis.hook
def filter_case(ctx, case):
    """Skips requests whose only error is an unknown header, because HTTP ignores unknown headers, and methods of other routes."""
    # A short route of an action may have the path of a list, with another method.
    if case.path == "/{integration}/{plural}" and case.method.upper() not in {"GET", "HEAD"}:
        return False
    return "x-schemathesis-unknown-property" not in {name.lower() for name in case.headers or {}}
