// The connect page inside an app's page: by Nango's front-end library, and by the custom element.

import assert from 'node:assert/strict';
import { before } from 'node:test';

import { account, inPage, session, stage, waitFor } from './support/world.mjs';

let known;
before(async () => {
    known = await account();
});

/** Opens a page of an app. */
function openPage(page, html, app = stage.app) {
    return page.goto(`${app}/?page=${encodeURIComponent(`<!doctype html><html lang="en"><title>App</title><body>${html}`)}`);
}

async function fillTwilio(frame) {
    await frame.getByLabel('Account SID', { exact: true }).fill(known.account_sid);
    await frame.getByLabel('API key SID', { exact: true }).fill(known.main_key_sid);
    await frame.getByLabel('API key secret', { exact: true }).fill(known.main_key_secret);
    await frame.getByRole('button', { name: 'Connect', exact: true }).click();
}

function events(page, type) {
    return page.evaluate((wanted) => window.events.filter((event) => event.type === wanted), type);
}

for (const [name, base] of [['its root', stage.url], ['its connect page', `${stage.url}/connect`]]) {
    inPage(`openConnectUI of @nangohq/frontend works with ${name}`, {}, async (page) => {
        const { token } = await session({ allowed_integrations: ['twilio'] });
        await openPage(page, `<script type="module">
            import Nango from '/nango/index.js';
            window.events = [];
            const nango = new Nango();
            const ui = nango.openConnectUI({ baseURL: '${base}', apiURL: '${stage.url}', lang: 'en', themeOverride: 'dark', onEvent: (event) => window.events.push(event) });
            ui.setSessionToken('${token}');
        </script>`);
        const frame = page.frameLocator('#connect-ui');
        await frame.getByRole('heading', { name: 'Connect Twilio' }).waitFor();
        await frame.getByLabel('Account SID', { exact: true }).fill('AC1');
        await frame.getByRole('button', { name: 'Connect', exact: true }).click();
        await frame.getByRole('alert').waitFor();
        const [error] = await waitFor('the error', async () => {
            const all = await events(page, 'error');
            return all.length && all;
        });
        assert.equal(error.payload.errorType, 'connection_validation_failed');
        assert.match(error.payload.errorMessage, /Account SID must be AC followed by/);
        await fillTwilio(frame);
        await frame.getByRole('heading', { name: 'Twilio is connected' }).waitFor();
        const [{ payload }] = await events(page, 'connect');
        assert.equal(payload.providerConfigKey, 'twilio');
        assert.deepEqual(Object.keys(payload), ['connectionId', 'providerConfigKey']);
        assert.equal((await events(page, 'ready')).length, 1);
        await frame.getByRole('button', { name: 'Close' }).click();
        await waitFor('the end', async () => (await page.locator('#connect-ui').count()) === 0);
        assert.equal((await events(page, 'close')).length, 1);
    });
}

inPage('the custom element connects, and raises events', {}, async (page) => {
    const { token } = await session();
    await openPage(page, `<h1>Settings</h1>
        <script type="module" src="${stage.url}/connect.js"></script>
        <trunkline-connect integration="twilio" lang="en" theme="light"></trunkline-connect>
        <script>
            window.events = [];
            const element = document.querySelector('trunkline-connect');
            for (const type of ['connect', 'error']) element.addEventListener(type, ({ detail }) => window.events.push({ type, payload: detail }));
            element.setAttribute('session-token', '${token}');
        </script>`);
    const frame = page.frameLocator('trunkline-connect iframe');
    await frame.getByRole('heading', { name: 'Connect Twilio' }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'BODY', 'the focus stays in the app');
    const height = () => page.locator('trunkline-connect').evaluate((element) => element.getBoundingClientRect().height);
    await waitFor('the height', async () => (await height()) > 400);
    await fillTwilio(frame);
    await frame.getByRole('heading', { name: 'Twilio is connected' }).waitFor();
    const [{ payload }] = await waitFor('the event', async () => {
        const all = await events(page, 'connect');
        return all.length && all;
    });
    assert.equal(payload.providerConfigKey, 'twilio');
    await waitFor('the smaller height', async () => (await height()) < 400);
    assert.equal(await frame.getByRole('link', { name: 'All integrations' }).count(), 0, 'only this integration is shown');
    await frame.getByRole('link', { name: 'Connect another account' }).click();
    await frame.getByRole('heading', { name: 'Connect Twilio' }).waitFor();
    await page.locator('trunkline-connect').evaluate((element) => element.remove());
});

inPage('the custom element says that a token is wrong', {}, async (page) => {
    await openPage(page, `<script type="module" src="${stage.url}/connect.js"></script>
        <trunkline-connect session-token="nonsense"></trunkline-connect>
        <script>
            window.events = [];
            document.querySelector('trunkline-connect').addEventListener('error', ({ detail }) => window.events.push({ type: 'error', payload: detail }));
        </script>`);
    await page.frameLocator('trunkline-connect iframe').getByRole('heading', { name: 'This link has expired' }).waitFor();
    const [{ payload }] = await waitFor('the event', async () => {
        const all = await events(page, 'error');
        return all.length && all;
    });
    assert.equal(payload.errorType, 'missing_connect_session_token');
});

inPage('only configured origins can embed the page', {}, async (page) => {
    const { connect_link: link } = await session();
    await openPage(page, `<iframe src="${link}"></iframe>`, stage.stranger);
    await waitFor('the refusal', async () => page.complaints.some((text) => text.includes('frame-ancestors')));
    await openPage(page, `<iframe src="${link}"></iframe>`);
    await page.frameLocator('iframe').locator('main').waitFor();
});
