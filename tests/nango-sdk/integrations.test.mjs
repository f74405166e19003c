// Integrations: a provider under a name of the environment.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertRejected, importConnection, nango, request, TIME_Z } from './support/world.mjs';

test('an integration is created, returned and listed', async () => {
    const { data } = await nango.createIntegration({ provider: 'acme', unique_key: 'acme-made', display_name: 'Our Acme' });
    assert.equal(data.unique_key, 'acme-made');
    assert.equal(data.provider, 'acme');
    assert.equal(data.display_name, 'Our Acme');
    assert.equal(typeof data.logo, 'string');
    assert.equal(data.forward_webhooks, true);
    assert.match(data.created_at, TIME_Z);
    assert.match(data.updated_at, TIME_Z);

    const got = await nango.getIntegration({ uniqueKey: 'acme-made' });
    assert.deepEqual(got.data, data);
    assert.ok(!('webhook_url' in got.data));
    assert.ok(!('credentials' in got.data));
    const { configs } = await nango.listIntegrations();
    assert.deepEqual(configs.find((integration) => integration.unique_key === 'acme-made'), data);
});

test('an integration without its own name has its provider\'s', async () => {
    const { data } = await nango.createIntegration({ provider: 'acme', unique_key: 'acme-plain', forward_webhooks: false });
    assert.equal(data.display_name, 'Acme');
    assert.equal(data.forward_webhooks, false);
});

test('a duplicate key is refused with the path that Nango uses', async () => {
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-twice' });
    const error = await assertRejected(nango.createIntegration({ provider: 'acme', unique_key: 'acme-twice' }), 400, 'invalid_body');
    assert.deepEqual(error.errors[0].path, ['uniqueKey']);
    assert.match(error.errors[0].message, /^Unique key already exists/);
});

test('an integration of an unknown provider is refused', async () => {
    const error = await assertRejected(nango.createIntegration({ provider: 'nobody', unique_key: 'x' }), 400, 'invalid_body');
    assert.deepEqual(error.errors[0].path, ['provider']);
});

test('OAuth credentials are refused for a provider with API keys', async () => {
    const credentials = { type: 'OAUTH2', client_id: 'a', client_secret: 'b', scopes: '' };
    const wanted = nango.createIntegration({ provider: 'acme', unique_key: 'acme-oauth', credentials });
    await assertRejected(wanted, 400, 'invalid_body');
});

test('the quickstart is only for OAuth and is refused', async () => {
    await assertRejected(nango.createQuickstartIntegration({ provider: 'acme' }), 400, 'invalid_body');
});

test('the webhook URL and the credentials are returned on request', async () => {
    const of = { uniqueKey: 'acme-included' };
    await nango.createIntegration({ provider: 'acme', unique_key: of.uniqueKey });
    const webhook = await nango.getIntegration(of, { include: ['webhook'] });
    assert.ok(webhook.data.webhook_url === null || typeof webhook.data.webhook_url === 'string');
    const credentials = await nango.getIntegration(of, { include: ['credentials'] });
    assert.equal(credentials.data.credentials, null);
    // The SDK sends only the last of several values.
    const both = await request('GET', '/integrations/acme-included?include=webhook&include=credentials');
    assert.ok('webhook_url' in both.body.data && 'credentials' in both.body.data);
    await assertRejected(nango.getIntegration(of, { include: ['colour'] }), 400, 'invalid_query_params');
});

test('an unknown integration is 404 not_found', async () => {
    await assertRejected(nango.getIntegration({ uniqueKey: 'nobody' }), 404, 'not_found');
    await assertRejected(nango.updateIntegration({ uniqueKey: 'nobody' }, { display_name: 'x' }), 404, 'not_found');
    await assertRejected(nango.deleteIntegration('nobody'), 404, 'not_found');
});

test('an integration is renamed while it has no connections', async () => {
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-old' });
    const changed = { unique_key: 'acme-new', display_name: 'New', forward_webhooks: false };
    const { data } = await nango.updateIntegration({ uniqueKey: 'acme-old' }, changed);
    assert.equal(data.unique_key, 'acme-new');
    assert.equal(data.display_name, 'New');
    assert.equal(data.forward_webhooks, false);
    await assertRejected(nango.getIntegration({ uniqueKey: 'acme-old' }), 404, 'not_found');

    await importConnection({
        provider_config_key: 'acme-new',
        connection_id: 'keeps-its-name',
        credentials: { type: 'API_KEY', apiKey: 'ak_keeps' }
    });
    await assertRejected(nango.updateIntegration({ uniqueKey: 'acme-new' }, { unique_key: 'acme-newer' }), 400, 'invalid_body');
});

test('an integration cannot take the key of another', async () => {
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-one' });
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-other' });
    await assertRejected(nango.updateIntegration({ uniqueKey: 'acme-one' }, { unique_key: 'acme-other' }), 400, 'invalid_body');
});

test('a deleted integration does not exist', async () => {
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-gone' });
    const response = await nango.deleteIntegration('acme-gone');
    assert.equal(response.status, 200);
    assert.deepEqual(response.data, { success: true });
    await assertRejected(nango.getIntegration({ uniqueKey: 'acme-gone' }), 404, 'not_found');
});
