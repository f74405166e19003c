// Integrations: what an environment calls a provider.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { call, imported, nango, refused, TIME_Z } from './support/world.mjs';

test('an integration is made, told and listed', async () => {
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

test('an integration without a name of its own bears its provider\'s', async () => {
    const { data } = await nango.createIntegration({ provider: 'acme', unique_key: 'acme-plain', forward_webhooks: false });
    assert.equal(data.display_name, 'Acme');
    assert.equal(data.forward_webhooks, false);
});

test('a key that is taken is refused at the path that Nango names', async () => {
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-twice' });
    const error = await refused(nango.createIntegration({ provider: 'acme', unique_key: 'acme-twice' }), 400, 'invalid_body');
    assert.deepEqual(error.errors[0].path, ['uniqueKey']);
    assert.match(error.errors[0].message, /^Unique key already exists/);
});

test('an integration of an unknown provider is refused', async () => {
    const error = await refused(nango.createIntegration({ provider: 'nobody', unique_key: 'x' }), 400, 'invalid_body');
    assert.deepEqual(error.errors[0].path, ['provider']);
});

test('OAuth credentials do not go with a provider that takes a key', async () => {
    const credentials = { type: 'OAUTH2', client_id: 'a', client_secret: 'b', scopes: '' };
    const wanted = nango.createIntegration({ provider: 'acme', unique_key: 'acme-oauth', credentials });
    await refused(wanted, 400, 'invalid_body');
});

test('the quickstart is for OAuth alone and is refused', async () => {
    await refused(nango.createQuickstartIntegration({ provider: 'acme' }), 400, 'invalid_body');
});

test('the address for webhooks and the credentials are told if they are asked for', async () => {
    const of = { uniqueKey: 'acme-included' };
    await nango.createIntegration({ provider: 'acme', unique_key: of.uniqueKey });
    const webhook = await nango.getIntegration(of, { include: ['webhook'] });
    assert.ok(webhook.data.webhook_url === null || typeof webhook.data.webhook_url === 'string');
    const credentials = await nango.getIntegration(of, { include: ['credentials'] });
    assert.equal(credentials.data.credentials, null);
    // The SDK sends the last of several alone.
    const both = await call('GET', '/integrations/acme-included?include=webhook&include=credentials');
    assert.ok('webhook_url' in both.body.data && 'credentials' in both.body.data);
    await refused(nango.getIntegration(of, { include: ['colour'] }), 400, 'invalid_query_params');
});

test('an unknown integration is 404 not_found', async () => {
    await refused(nango.getIntegration({ uniqueKey: 'nobody' }), 404, 'not_found');
    await refused(nango.updateIntegration({ uniqueKey: 'nobody' }, { display_name: 'x' }), 404, 'not_found');
    await refused(nango.deleteIntegration('nobody'), 404, 'not_found');
});

test('an integration is renamed while it has no connections', async () => {
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-old' });
    const changed = { unique_key: 'acme-new', display_name: 'New', forward_webhooks: false };
    const { data } = await nango.updateIntegration({ uniqueKey: 'acme-old' }, changed);
    assert.equal(data.unique_key, 'acme-new');
    assert.equal(data.display_name, 'New');
    assert.equal(data.forward_webhooks, false);
    await refused(nango.getIntegration({ uniqueKey: 'acme-old' }), 404, 'not_found');

    await imported({
        provider_config_key: 'acme-new',
        connection_id: 'keeps-its-name',
        credentials: { type: 'API_KEY', apiKey: 'ak_keeps' }
    });
    await refused(nango.updateIntegration({ uniqueKey: 'acme-new' }, { unique_key: 'acme-newer' }), 400, 'invalid_body');
});

test('an integration does not take the key of another', async () => {
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-one' });
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-other' });
    await refused(nango.updateIntegration({ uniqueKey: 'acme-one' }, { unique_key: 'acme-other' }), 400, 'invalid_body');
});

test('a deleted integration is gone', async () => {
    await nango.createIntegration({ provider: 'acme', unique_key: 'acme-gone' });
    const answer = await nango.deleteIntegration('acme-gone');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.data, { success: true });
    await refused(nango.getIntegration({ uniqueKey: 'acme-gone' }), 404, 'not_found');
});
