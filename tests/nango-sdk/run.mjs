// Runs the suite on each database. See README.md.

import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from '../stage/suite.mjs';

await run({ folder: dirname(fileURLToPath(import.meta.url)), about: "Nango's SDK", prefix: 'SDK' });
