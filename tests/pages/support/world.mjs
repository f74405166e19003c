// The running programs, and a browser.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

if (!process.env.PAGES_TEST_STAGE) {
    throw new Error('these tests need a running trunkline: start them with `run` (see README.md)');
}
/** `{database, url, key, sim, acme, app, stranger}`: the URLs of all programs, and an API key with all scopes. */
export const stage = JSON.parse(process.env.PAGES_TEST_STAGE);

const AXE = readFileSync(join(dirname(fileURLToPath(import.meta.url)), '../node_modules/axe-core/axe.min.js'), 'utf8');
/** The rules of WCAG 2.2 up to level AA. */
const LEVELS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const PATHS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const browser = await chromium.launch({ executablePath: PATHS.find((path) => path && existsSync(path)), args: ['--no-sandbox'] });
after(() => browser.close());

/** Runs a test in a page of its own. What the page requests and reports is kept: `page.requested`, `page.complaints`. */
export function inPage(name, options, body) {
    test(name, async () => {
        const context = await browser.newContext({ locale: 'en-GB', ...options });
        try {
            const page = await context.newPage();
            page.requested = [];
            page.complaints = [];
            page.on('request', (request) => page.requested.push(request.url()));
            page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
            page.on('pageerror', (error) => page.complaints.push(error.message));
            await body(page);
        } finally {
            await context.close();
        }
    });
}

/** Runs a test with and without JavaScript. */
export function withAndWithoutScript(name, body) {
    inPage(`${name}, with JavaScript`, {}, body);
    inPage(`${name}, without JavaScript`, { javaScriptEnabled: false }, body);
}

/** Sends a request to the API. Returns the body. */
export async function api(method, path, body, status = [200, 201]) {
    const response = await fetch(`${stage.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${stage.key}`, 'content-type': 'application/json' },
        body: body === undefined ? undefined : JSON.stringify(body)
    });
    const text = await response.text();
    assert.ok(status.includes(response.status), `${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
}

/** Creates a connect session. Returns `{token, connect_link}`. */
export async function session(more = {}) {
    const { data } = await api('POST', '/connect/sessions', { end_user: { id: 'ann' }, ...more });
    return data;
}

/** Returns the credentials of the simulated account. */
export async function account() {
    return (await fetch(`${stage.sim}/_sim/credentials`)).json();
}

/** Sends a request to a control route of Acme. */
export async function acme(what, body) {
    const response = await fetch(`${stage.acme}/_acme/${what}`, { method: 'POST', body: JSON.stringify(body) });
    assert.ok(response.ok, what);
}

/** Asserts that axe finds nothing in the page, in light and dark, on a phone and on a wide screen. */
export async function assertAccessible(page) {
    for (const colorScheme of ['light', 'dark']) {
        for (const width of [320, 1280]) {
            await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
            await page.setViewportSize({ width, height: 900 });
            const where = `${page.url().replace(/session_token=\w+/, '…')} ${colorScheme} ${width}`;
            // The policy of the page allows no script of ours in it, but that of the browser's tools.
            await page.evaluate(AXE);
            const { violations } = await page.evaluate((levels) => globalThis.axe.run({ runOnly: levels }), LEVELS);
            const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`);
            assert.deepEqual(found, [], where);
            const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
            const wide = await page.evaluate(() => [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > innerWidth).map((element) => element.outerHTML.slice(0, 200)));
            assert.ok(overflow <= 0, `${where} is ${overflow} pixels too wide: ${wide.join('\n')}`);
        }
    }
}

/** Repeats `probe` until it returns a value. */
export async function waitFor(what, probe) {
    const end = Date.now() + 30_000;
    for (;;) {
        const found = await probe();
        if (found) return found;
        assert.ok(Date.now() < end, `timeout while waiting for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}
