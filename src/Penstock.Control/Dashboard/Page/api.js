// The admin API and its stream of states. The token is kept here, in memory only: a reload of the page asks again.

let token = null;

export const setToken = value => {
    token = value;
};

/** An answer that is not a success. Its message is the API's sentence, with all faults that it lists. */
export class Fault extends Error {
    constructor(status, body) {
        const more = (body?.errors ?? []).map(fault => `${fault.field ?? ''} ${fault.message ?? ''}`.trim());
        super([body?.message ?? `the API answered ${status}`, ...more].join('\n'));
        this.status = status;
        this.body = body;
    }
}

function request(path, options = {}) {
    const headers = { Accept: 'application/json', ...options.headers };
    if (token) {
        headers.Authorization = `Bearer ${token}`;
    }
    return fetch(path, { cache: 'no-store', ...options, headers });
}

async function answer(response) {
    const words = await response.text();
    let body = null;
    try {
        body = words ? JSON.parse(words) : null;
    } catch {
        // Not JSON: the status says enough.
    }
    if (!response.ok) {
        throw new Fault(response.status, body);
    }
    return { body, tag: response.headers.get('ETag') };
}

async function ask(path, options) {
    let response;
    try {
        response = await request(path, options);
    } catch {
        throw new Fault(0, { message: 'Penstock does not answer' });
    }
    return answer(response);
}

/** The answer's body. */
export const get = async path => (await ask(path)).body;

/** The answer's body and its ETag. */
export const getTagged = path => ask(path);

/** Sends JSON. @param tag edits only what still has this ETag */
export const send = (method, path, body, tag) =>
    ask(path, {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
        headers: {
            ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
            ...(tag ? { 'If-Match': tag } : {}),
        },
    });

/** Sends a file as it is. */
export const upload = async (path, file, type, signal) =>
    (await ask(path, { method: 'POST', body: file, headers: { 'Content-Type': type }, signal })).body;

/** A file of the API, for saving. */
export async function download(path) {
    const response = await request(path, { headers: { Accept: '*/*' } });
    if (!response.ok) {
        await answer(response);
    }
    return response.blob();
}

const QUIET_MS = 6000;

/**
 * Reads the stream of states until it ends. A stream that says nothing for six seconds has ended, too: Penstock says
 * something every second.
 * @param told called with each state
 */
export async function readStates(told) {
    const stop = new AbortController();
    let timer = setTimeout(() => stop.abort(), QUIET_MS);
    try {
        const response = await request('events', { headers: { Accept: 'text/event-stream' }, signal: stop.signal });
        if (!response.ok) {
            await answer(response);
        }
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let words = '';
        for (;;) {
            const { value, done } = await reader.read();
            if (done) {
                return;
            }
            clearTimeout(timer);
            timer = setTimeout(() => stop.abort(), QUIET_MS);
            words += value;
            for (let end = words.indexOf('\n\n'); end >= 0; end = words.indexOf('\n\n')) {
                const data = words
                    .slice(0, end)
                    .split('\n')
                    .filter(line => line.startsWith('data: '))
                    .map(line => line.slice(6))
                    .join('\n');
                words = words.slice(end + 2);
                if (data) {
                    told(JSON.parse(data));
                }
            }
        }
    } finally {
        clearTimeout(timer);
        stop.abort();
    }
}
