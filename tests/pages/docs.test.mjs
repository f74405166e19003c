// The examples of docs/connect-page.md: each runs as it stands there, with the addresses and tokens of this run.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { account, inPage, session, stage, waitFor } from './support/world.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const GUIDE = readFileSync(join(here, '../../docs/connect-page.md'), 'utf8');

/** Returns the example in a language. */
function example(language) {
    const found = [...GUIDE.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, of]) => of === language);
    assert.equal(found.length, 1, `one example in ${language}`);
    return found[0][2];
}

/** Puts the addresses and the token of this run into an example. */
async function ofThisRun(text) {
    const { token } = await session({ allowed_integrations: ['twilio'] });
    return [text.replaceAll('https://trunkline.example.org', stage.url).replaceAll('nango_connect_session_…', token), token];
}

/** Makes one script of a module and what it imports. */
async function bundle(contents) {
    const input = { contents, loader: 'jsx', resolveDir: here };
    const made = await build({ stdin: input, bundle: true, write: false, format: 'esm', jsx: 'automatic', define: { 'process.env.NODE_ENV': '"production"' } });
    return made.outputFiles[0].text;
}

async function open(page, html) {
    await page.goto(stage.app);
    await page.setContent(`<!doctype html><html lang="en"><title>App</title><body>${html}`);
}

async function connect(frame) {
    const known = await account();
    await frame.getByLabel('Account SID', { exact: true }).fill(known.account_sid);
    await frame.getByLabel('API key SID', { exact: true }).fill(known.main_key_sid);
    await frame.getByLabel('API key secret', { exact: true }).fill(known.main_key_secret);
    await frame.getByRole('button', { name: 'Connect', exact: true }).click();
    await frame.getByRole('heading', { name: 'Twilio is connected' }).waitFor();
}

inPage('the example in plain HTML connects', {}, async (page) => {
    const [html] = await ofThisRun(example('html'));
    await open(page, html);
    await connect(page.frameLocator('trunkline-connect iframe'));
    await waitFor('the result', async () => /^Connected as .+/.test(await page.locator('#result').innerText()));
});

inPage('the example for React connects', {}, async (page) => {
    const [component, token] = await ofThisRun(example('jsx'));
    const script = await bundle(`${component}
        import { createRoot } from 'react-dom/client';
        const onConnect = (detail) => { document.title = detail.connectionId; };
        createRoot(document.getElementById('root')).render(<TwilioConnectForm sessionToken="${token}" onConnect={onConnect} />);`);
    await open(page, '<div id="root"></div>');
    await page.addScriptTag({ content: script, type: 'module' });
    await connect(page.frameLocator('trunkline-connect iframe'));
    await waitFor('the connection', async () => (await page.title()) !== 'App');
});

inPage("the example for Nango's library connects", {}, async (page) => {
    const [module] = await ofThisRun(example('js'));
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    await open(page, '');
    await page.addScriptTag({ content: await bundle(module), type: 'module' });
    await connect(page.frameLocator('#connect-ui'));
    await waitFor('the event', async () => said.some((text) => /^connected .+/.test(text)));
});
