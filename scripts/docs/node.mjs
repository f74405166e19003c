// Runs blocks of JavaScript. Each line of standard input is a block as a JSON string; each line of standard output is its result.
// Later blocks see the top-level declarations of earlier ones, as if all were one module.

import readline from 'node:readline';

const AsyncFunction = (async () => {}).constructor;

// Imports are allowed only in modules, and declarations end with their block. Both become assignments to globals.
const asGlobals = (names) => names.replace(/\w+/g, '$&: globalThis.$&');
const statements = (block) =>
    block
        .replace(/^import (\{[^}]*\}) from ('[^']*');/gm, (_, names, from) => `(${asGlobals(names)} = await load(${from}));`)
        .replace(/^import (\w+) from ('[^']*');/gm, 'globalThis.$1 = (await load($2)).default;')
        .replace(/^(?:const|let) (\{[^}]*\}) = ([^;]*);/gm, (_, names, value) => `(${asGlobals(names)} = ${value});`)
        .replace(/^let (\w+);/gm, 'globalThis.$1 = undefined;')
        .replace(/^(?:const|let) (\w+)/gm, 'globalThis.$1');

const explain = (error) => (error.response?.data ? JSON.stringify(error.response.data) : (error.stack ?? String(error)));

let printed = '';
console.log = (...values) => {
    printed += values.join(' ') + '\n';
};

for await (const line of readline.createInterface({ input: process.stdin })) {
    printed = '';
    const answer = { printed };
    try {
        await new AsyncFunction('load', statements(JSON.parse(line)))((name) => import(name));
    } catch (error) {
        answer.error = explain(error);
    }
    answer.printed = printed;
    process.stdout.write(JSON.stringify(answer) + '\n');
}
process.exit(0);
