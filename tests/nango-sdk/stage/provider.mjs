// Acme: a provider that tells what it was asked, and does what a test tells it under /_acme.
//
// Every account has an API key that begins with `ak_`, and orders of its own.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

const KEY = /^ak_[a-z0-9-]+$/;

/** Starts it on a port of the system's choice; gives its address and how to end it. */
export async function acme() {
    const state = { orders: new Map(), revoked: new Set(), calls: new Map(), held: new Map() };
    const server = createServer((request, answer) => {
        serve(state, request, answer).catch((error) => answer.writeHead(500).end(String(error)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const stop = () => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
    };
    return { url: `http://127.0.0.1:${server.address().port}`, stop };
}

async function serve(state, request, answer) {
    const url = new URL(request.url, 'http://acme.test');
    const asked = Object.fromEntries(url.searchParams);
    const [, first, second] = url.pathname.split('/');
    if (first === '_acme') {
        return control(state, second, await json(request), answer);
    }
    if (first === 'echo') {
        return echo(request, answer);
    }
    const key = request.headers['x-acme-key'];
    if (!KEY.test(key) || state.revoked.has(key)) {
        return send(answer, 401, { error: 'unknown key' });
    }
    switch (first) {
        case 'me':
            return send(answer, 200, { key });
        case 'orders':
        case 'customers':
            return send(answer, 200, { data: asked.skip === '0' ? found(state, first, key, asked.variant) : [] });
        case 'status':
            return send(answer, Number(second), { status: Number(second) }, { etag: '"e1"', link: '<https://acme.test/2>; rel="next"' });
        case 'flaky':
            return flaky(state, asked, answer);
        case 'elsewhere':
            return answer.writeHead(302, { location: `http://localhost:${request.socket.localPort}/echo/arrived` }).end();
        case 'packed':
            return answer.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }).end(gzipSync('unpacked'));
        case 'numbers':
            return answer.writeHead(200, { 'content-type': 'application/json' }).end('{"large": 12345678901234567890, "exact":1.10}');
        case 'tap':
            answer.writeHead(200, { 'content-type': 'text/plain' }).write('first');
            return void state.held.set(asked.name, answer);
        default:
            return send(answer, 404, { error: 'no such thing' });
    }
}

/** What the first page of a list holds. A variant of a sync has orders of its own. */
function found(state, list, key, variant = 'base') {
    if (list === 'customers') {
        return [{ id: 'c1', name: 'Ada' }];
    }
    return state.orders.get(variant === 'base' ? key : `${key} ${variant}`) ?? [];
}

/** What a test decides: the orders of a key, a key that is no longer good, the end of an answer that is held back. */
async function control(state, what, body, answer) {
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
        case 'release':
            state.held.get(body.name).end('last');
            state.held.delete(body.name);
            break;
        case 'calls':
            return send(answer, 200, state.calls.get(body.name) ?? 0);
        default:
            return send(answer, 404, {});
    }
    return send(answer, 200, {});
}

async function echo(request, answer) {
    const headers = [];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
        headers.push([request.rawHeaders[at].toLowerCase(), request.rawHeaders[at + 1]]);
    }
    const body = (await bytes(request)).toString('latin1');
    return send(answer, 200, { method: request.method, target: request.url, headers: Object.fromEntries(headers), body });
}

/** The first calls by a name are refused. */
function flaky(state, { name, times, status }, answer) {
    const calls = (state.calls.get(name) ?? 0) + 1;
    state.calls.set(name, calls);
    return calls <= Number(times) ? send(answer, Number(status), { refused: calls }) : send(answer, 200, { calls });
}

function send(answer, status, body, headers = {}) {
    answer.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
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
