// The connect page by itself: every state, in words, with and without JavaScript.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { account, acme, api, assertAccessible, inPage, session, stage, waitFor, withAndWithoutScript } from './support/world.mjs';

let known;
before(async () => {
    known = await account();
    for (const provider of ['acme', 'twilio']) {
        await api('POST', '/integrations', { provider, unique_key: `${provider}-shop`, display_name: `${provider} (shop)` });
    }
});

/** Fills the fields with these labels. */
async function fill(page, values) {
    for (const [label, value] of Object.entries(values)) {
        await page.getByLabel(label, { exact: true }).fill(value);
    }
}

function twilio(more = {}) {
    return { 'Account SID': known.account_sid, 'API key SID': known.main_key_sid, 'API key secret': known.main_key_secret, ...more };
}

async function connections(integration) {
    const { connections: all } = await api('GET', `/connections?integrationId=${integration}`);
    return all;
}

withAndWithoutScript('people choose an integration, are told what is wrong, and connect', async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop', 'twilio-shop'] });
    const before = (await connections('twilio-shop')).length;
    await page.goto(link);
    assert.equal(await page.locator('.integrations li').count(), 2);
    await page.getByText('Orbit is asking for access').waitFor();
    await page.getByRole('link', { name: 'twilio (shop)' }).click();
    await page.getByRole('heading', { name: 'Connect twilio (shop)' }).waitFor();

    await fill(page, { 'Account SID': 'AC12', 'API key SID': known.main_key_sid });
    await page.getByRole('button', { name: 'Connect' }).click();
    const alert = page.getByRole('alert');
    await alert.getByText('Account SID must be AC followed by 32 hexadecimal digits').waitFor();
    await alert.getByText('API key secret is required.').waitFor();
    assert.equal(await page.getByLabel('Account SID', { exact: true }).getAttribute('aria-invalid'), 'true');
    assert.equal(await page.getByLabel('API key SID', { exact: true }).inputValue(), known.main_key_sid);

    await fill(page, twilio({ 'API key secret': 'a-wrong-secret' }));
    await page.getByRole('button', { name: 'Connect' }).click();
    await alert.getByText('twilio (shop) did not accept these credentials').waitFor();
    assert.ok(!(await page.content()).includes('a-wrong-secret'), 'a secret was sent back');

    await fill(page, twilio({ 'Account SID': `  ${known.account_sid} ` }));
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'twilio (shop) is connected' }).waitFor();
    const all = await connections('twilio-shop');
    assert.equal(all.length, before + 1);
    await page.getByRole('link', { name: 'Connect another account' }).click();
    await page.locator('.integrations').waitFor();
});

withAndWithoutScript('there are several ways to connect', async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['twilio'] });
    await page.goto(link);
    const ways = page.getByRole('navigation', { name: 'Ways to connect' });
    await fill(page, { 'Account SID': known.account_sid });
    await ways.getByRole('link', { name: 'Account SID and auth token' }).click();
    await page.getByLabel('Auth token', { exact: true }).waitFor();
    await fill(page, { 'Account SID': known.account_sid });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('alert').getByText('Auth token is required.').waitFor();
    assert.equal(await page.getByLabel('API key SID', { exact: true }).count(), 0, 'the other form is not shown');
    await fill(page, { 'Account SID': known.account_sid, 'Auth token': known.auth_token });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'Twilio is connected' }).waitFor();
});

withAndWithoutScript('the list can be searched', async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop', 'twilio-shop', 'sendgrid'] });
    await page.goto(link);
    const search = page.getByRole('searchbox', { name: 'Search' });
    await search.fill('GRID');
    const button = page.getByRole('button', { name: 'Search' });
    if (await button.count()) await button.click();
    const shown = page.locator('.integrations li:visible');
    await waitFor('one integration', async () => (await shown.count()) === 1);
    assert.equal(await shown.innerText(), 'SendGrid');
    await search.fill('nothing like this <b>');
    if (await button.count()) await button.click();
    await page.getByText('Nothing matches your search.').waitFor();
});

withAndWithoutScript('a link that has expired or is wrong says what to do', async (page) => {
    const { token, connect_link: link } = await session();
    await fetch(`${stage.url}/connect/session`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
    for (const address of [link, `${stage.url}/connect?session_token=nonsense`]) {
        const response = await page.goto(address);
        assert.equal(response.status(), 401);
        await page.getByRole('heading', { name: 'This link has expired' }).waitFor();
    }
    const alone = await page.goto(`${stage.url}/connect`);
    assert.equal(alone.status(), 200);
    await page.getByRole('heading', { name: 'Open this page from your app' }).waitFor();
    const { connect_link: other } = await session({ allowed_integrations: ['acme-shop'] });
    assert.equal((await page.goto(`${other}&integration=twilio`)).status(), 404);
    await page.getByRole('heading', { name: 'This cannot be connected here' }).waitFor();
});

withAndWithoutScript('a session ends while the form is filled in', async (page) => {
    const { token, connect_link: link } = await session({ allowed_integrations: ['acme-shop'] });
    await page.goto(link);
    await fetch(`${stage.url}/connect/session`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
    await fill(page, { 'API key': 'ak_late' });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'This link has expired' }).waitFor();
});

withAndWithoutScript('people reconnect an account', async (page) => {
    const { connection } = await api('POST', '/twilio-shop/connect', {
        connectionId: `renewed-${Math.random()}`, accountSid: known.account_sid, apiKeySid: known.main_key_sid, apiKeySecret: known.main_key_secret
    });
    const body = { connection_id: connection.id, integration_id: 'twilio-shop' };
    const { data } = await api('POST', '/connect/sessions/reconnect', body);
    await page.goto(data.connect_link);
    await page.getByRole('heading', { name: 'Reconnect twilio (shop)' }).waitFor();
    await page.getByText(`You are replacing the credentials of the connection ${connection.id}`).waitFor();
    const account = page.getByLabel('Account SID', { exact: true });
    assert.equal(await account.inputValue(), known.account_sid);
    assert.equal(await account.getAttribute('readonly'), '');
    await fill(page, { 'API key SID': known.main_key_sid, 'API key secret': known.main_key_secret });
    await page.getByRole('button', { name: 'Reconnect' }).click();
    await page.getByRole('heading', { name: 'twilio (shop) is connected again' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Connect another account' }).count(), 0);
});

withAndWithoutScript('what the app sets is not asked for', async (page) => {
    const defaults = { 'acme-shop': { connection_config: { region: 'eu' } } };
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop'], integrations_config_defaults: defaults });
    await page.goto(link);
    assert.equal(await page.getByLabel('Region').count(), 0);
    await fill(page, { 'API key': `ak_set-${page.requested.length}` });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'acme (shop) is connected' }).waitFor();
    const [newest] = (await connections('acme-shop')).sort((a, b) => b.created.localeCompare(a.created));
    const { connection_config: config } = await api('GET', `/connections/${newest.connection_id}?provider_config_key=acme-shop`);
    assert.deepEqual(config, { region: 'eu' });
});

withAndWithoutScript('a provider that does not respond is named', async (page) => {
    await acme('exhaust', { key: 'ak_busy' });
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop'] });
    await page.goto(link);
    await fill(page, { 'API key': 'ak_busy' });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('alert').getByText('acme (shop) does not respond properly at the moment').waitFor();
});

withAndWithoutScript('after several failures people must wait', async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop'] });
    await page.goto(link);
    await acme('revoke', { key: 'ak_revoked' });
    for (let attempt = 0; attempt < 5; attempt += 1) {
        await fill(page, { 'API key': 'ak_revoked' });
        await page.getByRole('button', { name: 'Connect' }).click();
        await page.getByRole('alert').getByText('did not accept these credentials').waitFor();
        await page.locator('[role=alert]').evaluate((alert) => alert.remove()).catch(() => page.goto(link));
    }
    await fill(page, { 'API key': 'ak_revoked' });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('alert').getByText(/Seconds to wait: \d+/).waitFor();
});

const LANGUAGES = {
    de: ['Twilio verbinden', 'Secret des API-Schlüssels ist erforderlich.', 'Account-SID muss so aussehen: AC, gefolgt von 32 hexadezimalen Ziffern.'],
    es: ['Conectar Twilio', 'El campo «Secreto de la clave de API» es obligatorio.', 'El campo «SID de la cuenta» debe tener este formato: AC y 32 dígitos hexadecimales.'],
    fr: ['Connecter Twilio', 'Le champ «\u00a0Secret de la clé API\u00a0» est obligatoire.', 'Le champ «\u00a0SID du compte\u00a0» doit avoir ce format\u00a0: AC suivi de 32 chiffres hexadécimaux.'],
    pt: ['Conectar Twilio', 'O campo “Segredo da chave de API” é obrigatório.', 'O campo “SID da conta” deve ter este formato: AC e 32 dígitos hexadecimais.']
};
for (const [language, [title, required, form]] of Object.entries(LANGUAGES)) {
    inPage(`the page speaks ${language}`, { locale: `${language}-XX` }, async (page) => {
        const { connect_link: link } = await session({ allowed_integrations: ['twilio'] });
        await page.goto(link);
        await page.getByRole('heading', { name: title }).waitFor();
        assert.equal(await page.locator('html').getAttribute('lang'), language);
        assert.equal(await page.locator('form [lang=en], nav [lang=en]').count(), 0, 'a text is not translated');
        await page.locator('#field-accountSid').fill('AC1');
        await page.locator('button.main').click();
        await page.getByRole('alert').getByText(required).waitFor();
        await page.getByRole('alert').getByText(form).waitFor();
        await page.goto(`${link}&lang=en`);
        await page.getByRole('heading', { name: 'Connect Twilio' }).waitFor();
    });
}

inPage('a text without translation says its language', { locale: 'de-AT' }, async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['shopify'] });
    await page.goto(link);
    assert.ok((await page.locator('[lang=en]').count()) > 0);
});

inPage('secrets are hidden, shown on request, and trimmed when pasted', { permissions: ['clipboard-read', 'clipboard-write'] }, async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop'] });
    await page.goto(link);
    const key = page.getByLabel('API key', { exact: true });
    assert.equal(await key.getAttribute('type'), 'password');
    await page.getByRole('button', { name: 'Show API key' }).click();
    assert.equal(await key.getAttribute('type'), 'text');
    await page.getByRole('button', { name: 'Hide API key' }).click();
    assert.equal(await key.getAttribute('type'), 'password');
    await page.evaluate(() => navigator.clipboard.writeText(' ak_pasted\n'));
    await key.focus();
    await page.keyboard.press('Control+V');
    await waitFor('the pasted key', async () => (await key.inputValue()) === 'ak_pasted');
});

inPage('the form works with the keyboard alone', {}, async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop', 'twilio-shop'] });
    await page.goto(link);
    await page.keyboard.press('Tab');
    await page.keyboard.type('acme');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByLabel('API key', { exact: true }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main', 'the new page has the focus');
    await page.getByLabel('API key', { exact: true }).focus();
    await page.keyboard.type('of another shape');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'problem', 'what is wrong has the focus');
});

inPage('every state is accessible, and asks no other host', {}, async (page) => {
    const states = [];
    states.push(`${stage.url}/connect`, `${stage.url}/connect?session_token=nonsense`);
    states.push((await session()).connect_link);
    const { connect_link: link } = await session({ allowed_integrations: ['twilio-shop', 'shopify', 'zendesk', 'mailgun'] });
    states.push(link, `${link}&search=nothing`, `${link}&connected=shopify`, `${link}&integration=nobody`);
    for (const key of ['twilio-shop', 'shopify', 'zendesk', 'mailgun']) states.push(`${link}&integration=${key}`);
    for (const state of states) {
        await page.goto(state);
        await assertAccessible(page);
    }
    await page.goto(`${link}&integration=twilio-shop`);
    await fill(page, { 'Account SID': 'AC1' });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('alert').waitFor();
    await assertAccessible(page);
    await fill(page, twilio({ 'API key secret': 'wrong' }));
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByText('did not accept').waitFor();
    await assertAccessible(page);
    const { host } = new URL(stage.url);
    assert.deepEqual(page.requested.filter((address) => new URL(address).host !== host), []);
    const refused = page.complaints.filter((text) => !/status of 4\d\d/.test(text));
    assert.deepEqual(refused, []);
});

inPage('a first visit loads less than 100 KB', {}, async (page) => {
    const bodies = [];
    page.on('response', (response) => bodies.push(response.body()));
    const { connect_link: link } = await session({ allowed_integrations: ['twilio-shop', 'shopify', 'zendesk', 'mailgun'] });
    await page.goto(link, { waitUntil: 'networkidle' });
    await page.goto(`${link}&integration=twilio-shop`, { waitUntil: 'networkidle' });
    const sizes = (await Promise.all(bodies)).map((body) => body.length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(sizes.length > 5 && total < 100_000, `${sizes.length} files, ${total} bytes`);
});

test('the page sends its security headers', async () => {
    const { connect_link: link } = await session();
    const response = await fetch(link);
    const policy = response.headers.get('content-security-policy');
    assert.equal(policy, `default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors ${stage.app}`);
    assert.equal(response.headers.get('referrer-policy'), 'no-referrer');
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    assert.doesNotMatch(await response.text(), /<script(?![^>]* src=)|<style|\son\w+=|\sstyle=/);
});

withAndWithoutScript('an integration that lacks configuration says whom to ask', async (page) => {
    const { connect_link: link } = await session();
    const response = await page.goto(`${link}&integration=bare`);
    assert.equal(response.status(), 400);
    await page.getByText('This integration is not set up completely.').waitFor();
});

inPage('a link cannot fill in the form', {}, async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop'] });
    await page.goto(`${link}&field.region=xx&field.apiKey=ak_mine`);
    assert.equal(await page.getByLabel('Region (optional)').inputValue(), '');
    assert.equal(await page.getByLabel('API key', { exact: true }).inputValue(), '');
});

inPage('a form without a response says so, and keeps what was typed', {}, async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop'] });
    await page.goto(link);
    await fill(page, { 'API key': 'ak_offline' });
    await page.route('**/connect', (route) => (route.request().method() === 'POST' ? route.abort() : route.continue()));
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('alert').getByText('The server did not respond.').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'problem');
    assert.equal(await page.getByLabel('API key', { exact: true }).inputValue(), 'ak_offline');
    await page.unroute('**/connect');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'acme (shop) is connected' }).waitFor();
});

inPage('a form is sent once, and nothing replaces the page until the response is there', {}, async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop', 'twilio-shop'] });
    await page.goto(`${link}&integration=acme-shop`);
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    let sent = 0;
    await page.route('**/connect', async (route) => {
        sent += 1;
        await held;
        await route.continue();
    });
    await fill(page, { 'API key': 'ak_once' });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByLabel('API key', { exact: true }).press('Enter');
    await page.getByRole('link', { name: 'All integrations' }).click();
    release();
    await page.getByRole('heading', { name: 'acme (shop) is connected' }).waitFor();
    assert.equal(sent, 1);
});

inPage('the browser goes back to the list', {}, async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['acme-shop', 'twilio-shop'] });
    await page.goto(link);
    await page.getByRole('link', { name: 'acme (shop)' }).click();
    await page.getByLabel('API key', { exact: true }).waitFor();
    await page.goBack();
    await page.getByRole('heading', { name: 'Connect an account' }).waitFor();
    await page.goForward();
    await page.getByLabel('API key', { exact: true }).waitFor();
});

inPage('a field that depends on another is asked for when it is needed', {}, async (page) => {
    const { connect_link: link } = await session({ allowed_integrations: ['hosted'] });
    await page.goto(link);
    const host = page.getByLabel('Host');
    assert.equal(await host.isVisible(), false);
    await page.getByLabel('Edition').selectOption('server');
    await host.waitFor();
    await fill(page, { 'Key': 'ak_hosted' });
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('alert').getByText('Host is required.').waitFor();
    assert.equal(await page.getByLabel('Key', { exact: true }).getAttribute('type'), 'password', 'what becomes a secret is hidden');

    const defaults = { hosted: { connection_config: { edition: 'server' } } };
    const { connect_link: preset } = await session({ allowed_integrations: ['hosted'], integrations_config_defaults: defaults });
    await page.goto(preset);
    assert.equal(await page.getByLabel('Edition').count(), 0);
    await host.waitFor();
});

// Texts that a provider, an app or an end user controls, and that must stay texts.
const HOSTILE = [
    '<script>window.hit = 1</script>', '"><img src=x onerror="window.hit = 1">', "' autofocus onfocus='window.hit = 1", '</title><svg onload=window.hit=1>',
    'javascript:window.hit=1', '{{7*7}}${7*7}<%= 7*7 %>', '&lt;img src=x onerror=window.hit=1&gt;', '--><script>window.hit = 1</script><!--'
];
HOSTILE.forEach((text, index) => {
    inPage(`a hostile text stays a text (${index + 1} of ${HOSTILE.length})`, {}, async (page) => {
        const key = `hostile-${index}-${Math.random().toString(36).slice(2)}`;
        await api('POST', '/integrations', { provider: 'acme', unique_key: key, display_name: text });
        const { connect_link: link } = await session({
            allowed_integrations: [key, 'acme-shop'], overrides: { [key]: { docs_connect: text } }
        });
        const also = encodeURIComponent(text);
        const parameters = `search=${also}&lang=${also}&theme=${also}&display=${also}&form=${also}`;
        for (const address of [link, `${link}&${parameters}`, `${link}&integration=${key}&${parameters}`, `${link}&integration=${also}`, `${link}&connected=${key}`, `${stage.url}/connect?session_token=${also}`]) {
            await page.goto(address);
            assert.equal(await page.evaluate(() => window.hit), undefined, address);
            assert.equal(await page.locator('a[href^="javascript:"]').count(), 0);
        }
        await page.goto(`${link}&integration=${key}`);
        assert.ok((await page.locator('h1').innerText()).includes(text.trim()), 'the text is shown as it is');
        await fill(page, { 'API key': text, 'Region (optional)': text });
        await page.getByRole('button', { name: 'Connect' }).click();
        await page.getByRole('alert').waitFor();
        assert.equal(await page.evaluate(() => window.hit), undefined);
        assert.equal(await page.getByLabel('Region').inputValue(), text);
        await page.goto(link);
        const { token } = await session({ allowed_integrations: [key] });
        const body = new URLSearchParams({ session_token: token, integration: key, 'field.region': text, 'field.apiKey': '', form: text });
        await page.setContent(await (await fetch(`${stage.url}/connect`, { method: 'POST', body })).text());
        assert.equal(await page.evaluate(() => window.hit), undefined);
    });
});

test('a form that is damaged or too large is refused in words', async () => {
    const send = (body) => fetch(`${stage.url}/connect`, { method: 'POST', body });
    const large = await send('x'.repeat(70_000));
    assert.equal(large.status, 413);
    assert.match(await large.text(), /not received completely, or is too large/);
    assert.equal((await send('%ff%fe&&==&session_token')).status, 200);
    assert.equal((await send(new URLSearchParams({ session_token: 'x' }))).status, 401);
    const { token } = await session({ allowed_integrations: ['acme-shop'] });
    const unknown = new URLSearchParams({ session_token: token, integration: 'acme-shop', form: '99999999999999999999', 'field.nothing': 'x' });
    assert.equal((await send(unknown)).status, 400);
    const other = await fetch(`${stage.url}/connect`, { method: 'DELETE' });
    assert.equal(other.status, 405);
    assert.equal(other.headers.get('allow'), 'GET, HEAD, POST');
    assert.equal((await fetch(`${stage.url}/connect`, { method: 'HEAD' })).status, 200);
    assert.equal((await fetch(`${stage.url}/assets/nothing.css`)).status, 404);
});
