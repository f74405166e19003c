// Photographs each page, light and dark, on a wide screen and on a phone: into target/screenshots, and two of each into docs/images.

import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { account, inPage, session } from './world.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const all = join(root, 'target/screenshots');
const ofDocs = join(root, 'docs/images');
for (const folder of [all, ofDocs]) mkdirSync(folder, { recursive: true });

/** Photographs a page in each way. */
async function photograph(page, name) {
    for (const [colorScheme, size, width] of [['light', 'wide', 1024], ['dark', 'wide', 1024], ['light', 'phone', 375], ['dark', 'phone', 375]]) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await page.setViewportSize({ width, height: 720 });
        // The whole page, without the shadow of a focus ring that depends on timing.
        await page.evaluate(() => document.activeElement?.blur());
        const path = join(all, `${name}-${size}-${colorScheme}.png`);
        await page.screenshot({ path, fullPage: true });
        if (size === 'wide' && colorScheme === 'light') copyFileSync(path, join(ofDocs, `${name}.png`));
        if (size === 'phone' && colorScheme === 'dark') copyFileSync(path, join(ofDocs, `${name}-phone.png`));
    }
}

inPage('the connect page', {}, async (page) => {
    const known = await account();
    const offered = ['twilio', 'sendgrid', 'stripe', 'shopify', 'github', 'mailgun'];
    const { connect_link: link } = await session({ allowed_integrations: offered });
    await page.goto(link);
    await photograph(page, 'connect-list');
    await page.goto(`${link}&integration=twilio`);
    await photograph(page, 'connect-form');
    await page.getByLabel('Account SID', { exact: true }).fill('AC12');
    await page.getByLabel('API key SID', { exact: true }).fill(known.main_key_sid);
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('alert').waitFor();
    await photograph(page, 'connect-problem');
    await page.getByLabel('Account SID', { exact: true }).fill(known.account_sid);
    await page.getByLabel('API key secret', { exact: true }).fill(known.main_key_secret);
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'Twilio is connected' }).waitFor();
    await photograph(page, 'connect-success');
});
