// The functions of an integration: its syncs and actions; and what the environment has of them.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { connectAcme, connectTwilio, isRefusal, nango, refused } from './support/world.mjs';

// An integration under its provider's own name is there once something is connected.
before(async () => {
    await connectAcme('with-functions');
    await connectTwilio('with-functions');
});

test('the functions of an integration are listed with their number', async () => {
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

test('a list of functions that cannot be is refused', async () => {
    await refused(nango.listFunctions({ uniqueKey: 'acme' }, { type: 'song' }), 400, 'invalid_query_params');
    await refused(nango.listFunctions({ uniqueKey: 'acme' }, { limit: 101 }), 400, 'invalid_query_params');
    await refused(nango.listFunctions({ uniqueKey: 'nobody' }), 404, 'not_found');
});

test('one function is told by its name', async () => {
    const { data } = await nango.getFunction({ uniqueKey: 'acme', name: 'acme-orders' });
    assert.equal(data.name, 'acme-orders');
    assert.equal(data.type, 'sync');
    await refused(nango.getFunction({ uniqueKey: 'acme', name: 'nothing' }), 404, 'not_found');
    await refused(nango.getFunction({ uniqueKey: 'acme', name: 'acme-orders' }, { type: 'action' }), 404, 'not_found');
});

test('what declares a function is told', async () => {
    const { type, code } = await nango.getFunctionCode({ uniqueKey: 'acme', name: 'acme-orders' });
    assert.equal(type, 'sync');
    assert.match(code, /acme_orders/);
    await refused(nango.getFunctionCode({ uniqueKey: 'acme', name: 'nothing' }), 404, 'not_found');
});

test('a function is not deleted, since it comes with the provider\'s file', async () => {
    const answer = await nango.deleteFunction({ uniqueKey: 'acme', name: 'acme-orders' }, { type: 'sync' }).catch((error) => error.response);
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
    isRefusal(answer.status, answer.data, answer.status, answer.data.error.code);
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

test('the configuration of all actions is told for OpenAI', async () => {
    const { data } = await nango.getScriptsConfig('openai');
    assert.ok(data.length > 0);
    const send = data.find((one) => one.name === 'send-message');
    assert.equal(typeof send.description, 'string');
    assert.equal(send.parameters.type, 'object');
    assert.equal(typeof send.parameters.properties, 'object');
    assert.deepEqual(send.parameters.required, ['to']);
});

test('the configuration in an unknown format is refused', async () => {
    await refused(nango.getScriptsConfig('xml'), 400, 'invalid_query_params');
});

test('the variables of the environment are a bare list', async () => {
    const variables = await nango.getEnvironmentVariables();
    assert.ok(Array.isArray(variables));
    assert.ok(variables.every(({ name, value }) => typeof name === 'string' && typeof value === 'string'));
});
