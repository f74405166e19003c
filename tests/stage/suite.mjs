// Runs a suite of tests on each database: starts trunkline, the simulator and Acme, runs node's test runner, and stops everything.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { postgres } from './postgres.mjs';
import { Program } from './process.mjs';
import { acme } from './provider.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/**
 * Runs the suite in `folder` on each database and ends the process, with 0 if all tests passed.
 *
 * The arguments of the process are the program and, if it is not beside it, the simulator. `about` is what is tested. Environment variables
 * that begin with `prefix` limit the run (`PREFIX_TEST_DATABASES`, `PREFIX_TEST_FILES`), and tell the tests where everything is
 * (`PREFIX_TEST_STAGE`). `prepare` may start more, and returns `{settings, providers, stage, stop}`: variables for trunkline,
 * provider files by name, and what tests must know.
 */
export async function run({ folder, about, prefix, prepare = async () => ({}) }) {
    const [given, simulatorGiven] = process.argv.slice(2);
    if (!given) {
        console.error('Usage: run TRUNKLINE [TRUNKLINE-SIM]. The default simulator is beside the program.');
        process.exit(2);
    }
    const trunkline = resolve(given);
    const simulator = resolve(simulatorGiven ?? join(dirname(trunkline), 'trunkline-sim'));
    for (const needed of [trunkline, simulator]) {
        if (!existsSync(needed)) {
            console.error(`${needed} does not exist: run "cargo build --bin trunkline --bin trunkline-sim"`);
            process.exit(2);
        }
    }
    const suite = { folder, prefix, prepare, trunkline, simulator };
    let passed = true;
    for (const database of (process.env[`${prefix}_TEST_DATABASES`] ?? 'sqlite postgres').split(' ')) {
        console.log(`\n# ${about} against ${trunkline} on ${database}`);
        passed = (await runOn(database, suite)) && passed;
    }
    process.exit(passed ? 0 : 1);
}

/** Runs the suite on one database. Returns true if all tests passed. */
async function runOn(database, suite) {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-suite-'));
    const ends = [() => rmSync(folder, { recursive: true })];
    try {
        const provider = await acme();
        ends.push(provider.stop);
        const prepared = await suite.prepare(folder);
        ends.push(async () => prepared.stop?.());
        const sim = new Program('trunkline-sim', suite.simulator, ['--port', '0', '--messages', '300', '--days', '30']);
        ends.push(() => sim.stop('SIGINT'));
        const [, simUrl] = await sim.waitForOutput(/^Simulated Twilio at (http:\S+)/);
        const server = database === 'postgres' ? await postgres() : { url: `sqlite://${join(folder, 'trunkline.db')}`, stop: () => {} };
        ends.push(server.stop);

        // A UUID, like Nango's keys.
        const key = randomUUID();
        const settings = { key, simUrl, providerUrl: provider.url, databaseUrl: server.url, more: prepared.settings, providers: prepared.providers };
        const program = gateway(suite.trunkline, folder, settings);
        ends.push(() => program.stop());
        const [, url] = await program.waitForOutput(/"url":"(http:[^"]+)"/);

        const stage = { database, url, key, sim: simUrl, acme: provider.url, ...prepared.stage };
        const good = await tests(suite, stage);
        if (!good) {
            console.log(`\n# The last output of trunkline:\n${program.log()}`);
        }
        return good;
    } catch (error) {
        console.error(error);
        return false;
    } finally {
        for (const end of ends.reverse()) {
            await end();
        }
    }
}

function gateway(trunkline, folder, { key, simUrl, providerUrl, databaseUrl, more, providers = {} }) {
    const files = join(folder, 'providers');
    mkdirSync(files);
    const file = readFileSync(join(here, 'acme.yaml'), 'utf8').replace('base_url: http://acme.test', `base_url: ${providerUrl}`);
    writeFileSync(join(files, 'acme.yaml'), file);
    for (const [name, text] of Object.entries(providers)) {
        writeFileSync(join(files, `${name}.yaml`), text.replaceAll('http://acme.test', providerUrl));
    }
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith('TRUNKLINE_'));
    const env = {
        ...Object.fromEntries(others),
        TRUNKLINE_LISTEN: '127.0.0.1:0',
        TRUNKLINE_DATABASE__URL: databaseUrl,
        TRUNKLINE_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
        TRUNKLINE_SECRET_KEY: key,
        TRUNKLINE_INTEGRATIONS_DIR: files,
        TRUNKLINE_UPSTREAM__ALLOW_PRIVATE_ADDRESSES: 'true',
        TRUNKLINE_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES: 'true',
        TRUNKLINE_PROVIDERS__TWILIO__BASE_URL: simUrl,
        // Another name of the same server is another origin.
        TRUNKLINE_PROVIDERS__ACME__ALLOWED_ORIGINS: providerUrl.replace('127.0.0.1', 'localhost'),
        TRUNKLINE_WORKER__POLL_MS: '50',
        TRUNKLINE_LOG__FORMAT: 'json',
        RUST_LOG: 'warn,trunkline=info',
        ...more
    };
    return new Program('trunkline', trunkline, ['serve'], { cwd: folder, env });
}

/** Runs the test files one after another, because they share the programs. */
async function tests({ folder, prefix }, stage) {
    const wanted = process.env[`${prefix}_TEST_FILES`]?.split(' ') ?? readdirSync(folder).filter((name) => name.endsWith('.test.mjs'));
    const files = wanted.sort().map((name) => join(folder, name));
    const env = { ...process.env, [`${prefix}_TEST_STAGE`]: JSON.stringify(stage) };
    const runner = spawn(process.execPath, ['--test', '--test-reporter=spec', '--test-concurrency=1', ...files], { env, stdio: 'inherit' });
    const [code] = await once(runner, 'exit');
    return code === 0;
}
