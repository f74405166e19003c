// Acme: a provider that echoes requests. Tests control it under /_acme.
//
// Every account has an API key that begins with `ak_`, and its own orders.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

const KEY = /^ak_[a-z0-9-]+$/;

/** Starts it on a free port. Returns its URL and a function to stop it. */
export async function acme() {
    const state = { orders: new Map(), revoked: new Set(), calls: new Map(), held: new Map(), busy: new Set() };
    const server = createServer((request, response) => {
        serve(state, request, response).catch((error) => response.writeHead(500).end(String(error)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const stop = () => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
    };
    return { url: `http://127.0.0.1:${server.address().port}`, stop };
}

async function serve(state, request, response) {
    const url = new URL(request.url, 'http://acme.test');
    const query = Object.fromEntries(url.searchParams);
    const [, first, second] = url.pathname.split('/');
    if (first === '_acme') {
        return control(state, second, await json(request), response);
    }
    if (first === 'echo') {
        return echo(request, response);
    }
    const key = request.headers['x-acme-key'];
    if (!KEY.test(key) || state.revoked.has(key)) {
        return send(response, 401, { error: 'unknown key' });
    }
    if (state.busy.has(key)) {
        return send(response, 429, { error: 'too many requests' }, { 'retry-after': '3600' });
    }
    switch (first) {
        case 'me':
            return send(response, 200, { key });
        case 'orders':
        case 'customers':
            return send(response, 200, { data: query.skip === '0' ? listPage(state, first, key, query.variant) : [] });
        case 'status':
            return send(response, Number(second), { status: Number(second) }, { etag: '"e1"', link: '<https://acme.test/2>; rel="next"' });
        case 'flaky':
            return flaky(state, query, response);
        case 'elsewhere':
            return response.writeHead(302, { location: `http://localhost:${request.socket.localPort}/echo/arrived` }).end();
        case 'packed':
            return response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }).end(gzipSync('unpacked'));
        case 'numbers':
            return response.writeHead(200, { 'content-type': 'application/json' }).end('{"large": 12345678901234567890, "exact":1.10}');
        case 'tap':
            response.writeHead(200, { 'content-type': 'text/plain' }).write('first');
            return void state.held.set(query.name, response);
        default:
            return send(response, 404, { error: 'no such thing' });
    }
}

/** Returns the first page of a list. A variant of a sync has its own orders. */
function listPage(state, list, key, variant = 'base') {
    if (list === 'customers') {
        return [{ id: 'c1', name: 'Ada' }];
    }
    return state.orders.get(variant === 'base' ? key : `${key} ${variant}`) ?? [];
}

/** The control routes: sets the orders of a key, revokes a key, uses up its rate limit, or ends a held response. */
async function control(state, what, body, response) {
    switch (what) {
        case 'orders':
            state.orders.set(body.key, body.orders);
            break;
        case 'revoke':
            state.revoked.add(body.key);
            break;
        case 'restore':
            state.revoked.delete(body.key);
            break;
        case 'exhaust':
            state.busy.add(body.key);
            break;
        case 'release':
            state.held.get(body.name).end('last');
            state.held.delete(body.name);
            break;
        case 'calls':
            return send(response, 200, state.calls.get(body.name) ?? 0);
        default:
            return send(response, 404, {});
    }
    return send(response, 200, {});
}

async function echo(request, response) {
    const headers = [];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
        headers.push([request.rawHeaders[at].toLowerCase(), request.rawHeaders[at + 1]]);
    }
    const body = (await bytes(request)).toString('latin1');
    return send(response, 200, { method: request.method, target: request.url, headers: Object.fromEntries(headers), body });
}

/** Fails the first requests with a name. */
function flaky(state, { name, times, status }, response) {
    const calls = (state.calls.get(name) ?? 0) + 1;
    state.calls.set(name, calls);
    return calls <= Number(times) ? send(response, Number(status), { assertRejected: calls }) : send(response, 200, { calls });
}

function send(response, status, body, headers = {}) {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function bytes(request) {
    const parts = [];
    for await (const part of request) {
        parts.push(part);
    }
    return Buffer.concat(parts);
}

async function json(request) {
    const text = (await bytes(request)).toString();
    return text === '' ? {} : JSON.parse(text);
}
