// Webhooks of Trunkline: Nango's SDK and the library of Standard Webhooks verify them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { Webhook } from 'standardwebhooks';

import { connectAcme, nango, orders, request, sdk, syncAgain, waitFor, waitForSync } from './support/world.mjs';

const got = [];
let server;
let url;

before(async () => {
    server = createServer(async (incoming, response) => {
        const parts = [];
        for await (const part of incoming) {
            parts.push(part);
        }
        got.push({ path: incoming.url, headers: incoming.headers, body: Buffer.concat(parts).toString() });
        response.writeHead(204).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${server.address().port}`;
});

after(async () => {
    await request('PUT', '/environment/webhooks', { body: { primary_url: null } });
    server.close();
});

/** Waits for a webhook at this path, and returns it with its body. */
async function webhookAt(path, wanted) {
    const found = await waitFor(`a webhook at ${path}`, () =>
        got.find((one) => one.path === path && wanted(JSON.parse(one.body)))
    );
    return { ...found, json: JSON.parse(found.body) };
}

test("the primary address gets Nango's webhooks, which the SDK verifies", async () => {
    const set = await request('PUT', '/environment/webhooks', { body: { primary_url: `${url}/primary` } });
    assert.equal(set.status, 200, JSON.stringify(set.body));
    const signed = sdk('unused', { webhookSigningKey: set.body.data.signing_key });

    await connectAcme('hooked', { orders: orders('a', 'b'), tags: { team: 'blue' } });
    await waitForSync('hooked');
    const auth = await webhookAt('/primary', (body) => body.type === 'auth' && body.connectionId === 'hooked');
    assert.equal(signed.verifyIncomingWebhookRequest(auth.body, auth.headers), true);
    assert.equal(signed.verifyWebhookSignature(auth.headers['x-nango-signature'], auth.json), true);
    assert.equal(signed.verifyIncomingWebhookRequest(`${auth.body} `, auth.headers), false);
    const { from, operation, success, providerConfigKey, authMode, provider, environment, tags } = auth.json;
    assert.deepEqual(
        { from, operation, success, providerConfigKey, authMode, provider, environment, tags },
        {
            from: 'nango',
            operation: 'creation',
            success: true,
            providerConfigKey: 'acme',
            authMode: 'API_KEY',
            provider: 'acme',
            environment: 'dev',
            tags: { team: 'blue' }
        }
    );

    const sync = await webhookAt('/primary', (body) => body.type === 'sync' && body.connectionId === 'hooked');
    assert.equal(signed.verifyIncomingWebhookRequest(sync.body, sync.headers), true);
    assert.equal(sync.json.syncName, 'acme-orders');
    assert.equal(sync.json.success, true);
    assert.deepEqual(sync.json.responseResults, { added: 2, deleted: 0, updated: 0 });
    const records = await nango.listRecords({
        providerConfigKey: 'acme',
        connectionId: 'hooked',
        model: sync.json.model,
        modifiedAfter: sync.json.modifiedAfter
    });
    assert.equal(records.records.length, 2);
});

test("a connection's own address replaces the environment's", async () => {
    await connectAcme('overridden', { webhook_url_override: `${url}/own` });
    await webhookAt('/own', (body) => body.type === 'auth' && body.connectionId === 'overridden');
    assert.ok(!got.some((one) => one.path === '/primary' && one.body.includes('"overridden"')));
});

test('an endpoint gets standard webhooks, which the library verifies', async () => {
    const body = { url: `${url}/standard`, events: ['sync.*'], integrations: ['acme'] };
    const made = await request('POST', '/webhook-endpoints', { body });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const verifier = new Webhook(made.body.data.secret);

    await connectAcme('standard', { orders: orders('a') });
    await waitForSync('standard');
    const first = await webhookAt('/standard', (event) => event.data.connection_id === 'standard');
    assert.deepEqual(verifier.verify(first.body, first.headers), first.json);
    assert.throws(() => verifier.verify(`${first.body} `, first.headers));
    assert.equal(first.json.type, 'sync.succeeded');
    assert.equal(first.json.data.models[0].added, 1);

    const rotated = await request('POST', `/webhook-endpoints/${made.body.data.id}/rotate-secret`, {
        body: { overlap_seconds: 3600 }
    });
    await syncAgain('standard', orders('a', 'b'));
    const second = await webhookAt('/standard', (event) => event.data.models[0].first_change > first.json.data.models[0].last_change);
    for (const secret of [made.body.data.secret, rotated.body.data.secret]) {
        new Webhook(secret).verify(second.body, second.headers);
    }

    // The feed of events has the same ids.
    const feed = await request('GET', '/events?types=sync.succeeded');
    assert.ok(feed.body.events.some((event) => event.id === second.headers['webhook-id']));
    await request('DELETE', `/webhook-endpoints/${made.body.data.id}`);
});
