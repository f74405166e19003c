// An app whose pages embed the connect page: its own web server, on an origin of its own.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const NANGO = join(root, 'node_modules/@nangohq/frontend/dist');

/**
 * Serves the page at `/?page=HTML`, and Nango's front-end library under `/nango/`. Returns its URL and a function to stop it.
 */
export async function serveApp() {
    const server = createServer((request, response) => {
        const url = new URL(request.url, 'http://app.test');
        if (url.pathname === '/') {
            response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
            response.end(url.searchParams.get('page') ?? '');
            return;
        }
        const module = /^\/nango\/(\w+\.js)$/.exec(url.pathname)?.[1];
        if (module) {
            response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' });
            response.end(readFileSync(join(NANGO, module)));
            return;
        }
        response.writeHead(404).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((resolve) => server.close(resolve)) };
}
