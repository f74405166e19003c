// The list of providers.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertRejected, nango, request } from './support/world.mjs';

test('providers are listed with their complete entries', async () => {
    const { data } = await nango.listProviders();
    const twilio = data.find((provider) => provider.name === 'twilio');
    assert.equal(twilio.display_name, 'Twilio');
    assert.equal(twilio.auth_mode, 'BASIC');
    assert.ok(Array.isArray(twilio.categories));
    assert.equal(typeof twilio.docs, 'string');
    assert.equal(typeof twilio.proxy.base_url, 'string');
    assert.match(twilio.logo_url, /^https?:\/\/.*\/images\/template-logos\/twilio\.svg$/);
    assert.ok(data.some((provider) => provider.name === 'acme'));
});

test('a search matches names, ignoring case', async () => {
    const { data } = await nango.listProviders({ search: 'TWIL' });
    assert.deepEqual(data.map((provider) => provider.name), ['twilio']);
    assert.deepEqual((await nango.listProviders({ search: 'no-such-provider' })).data, []);
});

test('a provider shows the fields that users fill in', async () => {
    const { data } = await nango.getProvider({ provider: 'acme' });
    assert.equal(data.name, 'acme');
    assert.equal(data.auth_mode, 'API_KEY');
    assert.equal(data.credentials.apiKey.pattern, '^ak_[a-z0-9-]+$');
    assert.equal(data.credentials.apiKey.secret, true);
    assert.equal(data.connection_config.region.optional, true);
});

test('an unknown provider is 404 not_found', async () => {
    await assertRejected(nango.getProvider({ provider: 'nobody' }), 404, 'not_found');
});

test('the templates of a provider are its syncs and actions', async () => {
    const { data } = await nango.getProviderTemplates({ provider: 'acme' });
    const orders = data.find((template) => template.name === 'acme-orders');
    assert.equal(orders.type, 'sync');
    assert.equal(orders.description, 'Every order');
    assert.deepEqual(orders.returns, ['Order']);
    assert.equal(orders.runs, 'every hour');
    assert.equal(orders.auto_start, true);
    assert.equal(orders.track_deletes, true);
    assert.equal(typeof orders.json_schema, 'object');
    assert.equal(data.find((template) => template.name === 'acme-customers').auto_start, false);

    const twilio = await nango.getProviderTemplates({ provider: 'twilio' });
    assert.equal(twilio.data.find((template) => template.name === 'send-message').type, 'action');
});

test('the templates of an unknown provider are 404 not_found', async () => {
    await assertRejected(nango.getProviderTemplates({ provider: 'nobody' }), 404, 'not_found');
});

test('an unknown query parameter is refused', async () => {
    const response = await request('GET', '/providers?colour=red');
    assert.equal(response.status, 400);
    assert.equal(response.body.error.code, 'invalid_query_params');
});
