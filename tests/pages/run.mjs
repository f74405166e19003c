// Runs the suite on each database, with an app whose pages embed the connect page. See README.md.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from '../stage/suite.mjs';
import { serveApp } from './support/app.mjs';

const LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 24" width="96" height="24"><rect width="24" height="24" rx="6" fill="#7c3aed"/><text x="32" y="17" font-family="sans-serif" font-size="14" fill="#7c3aed">Orbit</text></svg>';

// An integration that lacks configuration, and one with fields that depend on others.
const BARE = `display_name: Bare
auth_mode: API_KEY
integration_config: { baseUrl: { title: Address } }
proxy: { base_url: http://acme.test, headers: { x-acme-key: "\${apiKey}" } }
`;
const HOSTED = `display_name: Hosted
auth_mode: API_KEY
connection_config:
  edition: { title: Edition, enum: [cloud, server] }
  host: { title: Host, optional: true }
connect:
  - title: Key
    fields:
      key: { title: Key }
      edition: { title: Edition, enum: [cloud, server] }
      host: { title: Host, visible_when: { field: edition, equals: server } }
    gives: { apiKey: "\${key}", connection_config: { edition: "\${edition}", host: "\${host}" } }
proxy: { base_url: http://acme.test, headers: { x-acme-key: "\${apiKey}" } }
`;

await run({
    folder: dirname(fileURLToPath(import.meta.url)),
    about: 'The pages',
    prefix: 'PAGES',
    async prepare(folder) {
        const [app, stranger] = [await serveApp(), await serveApp()];
        const logo = join(folder, 'logo.svg');
        writeFileSync(logo, LOGO);
        return {
            settings: {
                TRUNKLINE_WEB__NAME: 'Orbit',
                TRUNKLINE_WEB__LOGO: logo,
                TRUNKLINE_WEB__COLOR: '#7c3aed',
                TRUNKLINE_WEB__FRAME_ANCESTORS: app.url
            },
            providers: { bare: BARE, hosted: HOSTED },
            stage: { app: app.url, stranger: stranger.url },
            stop: () => Promise.all([app.stop(), stranger.stop()])
        };
    }
});
