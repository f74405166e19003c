// Connect sessions, and the two headless methods of @nangohq/frontend that need one.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import Frontend from '@nangohq/frontend';

import { acme, assertError, assertRejected, connectAcme, nango, request, sim, stage } from './support/world.mjs';

const TOKEN = /^nango_connect_session_[0-9a-f]{64}$/;

before(() => connectAcme('before-sessions'));

/** Creates a session and a front end with it. */
async function session(body = {}) {
    const { data } = await nango.createConnectSession({ end_user: { id: 'u-session' }, ...body });
    return { ...data, front: front(data.token) };
}

function front(token) {
    return new Frontend({ host: stage.url, connectSessionToken: token });
}

/** Asserts that the front end got an error with a code and a message. */
function refusedAuth(promise, type) {
    return assert.rejects(promise, (error) => {
        assert.equal(error.type, type, error.message);
        assert.equal(typeof error.message, 'string');
        assert.notEqual(error.message, '');
        return true;
    });
}

test('a session has a token and a link, and lasts half an hour', async () => {
    const asked = Date.now();
    const { token, connect_link: link, expires_at: end } = await session({
        organization: { id: 'o-1', display_name: 'Org' },
        allowed_integrations: ['acme'],
        tags: { plan: 'gold' }
    });
    assert.match(token, TOKEN);
    assert.equal(new URL(link).searchParams.get('session_token'), token);
    const minutes = (Date.parse(end) - asked) / 60_000;
    assert.ok(Math.abs(minutes - 30) < 1, `${minutes} minutes`);
});

test('creating a session is 201, and tags may replace the user', async () => {
    const response = await request('POST', '/connect/sessions', { body: { tags: { team: 'blue' } } });
    assert.equal(response.status, 201);
    assert.deepEqual(Object.keys(response.body.data).sort(), ['connect_link', 'expires_at', 'token']);
});

test('an invalid session is refused', async () => {
    const unknown = await assertRejected(
        nango.createConnectSession({ end_user: { id: 'u' }, allowed_integrations: ['nobody'] }),
        400,
        'invalid_body'
    );
    assert.equal(unknown.errors[0].message, 'Integration does not exist');
    assert.deepEqual(unknown.errors[0].path, ['allowed_integrations', '0']);
    await assertRejected(nango.createConnectSession({}), 400, 'invalid_body');
    await assertRejected(nango.createConnectSession({ end_user: { id: '' } }), 400, 'invalid_body');
});

test('the front end connects with a key', async () => {
    const { front } = await session({ end_user: { id: 'u-front', email: 'front@example.com' }, tags: { plan: 'gold' } });
    const made = await front.auth('acme', { credentials: { apiKey: 'ak_front' }, params: { region: 'eu' } });
    assert.deepEqual(Object.keys(made).filter((key) => key !== 'isPending').sort(), ['connectionId', 'providerConfigKey']);
    assert.equal(made.providerConfigKey, 'acme');

    const connection = await nango.getConnection('acme', made.connectionId);
    assert.deepEqual(connection.credentials, { type: 'API_KEY', apiKey: 'ak_front' });
    assert.deepEqual(connection.connection_config, { region: 'eu' });
    assert.equal(connection.end_user.id, 'u-front');
    assert.equal(connection.tags.plan, 'gold');
    assert.equal(connection.tags.end_user_email, 'front@example.com');
});

test('the front end connects with user name and password', async () => {
    const known = await sim('GET', 'credentials');
    const { front } = await session({ allowed_integrations: ['twilio'] });
    const made = await front.auth('twilio', {
        credentials: { username: known.account_sid, password: known.auth_token },
        params: { accountSid: known.account_sid }
    });
    assert.equal(made.providerConfigKey, 'twilio');
    const { credentials } = await nango.getConnection('twilio', made.connectionId);
    assert.deepEqual(credentials, { type: 'BASIC', username: known.account_sid, password: known.auth_token });
});

test('values of the session override those of the front end', async () => {
    const defaults = { acme: { connection_config: { region: 'us' } } };
    const { front } = await session({ integrations_config_defaults: defaults });
    const made = await front.auth('acme', { credentials: { apiKey: 'ak_defaults' }, params: { region: 'eu' } });
    assert.deepEqual((await nango.getConnection('acme', made.connectionId)).connection_config, { region: 'us' });
});

test('the front end gets the reason for a failed connection', async () => {
    const known = await sim('GET', 'credentials');
    const { front } = await session({ allowed_integrations: ['acme'] });
    await acme('revoke', { key: 'ak_front-revoked' });
    await refusedAuth(front.auth('acme', { credentials: { apiKey: 'ak_front-revoked' } }), 'connection_test_failed');
    await refusedAuth(front.auth('acme', { credentials: { apiKey: 'of another shape' } }), 'connection_validation_failed');
    const basic = { username: known.account_sid, password: known.auth_token };
    await refusedAuth(front.auth('acme', { credentials: basic }), 'invalid_auth_mode');
    await refusedAuth(front.auth('twilio', { credentials: basic }), 'integration_not_allowed');
    await refusedAuth(front.auth('nobody', { credentials: { apiKey: 'ak_front' } }), 'unknown_provider_config');
    await refusedAuth(front.auth('acme', 'a-name', { credentials: { apiKey: 'ak_front' } }), 'invalid_query_params');
    await refusedAuth(front.create('acme'), 'invalid_auth_mode');
});

test('an invalid token is refused', async () => {
    const credentials = { apiKey: 'ak_front' };
    await refusedAuth(front('nothing').auth('acme', { credentials }), 'invalid_connect_session_token_format');
    const unknown = front(`nango_connect_session_${'0'.repeat(64)}`);
    await refusedAuth(unknown.auth('acme', { credentials }), 'unknown_connect_session_token');
});

test('a session to reconnect replaces the credentials of its connection', async () => {
    await connectAcme('reconnected');
    const { data } = await nango.createReconnectSession({ connection_id: 'reconnected', integration_id: 'acme' });
    assert.match(data.token, TOKEN);
    // Acme has the same account under the new key.
    const made = await front(data.token).reconnect('acme', { credentials: { apiKey: 'ak_reconnected' } });
    assert.deepEqual([made.connectionId, made.providerConfigKey], ['reconnected', 'acme']);
    assert.ok((await request('GET', '/connect/session', { key: data.token })).body.data.isReconnecting);
});

test('a session to reconnect an unknown connection is refused', async () => {
    const wanted = { connection_id: 'nobody', integration_id: 'acme' };
    await assertRejected(nango.createReconnectSession(wanted), 400, 'invalid_body');
    await assertRejected(nango.createReconnectSession({ connection_id: 'reconnected', integration_id: 'nobody' }), 400, 'invalid_body');
});

test('a session provides the data of a connect page, and can be deleted', async () => {
    const { token } = await session({ end_user: { id: 'u-page', email: 'page@example.com' }, allowed_integrations: ['acme'] });
    const response = await request('GET', '/connect/session', { key: token });
    assert.equal(response.status, 200);
    const { data } = response.body;
    assert.equal(data.endUser.id, 'u-page');
    assert.deepEqual(data.allowed_integrations, ['acme']);
    assert.equal(typeof data.connectUISettings.theme.light.primary, 'string');
    assert.equal(typeof data.connectUISettings.theme.dark.primary, 'string');
    assert.equal(typeof data.connectUISettings.showWatermark, 'boolean');

    const integrations = await request('GET', '/integrations', { key: token });
    assert.deepEqual(integrations.body.data.map((one) => one.unique_key), ['acme']);
    assert.equal((await request('GET', '/providers/acme', { key: token })).status, 200);
    const forbidden = await request('GET', '/connections', { key: token });
    assert.ok([401, 403].includes(forbidden.status), `${forbidden.status}`);

    assert.equal((await request('DELETE', '/connect/session', { key: token })).status, 204);
    const gone = await request('GET', '/connect/session', { key: token });
    assertError(gone.status, gone.body, 401, 'unknown_connect_session_token');
});

test('a page of another origin may send requests', async () => {
    const preflight = await fetch(`${stage.url}/api-auth/api-key/acme`, {
        method: 'OPTIONS',
        headers: {
            origin: 'https://app.example',
            'access-control-request-method': 'POST',
            'access-control-request-headers': 'content-type'
        }
    });
    assert.ok(preflight.ok, `${preflight.status}`);
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
    assert.equal(preflight.headers.get('access-control-max-age'), '600');
    assert.match(preflight.headers.get('access-control-allow-headers'), /content-type/i);
});
