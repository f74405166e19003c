// Authentication, and the form of requests.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { assertError, assertRejected, nango, request, sdk, stage } from './support/world.mjs';

test('a UUID v4 key is accepted, under both option names of the SDK', async () => {
    for (const config of [{ secretKey: stage.key }, { apiKey: stage.key }]) {
        const { configs } = await sdk(undefined, config).listIntegrations();
        assert.ok(Array.isArray(configs));
    }
});

test('a slash after the host is ignored', async () => {
    await sdk(stage.key, { host: `${stage.url}/` }).listIntegrations();
});

test('a key after "Bearer" in any case, or without it, is accepted', async () => {
    for (const authorization of [stage.key, `Bearer ${stage.key}`]) {
        const response = await request('GET', '/integrations', { key: null, headers: { authorization } });
        assert.equal(response.status, 200, authorization);
    }
});

test('an unknown key is refused with 401 unknown_account', async () => {
    await assertRejected(sdk(randomUUID()).listIntegrations(), 401, 'unknown_account');
});

test('no key is refused with 401 missing_auth_header', async () => {
    const response = await request('GET', '/integrations', { key: null });
    assertError(response.status, response.body, 401, 'missing_auth_header');
});

test('a key without the scope is refused with 403 forbidden', async () => {
    const made = await request('POST', '/environments/dev/api-keys', {
        body: { name: 'reader', scopes: ['environment:connections:list'] }
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const reader = sdk(made.body.data.secret);

    assert.ok(Array.isArray((await reader.listConnections()).connections));
    await assertRejected(reader.listIntegrations(), 403, 'forbidden');
    await assertRejected(reader.triggerAction('twilio', 'any', 'get-balance'), 403, 'forbidden');
    await assertRejected(reader.get({ providerConfigKey: 'acme', connectionId: 'any', endpoint: '/me' }), 403, 'forbidden');
});

test('a body that is not JSON is refused with 400 invalid_json', async () => {
    const response = await request('POST', '/sync/trigger', { body: '{"syncs":' });
    assertError(response.status, response.body, 400, 'invalid_json');
});

test('a body of another type is refused with 415 invalid_content_type', async () => {
    const response = await request('POST', '/sync/trigger', { body: 'a=b', headers: { 'content-type': 'text/plain' } });
    assertError(response.status, response.body, 415, 'invalid_content_type');
});

test('an unknown field is refused with 400 invalid_body and its path', async () => {
    const error = await assertRejected(nango.createConnectSession({ end_user: { id: 'u' }, colour: 'red' }), 400, 'invalid_body');
    assert.ok(error.errors.length > 0);
});

test('an unknown query parameter of a change is refused with 400 invalid_query_params', async () => {
    const response = await request('POST', '/sync/trigger?colour=red', { body: { syncs: [], provider_config_key: 'acme' } });
    assertError(response.status, response.body, 400, 'invalid_query_params');
});

test('the health check needs no key', async () => {
    const response = await request('GET', '/health', { key: null });
    assert.equal(response.status, 200);
    assert.deepEqual(response.body, { result: 'ok' });
});
