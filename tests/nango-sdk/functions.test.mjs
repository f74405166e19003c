// The functions of an integration (syncs and actions), and those of the environment.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { assertError, assertRejected, connectAcme, connectTwilio, nango } from './support/world.mjs';

// An integration with its provider's name exists once an account is connected.
before(async () => {
    await connectAcme('with-functions');
    await connectTwilio('with-functions');
});

test('the functions of an integration are listed with their count', async () => {
    const { data, pagination } = await nango.listFunctions({ uniqueKey: 'acme' });
    assert.deepEqual(pagination, { total: 2, page: 0, limit: 20 });
    const orders = data.find((one) => one.name === 'acme-orders');
    assert.equal(orders.type, 'sync');
    assert.equal(orders.description, 'Every order');
    assert.deepEqual(orders.returns, ['Order']);
    assert.equal(orders.runs, 'every hour');
    assert.equal(orders.auto_start, true);
    assert.equal(orders.track_deletes, true);
    assert.equal(orders.enabled, true);
    assert.equal(typeof orders.json_schema, 'object');
    for (const field of ['id', 'last_deployed', 'source']) {
        assert.ok(field in orders, field);
    }
});

test('functions are listed by type, by name and by page', async () => {
    const actions = await nango.listFunctions({ uniqueKey: 'twilio' }, { type: 'action', limit: 50 });
    assert.ok(actions.data.some((one) => one.name === 'send-message'));
    assert.ok(actions.data.every((one) => one.type === 'action'));
    const found = await nango.listFunctions({ uniqueKey: 'acme' }, { search: 'customers' });
    assert.deepEqual(found.data.map((one) => one.name), ['acme-customers']);
    const beyond = await nango.listFunctions({ uniqueKey: 'acme' }, { page: 1 });
    assert.deepEqual(beyond, { data: [], pagination: { total: 2, page: 1, limit: 20 } });
});

test('an invalid list of functions is refused', async () => {
    await assertRejected(nango.listFunctions({ uniqueKey: 'acme' }, { type: 'song' }), 400, 'invalid_query_params');
    await assertRejected(nango.listFunctions({ uniqueKey: 'acme' }, { limit: 101 }), 400, 'invalid_query_params');
    await assertRejected(nango.listFunctions({ uniqueKey: 'nobody' }), 404, 'not_found');
});

test('one function is returned by its name', async () => {
    const { data } = await nango.getFunction({ uniqueKey: 'acme', name: 'acme-orders' });
    assert.equal(data.name, 'acme-orders');
    assert.equal(data.type, 'sync');
    await assertRejected(nango.getFunction({ uniqueKey: 'acme', name: 'nothing' }), 404, 'not_found');
    await assertRejected(nango.getFunction({ uniqueKey: 'acme', name: 'acme-orders' }, { type: 'action' }), 404, 'not_found');
});

test('the declaration of a function is returned', async () => {
    const { type, code } = await nango.getFunctionCode({ uniqueKey: 'acme', name: 'acme-orders' });
    assert.equal(type, 'sync');
    assert.match(code, /acme_orders/);
    await assertRejected(nango.getFunctionCode({ uniqueKey: 'acme', name: 'nothing' }), 404, 'not_found');
});

test('a function cannot be deleted, because it belongs to the provider\'s file', async () => {
    const response = await nango.deleteFunction({ uniqueKey: 'acme', name: 'acme-orders' }, { type: 'sync' }).catch((error) => error.response);
    assert.ok(response.status >= 400 && response.status < 500, `${response.status}`);
    assertError(response.status, response.data, response.status, response.data.error.code);
    assert.equal((await nango.getFunction({ uniqueKey: 'acme', name: 'acme-orders' })).data.name, 'acme-orders');
});

test('the configuration of all functions is a bare list', async () => {
    const all = await nango.getScriptsConfig();
    const acme = all.find((one) => one.providerConfigKey === 'acme');
    assert.equal(acme.provider, 'acme');
    assert.ok(acme.syncs.some((one) => one.name === 'acme-orders'));
    assert.deepEqual(acme.actions, []);
    assert.deepEqual(acme['on-events'], []);
});

test('the configuration of all actions is returned in OpenAI format', async () => {
    const { data } = await nango.getScriptsConfig('openai');
    assert.ok(data.length > 0);
    const send = data.find((one) => one.name === 'send-message');
    assert.equal(typeof send.description, 'string');
    assert.equal(send.parameters.type, 'object');
    assert.equal(typeof send.parameters.properties, 'object');
    assert.deepEqual(send.parameters.required, ['to']);
});

test('the configuration in an unknown format is refused', async () => {
    await assertRejected(nango.getScriptsConfig('xml'), 400, 'invalid_query_params');
});

test('the variables of the environment are a bare list', async () => {
    const variables = await nango.getEnvironmentVariables();
    assert.ok(Array.isArray(variables));
    assert.ok(variables.every(({ name, value }) => typeof name === 'string' && typeof value === 'string'));
});
