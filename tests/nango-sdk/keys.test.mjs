// Who may call, and what a call must look like.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { call, isRefusal, nango, refused, sdk, stage } from './support/world.mjs';

test('a key of UUID v4 is taken, under either of its names in the SDK', async () => {
    for (const config of [{ secretKey: stage.key }, { apiKey: stage.key }]) {
        const { configs } = await sdk(undefined, config).listIntegrations();
        assert.ok(Array.isArray(configs));
    }
});

test('a slash behind the host does no harm', async () => {
    await sdk(stage.key, { host: `${stage.url}/` }).listIntegrations();
});

test('a key behind "Bearer" in any case, or without it, is taken', async () => {
    for (const authorization of [stage.key, `Bearer ${stage.key}`]) {
        const answer = await call('GET', '/integrations', { key: null, headers: { authorization } });
        assert.equal(answer.status, 200, authorization);
    }
});

test('an unknown key is refused with 401 unknown_account', async () => {
    await refused(sdk(randomUUID()).listIntegrations(), 401, 'unknown_account');
});

test('no key is refused with 401 missing_auth_header', async () => {
    const answer = await call('GET', '/integrations', { key: null });
    isRefusal(answer.status, answer.body, 401, 'missing_auth_header');
});

test('a key without the scope is refused with 403 forbidden', async () => {
    const made = await call('POST', '/environments/dev/api-keys', {
        body: { name: 'reader', scopes: ['environment:connections:list'] }
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const reader = sdk(made.body.data.secret);

    assert.ok(Array.isArray((await reader.listConnections()).connections));
    await refused(reader.listIntegrations(), 403, 'forbidden');
    await refused(reader.triggerAction('twilio', 'any', 'get-balance'), 403, 'forbidden');
    await refused(reader.get({ providerConfigKey: 'acme', connectionId: 'any', endpoint: '/me' }), 403, 'forbidden');
});

test('a body that is no JSON is refused with 400 invalid_json', async () => {
    const answer = await call('POST', '/sync/trigger', { body: '{"syncs":' });
    isRefusal(answer.status, answer.body, 400, 'invalid_json');
});

test('a body of another type is refused with 415 invalid_content_type', async () => {
    const answer = await call('POST', '/sync/trigger', { body: 'a=b', headers: { 'content-type': 'text/plain' } });
    isRefusal(answer.status, answer.body, 415, 'invalid_content_type');
});

test('an unknown field is refused with 400 invalid_body and its path', async () => {
    const error = await refused(nango.createConnectSession({ end_user: { id: 'u' }, colour: 'red' }), 400, 'invalid_body');
    assert.ok(error.errors.length > 0);
});

test('a query that a change does not know is refused with 400 invalid_query_params', async () => {
    const answer = await call('POST', '/sync/trigger?colour=red', { body: { syncs: [], provider_config_key: 'acme' } });
    isRefusal(answer.status, answer.body, 400, 'invalid_query_params');
});

test('whether the gateway is well is told to everybody', async () => {
    const answer = await call('GET', '/health', { key: null });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, { result: 'ok' });
});
