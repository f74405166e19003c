// Connections: import, list, show, change, delete.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { acme, assertError, assertRejected, connectAcme, importConnection, nango, request, sdk, TIME_OFFSET, TIME_Z, UUID_V4 } from './support/world.mjs';

const FULL = [
    'id',
    'connection_id',
    'provider_config_key',
    'provider',
    'errors',
    'end_user',
    'tags',
    'metadata',
    'connection_config',
    'webhook_url_override',
    'created_at',
    'updated_at',
    'last_fetched_at',
    'credentials'
];

test('an imported connection is returned completely, with times in Z', async () => {
    const made = await connectAcme('imported', {
        metadata: { plan: 'gold' },
        connection_config: { region: 'eu' },
        tags: { Team: 'blue' },
        webhook_url_override: 'https://app.example/hooks'
    });
    assert.deepEqual(Object.keys(made).sort(), [...FULL].sort());
    assert.ok(Number.isInteger(made.id));
    assert.equal(made.connection_id, 'imported');
    assert.equal(made.provider_config_key, 'acme');
    assert.equal(made.provider, 'acme');
    assert.deepEqual(made.errors, []);
    assert.equal(made.end_user, null);
    assert.deepEqual(made.tags, { team: 'blue' });
    assert.deepEqual(made.metadata, { plan: 'gold' });
    assert.deepEqual(made.connection_config, { region: 'eu' });
    assert.equal(made.webhook_url_override, 'https://app.example/hooks');
    assert.deepEqual(made.credentials, { type: 'API_KEY', apiKey: 'ak_imported' });
    assert.match(made.created_at, TIME_Z);
    assert.match(made.updated_at, TIME_Z);
});

test('a connection is shown completely, with times that have an offset', async () => {
    const made = await connectAcme('looked-at');
    const got = await nango.getConnection('acme', 'looked-at');
    assert.deepEqual(Object.keys(got).sort(), [...FULL].sort());
    assert.equal(got.id, made.id);
    assert.deepEqual(got.credentials, { type: 'API_KEY', apiKey: 'ak_looked-at' });
    assert.equal(got.metadata, null);
    assert.match(got.created_at, TIME_OFFSET);
    assert.match(got.updated_at, TIME_OFFSET);
    assert.equal(Date.parse(got.created_at), Date.parse(made.created_at));

    const again = await nango.getConnection('acme', 'looked-at', true, true);
    assert.match(again.last_fetched_at, TIME_OFFSET);
});

test('a connection without a name gets a UUID', async () => {
    const made = await importConnection({ provider_config_key: 'acme', credentials: { type: 'API_KEY', apiKey: 'ak_unnamed' } });
    assert.match(made.connection_id, UUID_V4);
});

test('the credentials of a connection are returned unchanged, and there is no raw token response', async () => {
    await connectAcme('token');
    assert.deepEqual(await nango.getToken('acme', 'token'), { type: 'API_KEY', apiKey: 'ak_token' });
    assert.equal(await nango.getRawTokenResponse('acme', 'token'), undefined);
});

test('an import under the same name replaces the credentials', async () => {
    const first = await connectAcme('again');
    const second = await importConnection({
        provider_config_key: 'acme',
        connection_id: 'again',
        credentials: { type: 'API_KEY', apiKey: 'ak_again' },
        connection_config: { region: 'us' }
    });
    assert.equal(second.id, first.id);
    assert.deepEqual(second.connection_config, { region: 'us' });
});

test('an invalid import is refused', async () => {
    const post = async (body, status, code) => {
        const response = await request('POST', '/connections', { body });
        return assertError(response.status, response.body, status, code);
    };
    const credentials = { type: 'API_KEY', apiKey: 'ak_refused' };
    await post({ provider_config_key: 'nobody', credentials }, 404, 'not_found');
    const basic = { type: 'BASIC', username: 'a', password: 'b' };
    await post({ provider_config_key: 'acme', credentials: basic }, 400, 'invalid_body');
    await post({ provider_config_key: 'acme', credentials, colour: 'red' }, 400, 'invalid_body');
    await post({ provider_config_key: 'acme', credentials: { type: 'API_KEY', apiKey: '' } }, 400, 'invalid_body');
    await acme('revoke', { key: 'ak_refused' });
    await post({ provider_config_key: 'acme', connection_id: 'refused', credentials }, 400, 'connection_test_failed');
    await assertRejected(nango.getConnection('acme', 'refused'), 404, 'not_found');
});

test('a name with a slash, a space and other characters is found as the SDK encodes it', async () => {
    const name = 'team/one two@example.com';
    await connectAcme(name);
    assert.equal((await nango.getConnection('acme', name)).connection_id, name);
    await nango.patchConnection({ connectionId: name, provider_config_key: 'acme' }, { tags: { a: 'b' } });
    assert.equal((await nango.deleteConnection('acme', name)).data.success, true);
});

test('an unknown connection is 404, an unknown integration 400', async () => {
    await assertRejected(nango.getConnection('acme', 'nobody'), 404, 'not_found');
    await assertRejected(nango.getConnection('nobody', 'looked-at'), 400, 'unknown_provider_config');
    await assertRejected(nango.getToken('acme', 'nobody'), 404, 'not_found');
    await assertRejected(nango.getRawTokenResponse('acme', 'nobody'), 404, 'not_found');
    await assertRejected(nango.getMetadata('acme', 'nobody'), 404, 'not_found');
});

test('a key without the scope to read credentials gets none', async () => {
    await connectAcme('hidden');
    const made = await request('POST', '/environments/dev/api-keys', {
        body: { name: 'no credentials', scopes: ['environment:connections:read'] }
    });
    const reader = sdk(made.body.data.secret);
    assert.deepEqual((await reader.getConnection('acme', 'hidden')).credentials, {});
    await assertRejected(reader.getConnection('acme', 'hidden', true), 403, 'forbidden');
    await assertRejected(reader.getConnection('acme', 'hidden', false, true), 403, 'forbidden');
});

test.describe('a list of connections', () => {
    const user = { id: 'u-1', email: 'ada@example.com', display_name: 'Ada' };
    before(async () => {
        await connectAcme('listed-1', { end_user: user, tags: { Plan: 'gold', colour: 'red' } });
        await connectAcme('listed-2', { tags: { Plan: 'gold' } });
        await connectAcme('listed-3', { end_user: { ...user, id: 'u-3', organization: { id: 'o-3', display_name: 'Org' } } });
    });
    const names = ({ connections }) => connections.map((one) => one.connection_id).sort();

    test('shows the public fields of each', async () => {
        const { connections } = await nango.listConnections({ connectionId: 'listed-1' });
        assert.equal(connections.length, 1);
        const [one] = connections;
        const keys = ['connection_id', 'created', 'end_user', 'errors', 'id', 'metadata', 'provider', 'provider_config_key', 'tags'];
        assert.deepEqual(Object.keys(one).sort(), keys);
        assert.ok(!Number.isNaN(Date.parse(one.created)));
        const shown = { ...one.end_user };
        assert.equal(shown.id, 'u-1');
        assert.equal(shown.display_name, 'Ada');
        assert.equal(shown.email, 'ada@example.com');
        assert.equal(shown.organization, null);
        assert.equal(one.tags.plan, 'gold');
        assert.equal(one.tags.end_user_id, 'u-1');
        assert.equal(one.tags.end_user_email, 'ada@example.com');
        assert.equal(one.tags.end_user_display_name, 'Ada');
    });

    test('is filtered by tags, all of which must match', async () => {
        assert.deepEqual(names(await nango.listConnections({ tags: { Plan: 'gold' } })), ['listed-1', 'listed-2']);
        assert.deepEqual(names(await nango.listConnections({ tags: { plan: 'gold', colour: 'red' } })), ['listed-1']);
        assert.deepEqual(names(await nango.listConnections({ tags: { plan: 'silver' } })), []);
    });

    test('is filtered by the user\'s name and e-mail address', async () => {
        assert.deepEqual(names(await nango.listConnections({ tags: { displayName: 'Ada' } })), ['listed-1', 'listed-3']);
        assert.deepEqual(names(await nango.listConnections({ tags: { email: 'ada@example.com' } })), ['listed-1', 'listed-3']);
    });

    test('is filtered by user and organization', async () => {
        assert.deepEqual(names(await nango.listConnections({ userId: 'u-1' })), ['listed-1']);
        const legacy = await nango.listConnections(undefined, undefined, { endUserOrganizationId: 'o-3' });
        assert.deepEqual(names(legacy), ['listed-3']);
        assert.deepEqual(names(await nango.listConnections(undefined, undefined, { endUserId: 'u-3' })), ['listed-3']);
    });

    test('is filtered by integration, one or several', async () => {
        const one = await nango.listConnections({ integrationId: 'acme' });
        assert.ok(one.connections.length > 2);
        assert.ok(one.connections.every((connection) => connection.provider_config_key === 'acme'));
        const several = await nango.listConnections({ integrationId: ['acme', 'twilio'], connectionId: 'listed-2' });
        assert.deepEqual(names(several), ['listed-2']);
    });

    test('is searched', async () => {
        assert.deepEqual(names(await nango.listConnections(undefined, 'listed-')), ['listed-1', 'listed-2', 'listed-3']);
    });

    test('is read in pages', async () => {
        const pages = [];
        for (const page of [0, 1]) {
            const { connections } = await nango.listConnections(undefined, 'listed-', { limit: 2, page });
            pages.push(...connections.map((one) => one.connection_id));
        }
        assert.deepEqual(pages.sort(), ['listed-1', 'listed-2', 'listed-3']);
    });

    test('is refused with a limit that is too large or an unknown parameter', async () => {
        await assertRejected(nango.listConnections({ limit: 2001 }), 400, 'invalid_query_params');
        const response = await request('GET', '/connections?colour=red');
        assertError(response.status, response.body, 400, 'invalid_query_params');
    });

    test('returns an awaited connection at once', async () => {
        const connection = await nango.waitForConnection('acme', 'u-1');
        assert.equal(connection.connection_id, 'listed-1');
        await assert.rejects(nango.waitForConnection('acme', 'u-1', { signal: AbortSignal.abort() }), /aborted/);
    });
});

test('a patch replaces user, tags and URL, and confirms it', async () => {
    await connectAcme('patched', { tags: { a: '1', b: '2' } });
    const where = { connectionId: 'patched', provider_config_key: 'acme' };
    const body = { tags: { c: '3' }, webhook_url_override: 'https://app.example/hooks' };
    assert.deepEqual(await nango.patchConnection(where, body), { success: true });
    let got = await nango.getConnection('acme', 'patched');
    assert.deepEqual(got.tags, { c: '3' });
    assert.equal(got.webhook_url_override, 'https://app.example/hooks');

    await nango.patchConnection(where, { end_user: { id: 'u-patched' }, webhook_url_override: '' });
    got = await nango.getConnection('acme', 'patched');
    assert.equal(got.end_user.id, 'u-patched');
    assert.equal(got.webhook_url_override, null);
});

test('an invalid patch is refused', async () => {
    await connectAcme('patched-wrongly');
    const where = { connectionId: 'patched-wrongly', provider_config_key: 'acme' };
    await assertRejected(nango.patchConnection(where, { colour: 'red' }), 400, 'invalid_body');
    await assertRejected(nango.patchConnection(where, { tags: { '1st': 'x' } }), 400, 'invalid_body');
    await assertRejected(nango.patchConnection(where, { tags: { end_user_email: 'nobody' } }), 400, 'invalid_body');
    await assertRejected(nango.patchConnection({ ...where, connectionId: 'nobody' }, { tags: {} }), 404, 'not_found');
    const nowhere = { ...where, provider_config_key: 'nobody' };
    await assertRejected(nango.patchConnection(nowhere, { tags: {} }), 400, 'unknown_provider_config');
});

test('metadata is replaced, merged and returned', async () => {
    await connectAcme('noted');
    const set = await nango.setMetadata('acme', 'noted', { a: 1, deep: { x: 1, y: 2 } });
    assert.equal(set.status, 201);
    const echo = { connection_id: 'noted', provider_config_key: 'acme', metadata: { a: 1, deep: { x: 1, y: 2 } } };
    assert.deepEqual(set.data, echo);

    const updated = await nango.updateMetadata('acme', 'noted', { b: 2, deep: { z: 3 } });
    assert.equal(updated.status, 200);
    assert.deepEqual(updated.data.metadata, { b: 2, deep: { z: 3 } });
    assert.deepEqual(await nango.getMetadata('acme', 'noted'), { a: 1, b: 2, deep: { z: 3 } });

    await nango.setMetadata('acme', 'noted', { c: 3 });
    assert.deepEqual(await nango.getMetadata('acme', 'noted'), { c: 3 });
});

test('metadata is set for several connections, or for none if one does not exist', async () => {
    await connectAcme('noted-1');
    await connectAcme('noted-2');
    const several = await nango.setMetadata('acme', ['noted-1', 'noted-2'], { a: 1 });
    assert.deepEqual(several.data.connection_id, ['noted-1', 'noted-2']);
    await assertRejected(nango.setMetadata('acme', ['noted-1', 'nobody'], { a: 2 }), 404, 'unknown_connection');
    await assertRejected(nango.updateMetadata('acme', ['noted-1', 'nobody'], { a: 2 }), 404, 'unknown_connection');
    for (const name of ['noted-1', 'noted-2']) {
        assert.deepEqual(await nango.getMetadata('acme', name), { a: 1 });
    }
    await assertRejected(nango.setMetadata('acme', 'noted-1', 'text'), 400, 'invalid_body');
});

test('a deleted connection does not exist, and a second deletion is 400 unknown_connection', async () => {
    await connectAcme('deleted');
    const response = await nango.deleteConnection('acme', 'deleted');
    assert.equal(response.status, 200);
    assert.deepEqual(response.data, { success: true });
    await assertRejected(nango.getConnection('acme', 'deleted'), 404, 'not_found');
    await assertRejected(nango.deleteConnection('acme', 'deleted'), 400, 'unknown_connection');
    await assertRejected(nango.deleteConnection('nobody', 'deleted'), 400, 'unknown_provider_config');
});

test('the older names of the routes work', async () => {
    await connectAcme('older');
    const one = await request('GET', '/connection/older?provider_config_key=acme');
    assert.equal(one.status, 200);
    assert.equal(one.body.connection_id, 'older');
    const all = await request('GET', '/connection?connectionId=older');
    assert.equal(all.status, 200);
    assert.equal(all.body.connections.length, 1);
});
