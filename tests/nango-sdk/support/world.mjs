// What the tests talk to, and what they say over and over again.

import assert from 'node:assert/strict';

import { Nango } from '@nangohq/node';

/** For what the program does by itself to come about. */
const PATIENCE_MS = 60_000;
const POLL_MS = 20;

if (!process.env.SDK_TEST_STAGE) {
    throw new Error('these tests need a running trunkline: see README.md');
}
/** `{database, url, key, sim, acme}`: where everything is, and a key that may do everything. */
export const stage = JSON.parse(process.env.SDK_TEST_STAGE);

/** The SDK with that key. */
export const nango = sdk(stage.key);

export function sdk(key, more = {}) {
    return new Nango({ host: stage.url, secretKey: key, ...more });
}

/** Calls what the SDK has no method for. */
export async function call(method, path, { body, headers = {}, key = stage.key } = {}) {
    const answer = await fetch(`${stage.url}${path}`, {
        method,
        headers: {
            ...(key ? { authorization: `Bearer ${key}` } : {}),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) })
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) };
}

/** That the call was refused with that status and code, in the shape that every client can read; gives the error. */
export async function refused(promise, status, code) {
    const answer = await promise.then(
        (value) => assert.fail(`answered with ${JSON.stringify(value?.data ?? value)}`),
        (error) => error.response ?? assert.fail(error)
    );
    return isRefusal(answer.status, answer.data, status, code);
}

/** The same of an answer to [`call`]. */
export function isRefusal(given, body, status, code) {
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

/** Asks until `probe` gives something. */
export async function until(what, probe) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
        const found = await probe();
        if (found) {
            return found;
        }
        assert.ok(Date.now() < end, `${what} did not come about`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
}

async function told(url, method, body) {
    const answer = await fetch(url, {
        method,
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${url}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
}

/** A control address of the simulated Twilio. */
export function sim(method, path, body) {
    return told(`${stage.sim}/_sim/${path}`, method, body);
}

/** A control address of Acme. */
export function acme(what, body) {
    return told(`${stage.acme}/_acme/${what}`, 'POST', body);
}

/** Imports a connection; gives the whole of it. */
export async function imported(body) {
    const answer = await call('POST', '/connections', { body });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
}

/** A connection to an account of Acme that has these orders. */
export async function connectAcme(name, { orders = [], ...more } = {}) {
    const apiKey = `ak_${name.toLowerCase().replace(/[^a-z0-9-]/g, '-')}`;
    await acme('orders', { key: apiKey, orders });
    return imported({
        provider_config_key: 'acme',
        connection_id: name,
        credentials: { type: 'API_KEY', apiKey },
        ...more
    });
}

/** A connection to the simulated Twilio account. */
export async function connectTwilio(name) {
    const known = await sim('GET', 'credentials');
    return imported({
        provider_config_key: 'twilio',
        connection_id: name,
        credentials: { type: 'BASIC', username: known.main_key_sid, password: known.main_key_secret },
        connection_config: { accountSid: known.account_sid }
    });
}

/** Orders of Acme, the newest first. */
export function orders(...ids) {
    return ids.map((id, index) => ({ id, created: `2026-01-0${9 - index}T10:00:00Z`, state: 'open', amount: 100 + index }));
}

/** The one status of a connection's sync. */
export async function statusOf(connection, sync = 'acme-orders') {
    const { syncs } = await nango.syncStatus('acme', [sync], connection);
    assert.equal(syncs.length, 1);
    return syncs[0];
}

/** Waits until a connection's sync has run to its end, after `since` if that is given, and nothing of it is under way. */
export function settled(connection, { sync = 'acme-orders', since } = {}) {
    return until(`the end of ${sync} of ${connection}`, async () => {
        const status = await statusOf(connection, sync);
        const ended = status.finishedAt && status.finishedAt !== since?.finishedAt && status.status !== 'RUNNING';
        return ended ? status : undefined;
    });
}

/** Gives an account other orders, and has them read. */
export async function reread(connection, found) {
    const since = await settled(connection);
    await acme('orders', { key: `ak_${connection}`, orders: found });
    await nango.triggerSync('acme', ['acme-orders'], connection);
    return settled(connection, { since });
}

/** A UUID v4 as Nango makes them. */
export const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** ISO 8601 in UTC, written with Z. */
export const TIME_Z = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
/** The same, written with an offset. */
export const TIME_OFFSET = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/;
