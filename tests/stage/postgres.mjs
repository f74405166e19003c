// A PostgreSQL server for one run, with its own folder and a socket in that folder.
//
// PostgreSQL does not run as root; root therefore runs it as the user `postgres` of its packages. A shell script guards the server: when
// the script's input closes for any reason, it stops the server and removes the folder.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Program } from './process.mjs';

const GUARD = `
trap '' INT TERM HUP
folder=$1; programs=$2
cd "$folder" &&
"$programs/initdb" -D "$folder/data" -U trunkline -A trust -N -E UTF8 --locale=C >"$folder/log" 2>&1 &&
"$programs/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "-c listen_addresses='' -c unix_socket_directories='$folder' \
-c fsync=off -c synchronous_commit=off -c full_page_writes=off" start >>"$folder/log" 2>&1 &&
echo ready || cat "$folder/log" >&2
cat >/dev/null
"$programs/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1
cd / && rm -rf "$folder"
`;

/** Starts a server with an empty database. Returns its URL and a function to stop it. */
export async function postgres() {
    const programs = folderOfPrograms();
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-sdk-pg-'));
    const shell = ['sh', '-c', GUARD, 'sh', folder, programs];
    const asRoot = process.getuid() === 0;
    if (asRoot) {
        execFileSync('chown', ['postgres', folder]);
    }
    const [command, ...args] = asRoot ? ['runuser', '-u', 'postgres', '--', ...shell] : shell;
    // Its own process group, so that Ctrl-C does not reach the guard script.
    const server = new Program('PostgreSQL', command, args, { detached: true });
    await server.waitForOutput(/^ready$/);
    return { url: `postgres://trunkline@localhost/postgres?host=${folder}`, stop: () => server.stop(null) };
}

function folderOfPrograms() {
    const packaged = '/usr/lib/postgresql';
    const newest = (existsSync(packaged) ? readdirSync(packaged) : [])
        .map(Number)
        .sort((one, other) => other - one)
        .map((version) => join(packaged, String(version), 'bin'));
    const found = [...newest, ...(process.env.PATH ?? '').split(':')].find((folder) => existsSync(join(folder, 'initdb')));
    if (!found) {
        throw new Error('cannot find initdb and pg_ctl: install PostgreSQL 15 or later');
    }
    return found;
}
