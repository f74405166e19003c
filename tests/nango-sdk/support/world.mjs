// Clients of the running programs, and shared helpers.

import assert from 'node:assert/strict';

import { Nango } from '@nangohq/node';

/** The timeout for background work of the program. */
const TIMEOUT_MS = 60_000;
const POLL_MS = 20;

if (!process.env.SDK_TEST_STAGE) {
    throw new Error('these tests need a running trunkline: start them with `run` (see README.md)');
}
/** `{database, url, key, sim, acme}`: the URLs of all programs, and an API key with all scopes. */
export const stage = JSON.parse(process.env.SDK_TEST_STAGE);

/** The SDK with this key. */
export const nango = sdk(stage.key);

export function sdk(key, more = {}) {
    return new Nango({ host: stage.url, secretKey: key, ...more });
}

/** Sends a request for which the SDK has no method. */
export async function request(method, path, { body, headers = {}, key = stage.key } = {}) {
    const response = await fetch(`${stage.url}${path}`, {
        method,
        headers: {
            ...(key ? { authorization: `Bearer ${key}` } : {}),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) })
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

/** Asserts that a request failed with this status and code, in the common shape of errors. Returns the error. */
export async function assertRejected(promise, status, code) {
    const response = await promise.then(
        (value) => assert.fail(`unexpected response: ${JSON.stringify(value?.data ?? value)}`),
        (error) => error.response ?? assert.fail(error)
    );
    return assertError(response.status, response.data, status, code);
}

/** The same for a response of `request`. */
export function assertError(given, body, status, code) {
    assert.equal(given, status, JSON.stringify(body));
    assert.equal(body.error.code, code, JSON.stringify(body));
    assert.equal(typeof body.error.message, 'string');
    assert.notEqual(body.error.message, '');
    for (const error of body.error.errors ?? []) {
        assert.equal(typeof error.code, 'string');
        assert.equal(typeof error.message, 'string');
        assert.ok(error.path.every((part) => typeof part === 'string'));
    }
    return body.error;
}

/** Repeats `probe` until it returns a value. */
export async function waitFor(what, probe) {
    const end = Date.now() + TIMEOUT_MS;
    for (;;) {
        const found = await probe();
        if (found) {
            return found;
        }
        assert.ok(Date.now() < end, `timeout while waiting for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
}

async function control(url, method, body) {
    const response = await fetch(url, {
        method,
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${url}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
}

/** Sends a request to a control route of the simulated Twilio. */
export function sim(method, path, body) {
    return control(`${stage.sim}/_sim/${path}`, method, body);
}

/** Sends a request to a control route of Acme. */
export function acme(what, body) {
    return control(`${stage.acme}/_acme/${what}`, 'POST', body);
}

/** Imports a connection and returns it. */
export async function importConnection(body) {
    const response = await request('POST', '/connections', { body });
    assert.equal(response.status, 201, JSON.stringify(response.body));
    return response.body;
}

/** Connects an account of Acme with these orders. */
export async function connectAcme(name, { orders = [], ...more } = {}) {
    const apiKey = `ak_${name.toLowerCase().replace(/[^a-z0-9-]/g, '-')}`;
    await acme('orders', { key: apiKey, orders });
    return importConnection({
        provider_config_key: 'acme',
        connection_id: name,
        credentials: { type: 'API_KEY', apiKey },
        ...more
    });
}

/** Connects the simulated Twilio account. */
export async function connectTwilio(name) {
    const known = await sim('GET', 'credentials');
    return importConnection({
        provider_config_key: 'twilio',
        connection_id: name,
        credentials: { type: 'BASIC', username: known.main_key_sid, password: known.main_key_secret },
        connection_config: { accountSid: known.account_sid }
    });
}

/** Creates orders of Acme, newest first. */
export function orders(...ids) {
    return ids.map((id, index) => ({ id, created: `2026-01-0${9 - index}T10:00:00Z`, state: 'open', amount: 100 + index }));
}

/** Returns the status of a connection's sync. */
export async function statusOf(connection, sync = 'acme-orders') {
    const { syncs } = await nango.syncStatus('acme', [sync], connection);
    assert.equal(syncs.length, 1);
    return syncs[0];
}

/** Waits until a connection's sync has ended a run (after `since`, if set) and none is in progress. */
export function waitForSync(connection, { sync = 'acme-orders', since } = {}) {
    return waitFor(`the end of ${sync} of ${connection}`, async () => {
        const status = await statusOf(connection, sync);
        const ended = status.finishedAt && status.finishedAt !== since?.finishedAt && status.status !== 'RUNNING';
        return ended ? status : undefined;
    });
}

/** Replaces the orders of an account and syncs them. */
export async function syncAgain(connection, found) {
    const since = await waitForSync(connection);
    await acme('orders', { key: `ak_${connection}`, orders: found });
    await nango.triggerSync('acme', ['acme-orders'], connection);
    return waitForSync(connection, { since });
}

/** A UUID v4, like Nango's. */
export const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** ISO 8601 in UTC with `Z`. */
export const TIME_Z = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
/** ISO 8601 in UTC with an offset. */
export const TIME_OFFSET = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/;
