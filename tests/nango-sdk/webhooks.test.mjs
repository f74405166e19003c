// The SDK's checks of webhook events. Trunkline must sign events so that they pass.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';

import { nango, sdk, stage } from './support/world.mjs';

const body = JSON.stringify({ from: 'nango', type: 'auth', success: true });
const hmac = (key) => createHmac('sha256', key).update(body).digest('hex');

test('an event is verified by the HMAC of its bytes', () => {
    for (const name of ['X-Nango-Hmac-Sha256', 'x-nango-hmac-sha256']) {
        assert.equal(nango.verifyIncomingWebhookRequest(body, { [name]: hmac(stage.key) }), true);
    }
    assert.equal(nango.verifyIncomingWebhookRequest(`${body} `, { 'x-nango-hmac-sha256': hmac(stage.key) }), false);
    assert.equal(nango.verifyIncomingWebhookRequest(body, { 'x-nango-hmac-sha256': hmac('another') }), false);
    assert.equal(nango.verifyIncomingWebhookRequest(body, {}), false);
});

test('a separate signing key overrides the API key', () => {
    const signed = sdk(stage.key, { webhookSigningKey: 'a key to sign' });
    assert.equal(signed.verifyIncomingWebhookRequest(body, { 'x-nango-hmac-sha256': hmac('a key to sign') }), true);
    assert.equal(signed.verifyIncomingWebhookRequest(body, { 'x-nango-hmac-sha256': hmac(stage.key) }), false);
});

test('the older signature is the hash of key and compact JSON', () => {
    const signature = createHash('sha256').update(`${stage.key}${body}`).digest('hex');
    assert.equal(nango.verifyWebhookSignature(signature, JSON.parse(body)), true);
    assert.equal(nango.verifyWebhookSignature('0'.repeat(64), JSON.parse(body)), false);
});
