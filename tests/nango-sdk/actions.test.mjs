// Synchronous and asynchronous actions.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { assertError, assertRejected, connectTwilio, nango, request, sim, waitFor } from './support/world.mjs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let from;
const trigger = (action, input) => nango.triggerAction('twilio', 'acting', action, input);
const later = (action, input) => nango.triggerActionAsync('twilio', 'acting', action, input);

before(async () => {
    await connectTwilio('acting');
    [from] = (await sim('GET', 'assets')).numbers;
});

/** Waits for the result of an asynchronous action, which is a 404 at first. */
function result(props) {
    return waitFor('the result', async () => {
        const response = await nango.getAsyncActionResult(props).then(
            (data) => ({ status: 200, data }),
            (error) => error.response
        );
        return response.status === 404 ? undefined : response;
    });
}

test('a message is sent, and its record is in the feed at once', async () => {
    const sent = await trigger('send-message', { to: '+15551234567', from, body: 'Your table is booked.' });
    assert.match(sent.sid, /^SM[0-9a-f]{32}$/);
    assert.equal(sent.body, 'Your table is booked.');
    assert.equal(sent.to, '+15551234567');
    assert.equal((await sim('GET', `truth/${sent.sid}`)).body, 'Your table is booked.');

    const of = { providerConfigKey: 'twilio', connectionId: 'acting', model: 'Message', ids: [sent.sid] };
    const { records } = await nango.listRecords(of);
    assert.equal(records.length, 1);
    assert.equal(records[0].id, sent.sid);
    assert.equal(records[0].body, 'Your table is booked.');
});

test('an input may have another spelling, and a list becomes a repeated key', async () => {
    const MediaUrl = ['https://example.com/1.png', 'https://example.com/2.png'];
    const sent = await trigger('send-message', { To: '+15551234567', From: from, Body: 'Look', MediaUrl });
    assert.match(sent.sid, /^MM[0-9a-f]{32}$/);
    assert.equal(sent.num_media, '2');
});

test('an action without input returns the response of the provider', async () => {
    const balance = await trigger('get-balance');
    assert.equal(typeof balance.balance, 'string');
    const numbers = await trigger('list-phone-numbers', { limit: 1 });
    assert.equal(numbers.length, 1);
});

test('an invalid input is refused before a request is sent', async () => {
    const error = await assertRejected(trigger('send-message', { to: '555-1234', from, body: 'x' }), 400, 'invalid_body');
    assert.match(JSON.stringify(error), /\+15551234567/);
    await assertRejected(trigger('send-message', { from, body: 'x' }), 400, 'invalid_body');
    await assertRejected(trigger('send-message', { to: '+15551234567', from, body: 'x', colour: 'red' }), 400, 'invalid_body');
});

test('an error of the provider is returned with its status and body', async () => {
    await sim('PUT', 'unreachable', { recipient: '+15550000001', code: 21610 });
    const error = await assertRejected(trigger('send-message', { to: '+15550000001', from, body: 'x' }), 424, 'script_http_error');
    assert.equal(error.upstream.status, 400);
    assert.equal(typeof error.upstream.headers, 'object');
    assert.equal(error.upstream.body.code, 21610);
    assert.ok('payload' in error);
});

test('an invalid action is refused', async () => {
    await assertRejected(trigger('sing'), 404, 'not_found');
    await assertRejected(nango.triggerAction('twilio', 'nobody', 'get-balance'), 400, 'unknown_connection');
    await assertRejected(nango.triggerAction('nobody', 'acting', 'get-balance'), 400, 'unknown_provider');
    const headers = { 'provider-config-key': 'twilio', 'connection-id': 'acting' };
    const repeats = await request('POST', '/action/trigger', {
        body: { action_name: 'get-balance' },
        headers: { ...headers, 'x-max-retries': '6' }
    });
    assertError(repeats.status, repeats.body, 400, 'invalid_headers');
    const nameless = await request('POST', '/action/trigger', { body: {}, headers });
    assertError(nameless.status, nameless.body, 400, 'invalid_body');
    const nowhere = await request('POST', '/action/trigger', { body: { action_name: 'get-balance' } });
    assert.equal(nowhere.status, 400);
});

test('an asynchronous action returns the location of its result', async () => {
    const stored = await later('send-message', { to: '+15551234567', from, body: 'Later' });
    assert.match(stored.id, UUID);
    assert.equal(stored.statusUrl, `/action/${stored.id}`);
    for (const props of [{ id: stored.id }, { statusUrl: stored.statusUrl }]) {
        const response = await result(props);
        assert.equal(response.status, 200);
        assert.equal(response.data.body, 'Later');
        assert.equal((await sim('GET', `truth/${response.data.sid}`)).body, 'Later');
    }
});

test('an asynchronous action is 202 with a location', async () => {
    const response = await request('POST', '/action/trigger', {
        body: { action_name: 'get-balance' },
        headers: { 'provider-config-key': 'twilio', 'connection-id': 'acting', 'x-async': 'true' }
    });
    assert.equal(response.status, 202);
    assert.equal(response.headers.get('location'), `/action/${response.body.id}`);
    assert.equal((await result({ id: response.body.id })).status, 200);
});

test('a failed asynchronous action returns its error', async () => {
    await sim('PUT', 'unreachable', { recipient: '+15550000002', code: 21610 });
    const { id } = await later('send-message', { to: '+15550000002', from, body: 'x' });
    const response = await result({ id });
    assertError(response.status, response.data, 424, 'script_http_error');
    assert.equal(response.data.error.upstream.status, 400);
});

test('an invalid asynchronous action is refused at once', async () => {
    await assertRejected(later('sing'), 404, 'not_found');
    await assertRejected(nango.triggerActionAsync('twilio', 'nobody', 'get-balance'), 400, 'unknown_connection');
});

test('the result of an unknown action is 404 not_found', async () => {
    await assertRejected(nango.getAsyncActionResult({ id: '0194f1d2-7a3b-4c1d-8e2f-3a4b5c6d7e8f' }), 404, 'not_found');
    await assert.rejects(nango.getAsyncActionResult({}), /Either id or statusUrl/);
});
