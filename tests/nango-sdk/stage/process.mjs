// Programs that are started, waited for and ended.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** The end of what a program said, shown when it fails. */
const KEPT_LINES = 200;
/** For a program to be ready, or to end. */
const PATIENCE_MS = 60_000;

const running = new Set();

/** A program that stays until it is stopped. */
export class Program {
    #name;
    #child;
    #ended;
    #lines = [];
    #waiting = new Set();

    constructor(name, command, args, options = {}) {
        this.#name = name;
        this.#child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
        this.#ended = once(this.#child, 'exit').catch((error) => [error.message]);
        for (const stream of [this.#child.stdout, this.#child.stderr]) {
            createInterface({ input: stream }).on('line', (line) => this.#hear(line));
        }
        running.add(this);
        this.#ended.then(() => running.delete(this));
    }

    /** The first match of `pattern` in a line that it prints. */
    async says(pattern) {
        const said = this.#lines.map((line) => pattern.exec(line)).find(Boolean);
        if (said) {
            return said;
        }
        let timer;
        const heard = new Promise((resolve) => this.#waiting.add({ pattern, resolve }));
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => reject(new Error(`${this.#name} did not say ${pattern}:\n${this.log()}`)), PATIENCE_MS);
        });
        const gone = this.#ended.then(([code]) => {
            throw new Error(`${this.#name} ended (${code}):\n${this.log()}`);
        });
        return Promise.race([heard, late, gone]).finally(() => clearTimeout(timer));
    }

    /** Ends it: closes its input, or sends a signal. True if it ended well. */
    async stop(signal = 'SIGTERM') {
        if (signal === null) {
            this.#child.stdin.end();
        } else {
            this.#child.kill(signal);
        }
        const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
        const [code, by] = await this.#ended;
        clearTimeout(timer);
        return code === 0 || by === signal;
    }

    /** Ends it without waiting. */
    kill() {
        this.#child.kill('SIGKILL');
    }

    log() {
        return this.#lines.join('\n');
    }

    #hear(line) {
        this.#lines.push(line);
        this.#lines.splice(0, Math.max(0, this.#lines.length - KEPT_LINES));
        for (const waiting of this.#waiting) {
            const said = waiting.pattern.exec(line);
            if (said) {
                this.#waiting.delete(waiting);
                waiting.resolve(said);
            }
        }
    }
}

/** Whatever ends us ends what we started; a program that cleans up when its input closes sees that by itself. */
process.on('exit', () => running.forEach((program) => program.kill()));
for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => process.exit(1));
}
