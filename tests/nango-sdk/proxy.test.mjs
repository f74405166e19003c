// The proxy: the provider receives the client's request, and the client the provider's response.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { before, test } from 'node:test';

import { acme, assertError, assertRejected, connectAcme, connectTwilio, nango, request, sdk, sim, stage } from './support/world.mjs';

const to = { providerConfigKey: 'acme', connectionId: 'proxied' };

before(() => connectAcme('proxied'));

test('the provider receives the credentials, and only the caller\'s headers that are meant for it', async () => {
    const { data } = await nango.get({ ...to, endpoint: '/echo/orders', headers: { 'X-Mine': 'yes' } });
    assert.equal(data.method, 'GET');
    assert.equal(data.target, '/echo/orders');
    assert.equal(data.headers['x-acme-key'], 'ak_proxied');
    assert.equal(data.headers['x-mine'], 'yes');
    for (const [name, value] of Object.entries(data.headers)) {
        assert.ok(!name.startsWith('nango') && !value.includes(stage.key), `${name}: ${value}`);
    }
    for (const name of ['authorization', 'connection-id', 'provider-config-key', 'retries', 'base-url-override']) {
        assert.ok(!(name in data.headers), name);
    }
});

test('an endpoint may lack the slash or be a full URL', async () => {
    assert.equal((await nango.get({ ...to, endpoint: 'echo/a' })).data.target, '/echo/a');
    assert.equal((await nango.get({ ...to, endpoint: `${stage.acme}/echo/b` })).data.target, '/echo/b');
});

test('path and query arrive unchanged', async () => {
    const written = '/echo/a%2Fb%20c?x=1&x=2&empty=&sum=1%2B1&space=a+b&list[]=q';
    assert.equal((await nango.get({ ...to, endpoint: written })).data.target, written);
    assert.equal((await nango.get({ ...to, endpoint: '/echo', params: 'b=2&a=1' })).data.target, '/echo?b=2&a=1');
    const object = await nango.get({ ...to, endpoint: '/echo?z=0', params: { q: 'a b&c' } });
    assert.equal(object.data.target, '/echo?z=0&q=a+b%26c');
});

test('every method arrives with its body', async () => {
    for (const method of ['post', 'put', 'patch', 'delete']) {
        const { data } = await nango[method]({ ...to, endpoint: '/echo', data: { id: 'ü' } });
        assert.equal(data.method, method.toUpperCase());
        assert.equal(Buffer.from(data.body, 'latin1').toString(), '{"id":"ü"}');
        assert.match(data.headers['content-type'], /^application\/json/);
    }
    for (const method of ['PROPFIND', 'REPORT']) {
        const { data } = await nango.proxy({ ...to, method, endpoint: '/echo', data: '<a/>', headers: { 'Content-Type': 'text/xml' } });
        assert.equal(data.method, method);
        assert.equal(data.body, '<a/>');
    }
    const { data } = await nango.delete({ ...to, endpoint: '/echo/1' });
    assert.deepEqual([data.method, data.body], ['DELETE', '']);
});

test('JSON arrives byte for byte', async () => {
    const written = '{ "large": 12345678901234567890,"exact":1.10,\n"large":2 }';
    const { data } = await nango.post({
        ...to,
        endpoint: '/echo',
        data: Buffer.from(written),
        headers: { 'Content-Type': 'application/json' }
    });
    assert.equal(data.body, written);
    assert.equal(data.headers['content-type'], 'application/json');
});

test('a form with repeated keys arrives byte for byte', async () => {
    const form = new URLSearchParams([
        ['To', '+15551234567'],
        ['MediaUrl', 'https://example.com/1.png'],
        ['MediaUrl', 'https://example.com/2.png'],
        ['Body', 'a b+c']
    ]);
    const { data } = await nango.post({ ...to, endpoint: '/echo', data: form });
    assert.equal(data.body, form.toString());
    assert.match(data.headers['content-type'], /^application\/x-www-form-urlencoded/);
});

test('a large binary body arrives completely', async () => {
    const bytes = Buffer.alloc(3_000_000, Uint8Array.from({ length: 256 }, (_, byte) => byte));
    const { data } = await nango.put({
        ...to,
        endpoint: '/echo',
        data: bytes,
        headers: { 'Content-Type': 'application/octet-stream' }
    });
    assert.ok(Buffer.from(data.body, 'latin1').equals(bytes));
});

test('a streamed body arrives completely', async () => {
    const data = Readable.from(['one, ', 'two, ', 'three']);
    const response = await nango.post({ ...to, endpoint: '/echo', data, headers: { 'Content-Type': 'text/plain' } });
    assert.equal(response.data.body, 'one, two, three');
});

test('the response comes back unchanged, with its status and headers', async () => {
    const created = await nango.get({ ...to, endpoint: '/status/201' });
    assert.equal(created.status, 201);
    assert.equal(created.headers.etag, '"e1"');
    assert.equal(created.headers.link, '<https://acme.test/2>; rel="next"');
    const numbers = await nango.get({ ...to, endpoint: '/numbers', responseType: 'text' });
    assert.equal(numbers.data, '{"large": 12345678901234567890, "exact":1.10}');
});

test('an error of the provider comes back unchanged', async () => {
    for (const status of [400, 404, 422, 500]) {
        const response = await nango.get({ ...to, endpoint: `/status/${status}` }).catch((error) => error.response);
        assert.equal(response.status, status);
        assert.deepEqual(response.data, { status });
        assert.equal(response.headers.etag, '"e1"');
        assert.ok(!(response.headers['transfer-encoding'] && response.headers['content-length']));
    }
});

test('a response is streamed: its beginning arrives before its end is written', async () => {
    const { data } = await nango.get({ ...to, endpoint: '/tap?name=streamed', responseType: 'stream' });
    const parts = [];
    for await (const part of data) {
        parts.push(part.toString());
        if (parts.join('') === 'first') {
            await acme('release', { name: 'streamed' });
        }
    }
    assert.equal(parts.join(''), 'firstlast');
});

test('a compressed response is readable, whoever decompresses it', async () => {
    for (const decompress of [false, true]) {
        const { data } = await nango.get({ ...to, endpoint: '/packed', decompress, responseType: 'text' });
        assert.equal(data, 'unpacked');
    }
});

test('a request is not retried by default', async () => {
    const endpoint = '/flaky?name=once&times=1&status=503';
    const response = await nango.get({ ...to, endpoint }).catch((error) => error.response);
    assert.equal(response.status, 503);
    assert.deepEqual(response.data, { assertRejected: 1 });
});

test('a read is retried as often as requested', async () => {
    const enough = await nango.get({ ...to, endpoint: '/flaky?name=twice&times=1&status=503', retries: 1 });
    assert.deepEqual(enough.data, { calls: 2 });
    const response = await nango
        .get({ ...to, endpoint: '/flaky?name=often&times=9&status=503', retries: 1 })
        .catch((error) => error.response);
    assert.deepEqual([response.status, response.data], [503, { assertRejected: 2 }]);
});

test('additional statuses are retried on request', async () => {
    const endpoint = '/flaky?name=named&times=1&status=409';
    const { data } = await nango.get({ ...to, endpoint, retries: 1, retryOn: [423, 409] });
    assert.deepEqual(data, { calls: 2 });
});

test('a POST that may have been carried out is not retried', async () => {
    const endpoint = '/flaky?name=post&times=1&status=500';
    const response = await nango.post({ ...to, endpoint, data: {}, retries: 3 }).catch((error) => error.response);
    assert.equal(response.status, 500);
    assert.equal(await acme('calls', { name: 'post' }), 1);
});

test('an allowed base URL override is used', async () => {
    const baseUrlOverride = stage.acme.replace('127.0.0.1', 'localhost');
    const { data } = await nango.get({ ...to, endpoint: '/echo/other', baseUrlOverride });
    assert.equal(data.headers.host, new URL(baseUrlOverride).host);
    assert.equal(data.target, '/echo/other');
});

test('a base URL override that is not allowed is refused', async () => {
    const wanted = nango.get({ ...to, endpoint: '/echo', baseUrlOverride: 'https://elsewhere.example' });
    await assertRejected(wanted, 400, 'base_url_override_not_allowed');
});

test('a redirect to another origin is followed without the credentials', async () => {
    const { data } = await nango.get({ ...to, endpoint: '/elsewhere', headers: { 'X-Mine': 'yes' } });
    assert.equal(data.target, '/echo/arrived');
    assert.ok(!('x-acme-key' in data.headers));
});

test('the caller\'s headers are sent to another origin only on request', async () => {
    for (const forwardHeadersOnRedirect of [true, false]) {
        const { data } = await nango.get({ ...to, endpoint: '/elsewhere', headers: { 'X-Mine': 'yes' }, forwardHeadersOnRedirect });
        assert.equal(data.headers['x-mine'], forwardHeadersOnRedirect ? 'yes' : undefined);
        assert.ok(!('x-acme-key' in data.headers));
    }
});

test('the SDK can store the connection for all requests', async () => {
    const { data } = await sdk(stage.key, to).get({ endpoint: '/echo/held' });
    assert.equal(data.target, '/echo/held');
});

test('an unknown connection or integration is refused', async () => {
    await assertRejected(nango.get({ ...to, providerConfigKey: 'nobody', endpoint: '/echo' }), 404, 'unknown_provider_config');
    // Nango returns 400 server_error here; docs/nango.md explains the difference.
    await assertRejected(nango.get({ ...to, connectionId: 'nobody', endpoint: '/echo' }), 404, 'unknown_connection');
    await assert.rejects(nango.get({ providerConfigKey: 'acme', endpoint: '/echo' }), /connectionId is missing/);
});

test('invalid headers are refused', async () => {
    await assertRejected(nango.get({ ...to, endpoint: '/echo', retries: 'many' }), 400, 'invalid_headers');
    await assertRejected(nango.get({ ...to, endpoint: '/echo', retryOn: ['often'] }), 400, 'invalid_headers');
    const response = await request('GET', '/proxy/echo');
    assertError(response.status, response.body, 400, 'invalid_headers');
});

test('a message is sent through the proxy with user name and password', async () => {
    await connectTwilio('proxied-twilio');
    const known = await sim('GET', 'credentials');
    const { numbers } = await sim('GET', 'assets');
    const form = new URLSearchParams({ To: '+15551234567', From: numbers[0], Body: 'by proxy' });
    const { status, data } = await nango.post({
        providerConfigKey: 'twilio',
        connectionId: 'proxied-twilio',
        endpoint: `/2010-04-01/Accounts/${known.account_sid}/Messages.json`,
        data: form
    });
    assert.equal(status, 201);
    assert.equal(data.body, 'by proxy');
    assert.equal((await sim('GET', `truth/${data.sid}`)).body, 'by proxy');
});
