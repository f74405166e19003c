// Syncs: trigger, start, pause, status, frequency, variants.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { acme, assertError, assertRejected, connectAcme, nango, orders, request, statusOf, waitForSync } from './support/world.mjs';

const SUCCESS = { success: true };

before(async () => {
    await connectAcme('synced', { orders: orders('s1', 's2') });
    await waitForSync('synced');
});

/** Starts a run of the connection's orders with `trigger`, and waits for its end. */
async function run(connection, trigger) {
    const since = await waitForSync(connection);
    const response = await trigger();
    assert.equal(response.status, 200);
    // Trunkline returns the runs in addition.
    assert.equal(response.data.success, true);
    return waitForSync(connection, { since });
}

test('the status of a sync shows its last run and the time of the next one', async () => {
    const status = await statusOf('synced');
    const known = [
        'checkpoint',
        'connection_id',
        'finishedAt',
        'frequency',
        'id',
        'latestExecutionStatus',
        'latestResult',
        'name',
        'nextScheduledSyncAt',
        'recordCount',
        'status',
        'type',
        'variant'
    ];
    assert.deepEqual(known.filter((field) => !(field in status)), []);
    assert.equal(status.name, 'acme-orders');
    assert.equal(status.variant, 'base');
    assert.equal(status.status, 'SUCCESS');
    assert.equal(status.latestExecutionStatus, 'SUCCESS');
    assert.ok(['INITIAL', 'INCREMENTAL'].includes(status.type), status.type);
    assert.deepEqual(status.recordCount, { Order: 2 });
    assert.deepEqual(status.latestResult, { Order: { added: 2, updated: 0, deleted: 0 } });
    assert.ok(!Number.isNaN(Date.parse(status.finishedAt)));
    assert.ok(Date.parse(status.nextScheduledSyncAt) > Date.parse(status.finishedAt));
});

test('the status of all syncs is returned, with a sync that was not started as paused', async () => {
    const { syncs } = await nango.syncStatus('acme', '*', 'synced');
    assert.deepEqual(syncs.map((sync) => sync.name).sort(), ['acme-customers', 'acme-orders']);
    assert.equal(syncs.find((sync) => sync.name === 'acme-customers').status, 'PAUSED');
    const named = await nango.syncStatus('acme', [{ name: 'acme-orders', variant: 'base' }, 'acme-customers'], 'synced');
    assert.equal(named.syncs.length, 2);
});

test('the status of an unknown sync is refused', async () => {
    const error = await assertRejected(nango.syncStatus('acme', '*', 'nobody'), 400, 'invalid_body');
    assert.match(JSON.stringify(error), /Connection not found|no connection/);
    await assertRejected(nango.syncStatus('nobody', '*', 'synced'), 400, 'unknown_provider_config');
    await assert.rejects(nango.syncStatus('acme', 'acme-orders'), /must be an array/);
});

test('a sync is triggered', async () => {
    const { latestResult } = await run('synced', () => nango.triggerSync('acme', ['acme-orders'], 'synced'));
    assert.deepEqual(latestResult, { Order: { added: 0, updated: 0, deleted: 0 } });
});

test('a sync may be an object, and its connection may be in headers', async () => {
    const named = [{ name: 'acme-orders', variant: 'base' }];
    await run('synced', () => nango.triggerSync('acme', named, 'synced'));
    await run('synced', async () => {
        const headers = { 'provider-config-key': 'acme', 'connection-id': 'synced' };
        const response = await request('POST', '/sync/trigger', { body: { syncs: ['acme-orders'] }, headers });
        return { status: response.status, data: response.body };
    });
});

test('a reset keeps the records, unless the cache is emptied', async () => {
    await connectAcme('anew', { orders: orders('a1', 'a2') });
    await waitForSync('anew');
    const of = { providerConfigKey: 'acme', connectionId: 'anew', model: 'Order' };
    const { records } = await nango.listRecords(of);

    await run('anew', () => nango.triggerSync('acme', ['acme-orders'], 'anew', { reset: true }));
    assert.deepEqual((await nango.listRecords(of)).records, records);

    const emptied = () => nango.triggerSync('acme', ['acme-orders'], 'anew', { reset: true, emptyCache: true });
    const { latestResult } = await run('anew', emptied);
    assert.equal(latestResult.Order.added, 2);
    const { records: again } = await nango.listRecords({ ...of, cursor: records.at(-1)._nango_metadata.cursor });
    assert.deepEqual(again.map((record) => record.id).sort(), ['a1', 'a2']);
});

test('the older modes of a run work', async () => {
    for (const mode of ['incremental', 'full_refresh', 'full_refresh_and_clear_cache', true, false]) {
        await run('synced', () => nango.triggerSync('acme', ['acme-orders'], 'synced', mode));
    }
    await run('synced', async () => {
        const body = { syncs: ['acme-orders'], provider_config_key: 'acme', connection_id: 'synced', full_resync: true };
        const response = await request('POST', '/sync/trigger', { body });
        return { status: response.status, data: response.body };
    });
});

test('an invalid run is refused', async () => {
    await assertRejected(nango.triggerSync(undefined, ['acme-orders'], 'synced'), 400, 'missing_provider_config_key');
    await assertRejected(nango.triggerSync('nobody', ['acme-orders'], 'synced'), 400, 'unknown_provider_config');
    await assertRejected(nango.triggerSync('acme', ['acme-orders'], 'nobody'), 404, 'unknown_connection');
    await assertRejected(nango.triggerSync('acme', ['acme-orders'], 'synced', 'sideways'), 400, 'invalid_body');
    await assert.rejects(nango.triggerSync('acme', 'acme-orders', 'synced'), /must be an array/);
    const body = {
        syncs: ['acme-orders'],
        provider_config_key: 'acme',
        connection_id: 'synced',
        opts: { reset: true },
        sync_mode: 'incremental'
    };
    const response = await request('POST', '/sync/trigger', { body });
    assertError(response.status, response.body, 400, 'invalid_body');
});

test('a run of no sync at all is refused', async () => {
    await assertRejected(nango.triggerSync('acme', [], 'synced'), 400, 'no_syncs_found');
    await assertRejected(nango.triggerSync('acme', undefined, 'synced'), 400, 'no_syncs_found');
});

test('a sync is started and paused', async () => {
    await connectAcme('paused', { orders: orders('p1') });
    await waitForSync('paused');
    const started = await nango.startSync('acme', ['acme-customers'], 'paused');
    assert.deepEqual([started.status, started.data], [200, SUCCESS]);
    const first = await waitForSync('paused', { sync: 'acme-customers' });
    assert.equal(first.status, 'SUCCESS');
    assert.deepEqual(first.recordCount, { Customer: 1 });

    const paused = await nango.pauseSync('acme', ['acme-customers'], 'paused');
    assert.deepEqual([paused.status, paused.data], [200, SUCCESS]);
    assert.equal((await statusOf('paused', 'acme-customers')).status, 'PAUSED');

    // A paused sync still runs when triggered, and stays paused.
    await nango.triggerSync('acme', ['acme-customers'], 'paused');
    const after = await waitForSync('paused', { sync: 'acme-customers', since: first });
    assert.equal(after.status, 'PAUSED');
});

test('an empty list means all syncs', async () => {
    await connectAcme('all', { orders: orders('p1') });
    await waitForSync('all');
    const statuses = async () => (await nango.syncStatus('acme', '*', 'all')).syncs.map((sync) => sync.status);
    await nango.pauseSync('acme', [], 'all');
    assert.deepEqual(await statuses(), ['PAUSED', 'PAUSED']);
    await nango.startSync('acme', [], 'all');
    assert.ok(!(await statuses()).includes('PAUSED'));
});

test('an unknown sync cannot be started or paused', async () => {
    for (const change of ['startSync', 'pauseSync']) {
        await assertRejected(nango[change]('nobody', ['acme-orders'], 'synced'), 400, 'unknown_provider_config');
        await assertRejected(nango[change]('acme', ['acme-orders'], 'nobody'), 404, 'unknown_connection');
        await assert.rejects(nango[change]('acme', 'acme-orders', 'synced'), /must be an array/);
    }
});

test('a sync whose credentials are refused has an error, and so has its connection', async () => {
    await connectAcme('broken', { orders: orders('b1') });
    const since = await waitForSync('broken');
    await acme('revoke', { key: 'ak_broken' });
    await nango.triggerSync('acme', ['acme-orders'], 'broken');
    const status = await waitForSync('broken', { since });
    assert.equal(status.status, 'ERROR');
    assert.equal(status.latestExecutionStatus, 'ERROR');
    const { errors } = await nango.getConnection('acme', 'broken');
    assert.equal(errors.length, 1);
    assert.equal(errors[0].type, 'auth');
    assert.ok('log_id' in errors[0]);
});

test('the frequency of a sync is set for a connection, and reset', async () => {
    const set = (frequency, connection = 'synced', sync = 'acme-orders') =>
        nango.updateSyncConnectionFrequency('acme', sync, connection, frequency);
    assert.deepEqual(await set('every 5 minutes'), { frequency: '5 minutes' });
    assert.match((await statusOf('synced')).frequency, /5 ?m/);
    assert.deepEqual(await set('every hour'), { frequency: '1h' });
    assert.deepEqual(await set('30s', 'synced', { name: 'acme-orders', variant: 'base' }), { frequency: '30s' });
    assert.deepEqual(await set(null), { frequency: 'every hour' });

    await assertRejected(set('every hour', 'nobody'), 400, 'unknown_connection');
    await assertRejected(set('every hour', 'synced', 'nothing'), 400, 'unknown_sync');
    await assertRejected(set('now and then'), 400, 'invalid_body');
    const tooOften = await set('every 5 seconds').catch((error) => error.response);
    assert.equal(tooOften.status, 400);
    await assert.rejects(nango.updateSyncConnectionFrequency('acme', 'acme-orders', 'synced', 5), /must be a string or null/);
});

test('a variant of a sync has its own records and status', async () => {
    await connectAcme('varied', { orders: orders('v1') });
    await acme('orders', { key: 'ak_varied archived', orders: orders('x1', 'x2') });
    const where = { provider_config_key: 'acme', connection_id: 'varied', name: 'acme-orders', variant: 'archived' };
    const made = await nango.createSyncVariant(where);
    assert.deepEqual([made.name, made.variant], ['acme-orders', 'archived']);
    assert.equal(typeof made.id, 'string');

    const name = { name: 'acme-orders', variant: 'archived' };
    const ended = async () => (await waitForSync('varied', { sync: name })).status;
    await nango.startSync('acme', [name], 'varied');
    assert.equal(await ended(), 'SUCCESS');
    await waitForSync('varied');
    const of = { providerConfigKey: 'acme', connectionId: 'varied', model: 'Order' };
    const ids = async (more) => (await nango.listRecords({ ...of, ...more })).records.map((record) => record.id).sort();
    assert.deepEqual(await ids({}), ['v1']);
    assert.deepEqual(await ids({ variant: 'base' }), ['v1']);
    assert.deepEqual(await ids({ variant: 'archived' }), ['x1', 'x2']);

    await assertRejected(nango.createSyncVariant(where), 400, 'sync_variant_already_exists');
    assert.deepEqual(await nango.deleteSyncVariant(where), SUCCESS);
    await assertRejected(nango.deleteSyncVariant(where), 404, 'not_found');
    assert.deepEqual(await ids({}), ['v1']);
});

test('an invalid variant is refused', async () => {
    const where = { provider_config_key: 'acme', connection_id: 'synced', name: 'acme-orders', variant: 'other' };
    await assertRejected(nango.createSyncVariant({ ...where, variant: 'base' }), 400, 'invalid_variant');
    await assertRejected(nango.createSyncVariant({ ...where, name: 'nothing' }), 400, 'unknown_sync');
    await assertRejected(nango.createSyncVariant({ ...where, connection_id: 'nobody' }), 400, 'unknown_connection');
    await assertRejected(nango.createSyncVariant({ ...where, provider_config_key: 'nobody' }), 400, 'unknown_provider_config');
    await assertRejected(nango.deleteSyncVariant({ ...where, variant: 'base' }), 400, 'invalid_variant');
});
