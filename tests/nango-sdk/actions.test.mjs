// Actions: at once, and later.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { call, connectTwilio, isRefusal, nango, refused, sim, until } from './support/world.mjs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let from;
const trigger = (action, input) => nango.triggerAction('twilio', 'acting', action, input);
const later = (action, input) => nango.triggerActionAsync('twilio', 'acting', action, input);

before(async () => {
    await connectTwilio('acting');
    [from] = (await sim('GET', 'assets')).numbers;
});

/** The result of an action that runs later: 404 until it is there. */
function result(props) {
    return until('the result', async () => {
        const answer = await nango.getAsyncActionResult(props).then(
            (data) => ({ status: 200, data }),
            (error) => error.response
        );
        return answer.status === 404 ? undefined : answer;
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

test('an input may be spelt in another way, and a list becomes a repeated key', async () => {
    const MediaUrl = ['https://example.com/1.png', 'https://example.com/2.png'];
    const sent = await trigger('send-message', { To: '+15551234567', From: from, Body: 'Look', MediaUrl });
    assert.match(sent.sid, /^MM[0-9a-f]{32}$/);
    assert.equal(sent.num_media, '2');
});

test('an action without input answers with what the provider says', async () => {
    const balance = await trigger('get-balance');
    assert.equal(typeof balance.balance, 'string');
    const numbers = await trigger('list-phone-numbers', { limit: 1 });
    assert.equal(numbers.length, 1);
});

test('an input of the wrong shape is refused before anything is sent', async () => {
    const error = await refused(trigger('send-message', { to: '555-1234', from, body: 'x' }), 400, 'invalid_body');
    assert.match(JSON.stringify(error), /\+15551234567/);
    await refused(trigger('send-message', { from, body: 'x' }), 400, 'invalid_body');
    await refused(trigger('send-message', { to: '+15551234567', from, body: 'x', colour: 'red' }), 400, 'invalid_body');
});

test('a refusal of the provider is told with its status and body', async () => {
    await sim('PUT', 'unreachable', { recipient: '+15550000001', code: 21610 });
    const error = await refused(trigger('send-message', { to: '+15550000001', from, body: 'x' }), 424, 'script_http_error');
    assert.equal(error.upstream.status, 400);
    assert.equal(typeof error.upstream.headers, 'object');
    assert.equal(error.upstream.body.code, 21610);
    assert.ok('payload' in error);
});

test('an action that cannot be is refused', async () => {
    await refused(trigger('sing'), 404, 'not_found');
    await refused(nango.triggerAction('twilio', 'nobody', 'get-balance'), 400, 'unknown_connection');
    await refused(nango.triggerAction('nobody', 'acting', 'get-balance'), 400, 'unknown_provider');
    const headers = { 'provider-config-key': 'twilio', 'connection-id': 'acting' };
    const repeats = await call('POST', '/action/trigger', {
        body: { action_name: 'get-balance' },
        headers: { ...headers, 'x-max-retries': '6' }
    });
    isRefusal(repeats.status, repeats.body, 400, 'invalid_headers');
    const nameless = await call('POST', '/action/trigger', { body: {}, headers });
    isRefusal(nameless.status, nameless.body, 400, 'invalid_body');
    const nowhere = await call('POST', '/action/trigger', { body: { action_name: 'get-balance' } });
    assert.equal(nowhere.status, 400);
});

test('an action that runs later tells where its result will be', async () => {
    const stored = await later('send-message', { to: '+15551234567', from, body: 'Later' });
    assert.match(stored.id, UUID);
    assert.equal(stored.statusUrl, `/action/${stored.id}`);
    for (const props of [{ id: stored.id }, { statusUrl: stored.statusUrl }]) {
        const answer = await result(props);
        assert.equal(answer.status, 200);
        assert.equal(answer.data.body, 'Later');
        assert.equal((await sim('GET', `truth/${answer.data.sid}`)).body, 'Later');
    }
});

test('an action that runs later is 202 with its location', async () => {
    const answer = await call('POST', '/action/trigger', {
        body: { action_name: 'get-balance' },
        headers: { 'provider-config-key': 'twilio', 'connection-id': 'acting', 'x-async': 'true' }
    });
    assert.equal(answer.status, 202);
    assert.equal(answer.headers.get('location'), `/action/${answer.body.id}`);
    assert.equal((await result({ id: answer.body.id })).status, 200);
});

test('an action that fails later tells why', async () => {
    await sim('PUT', 'unreachable', { recipient: '+15550000002', code: 21610 });
    const { id } = await later('send-message', { to: '+15550000002', from, body: 'x' });
    const answer = await result({ id });
    isRefusal(answer.status, answer.data, 424, 'script_http_error');
    assert.equal(answer.data.error.upstream.status, 400);
});

test('an action that cannot be run later is refused at once', async () => {
    await refused(later('sing'), 404, 'not_found');
    await refused(nango.triggerActionAsync('twilio', 'nobody', 'get-balance'), 400, 'unknown_connection');
});

test('the result of an unknown action is 404 not_found', async () => {
    await refused(nango.getAsyncActionResult({ id: '0194f1d2-7a3b-4c1d-8e2f-3a4b5c6d7e8f' }), 404, 'not_found');
    await assert.rejects(nango.getAsyncActionResult({}), /Either id or statusUrl/);
});
