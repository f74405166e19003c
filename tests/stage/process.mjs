// Child programs: start, wait for output, stop.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** The last lines of output, shown on failure. */
const KEPT_LINES = 200;
/** The timeout for a program to become ready or to exit. */
const TIMEOUT_MS = 60_000;

const running = new Set();

/** A program that runs until it is stopped. */
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
            createInterface({ input: stream }).on('line', (line) => this.#onLine(line));
        }
        running.add(this);
        this.#ended.then(() => running.delete(this));
    }

    /** Waits for a line of output that matches `pattern`. Returns the match. */
    async waitForOutput(pattern) {
        const said = this.#lines.map((line) => pattern.exec(line)).find(Boolean);
        if (said) {
            return said;
        }
        let timer;
        const heard = new Promise((resolve) => this.#waiting.add({ pattern, resolve }));
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => reject(new Error(`timeout while waiting for ${this.#name} to print ${pattern}:\n${this.log()}`)), TIMEOUT_MS);
        });
        const gone = this.#ended.then(([code]) => {
            throw new Error(`${this.#name} exited (${code}):\n${this.log()}`);
        });
        return Promise.race([heard, late, gone]).finally(() => clearTimeout(timer));
    }

    /** Stops it: closes its input, or sends a signal. Returns true after a clean exit. */
    async stop(signal = 'SIGTERM') {
        if (signal === null) {
            this.#child.stdin.end();
        } else {
            this.#child.kill(signal);
        }
        const timer = setTimeout(() => this.#child.kill('SIGKILL'), TIMEOUT_MS);
        const [code, by] = await this.#ended;
        clearTimeout(timer);
        return code === 0 || by === signal;
    }

    /** Kills it without waiting. */
    kill() {
        this.#child.kill('SIGKILL');
    }

    log() {
        return this.#lines.join('\n');
    }

    #onLine(line) {
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

/** Any exit of this process kills the programs. The guard script cleans up when its input closes. */
process.on('exit', () => running.forEach((program) => program.kill()));
for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => process.exit(1));
}
