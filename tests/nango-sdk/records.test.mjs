// The feed of records: all changes in order, and pruning.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { assertError, assertRejected, connectAcme, nango, orders, request, syncAgain, TIME_OFFSET, waitForSync } from './support/world.mjs';

/** The connection and model of a test. */
const of = (connectionId) => ({ providerConfigKey: 'acme', connectionId, model: 'Order' });
const ids = ({ records }) => records.map((record) => record.id);
const changes = ({ records }) => records.map((record) => `${record.id} ${record._nango_metadata.last_action}`).sort();

/** A connection after its first sync. */
async function connected(name, ...found) {
    await connectAcme(name, { orders: orders(...found) });
    await waitForSync(name);
}

before(() => connected('read', 'o1', 'o2', 'o3'));

test('records are returned with their metadata', async () => {
    const { records, next_cursor: next } = await nango.listRecords(of('read'));
    assert.equal(next, null);
    assert.deepEqual(records.map((record) => record.id).sort(), ['o1', 'o2', 'o3']);
    const one = records.find((record) => record.id === 'o1');
    assert.equal(one.state, 'open');
    assert.equal(one.amount, 100);
    const about = one._nango_metadata;
    const known = ['cursor', 'deleted_at', 'first_seen_at', 'last_action', 'last_modified_at', 'pruned_at'];
    assert.deepEqual(Object.keys(about).sort(), known);
    assert.equal(about.last_action, 'ADDED');
    assert.match(about.first_seen_at, TIME_OFFSET);
    assert.match(about.last_modified_at, TIME_OFFSET);
    assert.deepEqual([about.deleted_at, about.pruned_at], [null, null]);
});

test('a limit gives pages, and a cursor continues after its record', async () => {
    const whole = ids(await nango.listRecords(of('read')));
    const first = await nango.listRecords({ ...of('read'), limit: 2 });
    assert.deepEqual(ids(first), whole.slice(0, 2));
    assert.equal(first.next_cursor, first.records.at(-1)._nango_metadata.cursor);
    const second = await nango.listRecords({ ...of('read'), limit: 2, cursor: first.next_cursor });
    assert.deepEqual(ids(second), whole.slice(2));
    assert.equal(second.next_cursor, null);

    const behind = first.records[0]._nango_metadata.cursor;
    assert.deepEqual(ids(await nango.listRecords({ ...of('read'), cursor: behind })), whole.slice(1));
    const last = second.records.at(-1)._nango_metadata.cursor;
    assert.deepEqual(await nango.listRecords({ ...of('read'), cursor: last }), { records: [], next_cursor: null });
});

test('records are returned by their ids', async () => {
    assert.deepEqual(ids(await nango.listRecords({ ...of('read'), ids: ['o3', 'o1', 'nothing'] })).sort(), ['o1', 'o3']);
    const many = Array.from({ length: 101 }, (_, at) => `o${at}`);
    await assertRejected(nango.listRecords({ ...of('read'), ids: many }), 400, 'invalid_query_params');
});

test('a change, a new record and a deletion come after the stored cursor', async () => {
    await connected('changed', 'kept', 'changed', 'deleted');
    const kept = (await nango.listRecords(of('changed'))).records.at(-1)._nango_metadata.cursor;
    const [same, other] = orders('kept', 'changed');
    await syncAgain('changed', [same, { ...other, state: 'paid' }, ...orders('new')]);

    const after = await nango.listRecords({ ...of('changed'), cursor: kept });
    assert.deepEqual(changes(after), ['changed UPDATED', 'deleted DELETED', 'new ADDED']);
    const changed = after.records.find((record) => record.id === 'changed');
    assert.equal(changed.state, 'paid');
    const deleted = after.records.find((record) => record.id === 'deleted');
    assert.match(deleted._nango_metadata.deleted_at, TIME_OFFSET);

    const by = async (filter) => changes(await nango.listRecords({ ...of('changed'), filter }));
    assert.deepEqual(await by('added'), ['kept ADDED', 'new ADDED']);
    assert.deepEqual(await by('updated'), ['changed UPDATED']);
    assert.deepEqual(await by('DELETED'), ['deleted DELETED']);
    // Nango omits deleted records from a union.
    assert.deepEqual(await by('updated,deleted'), ['changed UPDATED', 'deleted DELETED']);
    assert.deepEqual(await by('added,deleted'), ['deleted DELETED', 'kept ADDED', 'new ADDED']);

    const { last_modified_at: since } = changed._nango_metadata;
    for (const modified of [{ modifiedAfter: since }, { delta: since }]) {
        assert.deepEqual(changes(await nango.listRecords({ ...of('changed'), ...modified })), changes(after));
    }
    const late = await nango.listRecords({ ...of('changed'), modifiedAfter: '2999-01-01T00:00:00.000Z' });
    assert.deepEqual(late.records, []);
});

test('an invalid query is refused', async () => {
    await assertRejected(nango.listRecords({ ...of('read'), cursor: 'no cursor' }), 400, 'invalid_query_params');
    await assertRejected(nango.listRecords({ ...of('read'), limit: 10_001 }), 400, 'invalid_query_params');
    await assertRejected(nango.listRecords({ ...of('read'), filter: 'lost' }), 400, 'invalid_query_params');
    await assertRejected(nango.listRecords({ ...of('read'), modifiedAfter: 'yesterday' }), 400, 'invalid_query_params');
    await assertRejected(nango.listRecords({ ...of('nobody') }), 400, 'unknown_connection');
    await assertRejected(nango.listRecords({ ...of('read'), providerConfigKey: 'nobody' }), 400, 'unknown_provider_config');
    await assert.rejects(nango.listRecords({ providerConfigKey: 'acme', connectionId: 'read' }), /model is missing/);
    const response = await request('GET', '/records?model=Order');
    assertError(response.status, response.body, 400, 'invalid_headers');
});

test('pruned records keep their position and lose their content', async () => {
    await connected('pruned', 'p1', 'p2', 'p3');
    const { records } = await nango.listRecords(of('pruned'));
    const untilCursor = records[1]._nango_metadata.cursor;

    const first = await nango.pruneRecords({ ...of('pruned'), untilCursor, limit: 1 });
    assert.deepEqual(first, { count: 1, has_more: true });
    const rest = await nango.pruneRecords({ ...of('pruned'), untilCursor });
    assert.deepEqual(rest, { count: 1, has_more: false });

    const after = await nango.listRecords(of('pruned'));
    assert.deepEqual(ids(after), records.map((record) => record.id));
    for (const [index, record] of after.records.entries()) {
        assert.equal(record._nango_metadata.cursor, records[index]._nango_metadata.cursor);
        assert.equal(record._nango_metadata.last_action, 'ADDED');
        if (index < 2) {
            assert.match(record._nango_metadata.pruned_at, TIME_OFFSET);
            assert.deepEqual(Object.keys(record).sort(), ['_nango_metadata', 'id']);
        } else {
            assert.deepEqual(record, records[index]);
        }
    }
});

test('invalid pruning is refused', async () => {
    const untilCursor = (await nango.listRecords(of('read'))).records[0]._nango_metadata.cursor;
    await assertRejected(nango.pruneRecords({ ...of('read'), untilCursor: 'no cursor' }), 400, 'invalid_body');
    await assertRejected(nango.pruneRecords({ ...of('read'), untilCursor, limit: 10_001 }), 400, 'invalid_body');
    await assertRejected(nango.pruneRecords({ ...of('nobody'), untilCursor }), 400, 'unknown_connection');
});
