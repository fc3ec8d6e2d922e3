// Why requests are rejected: the last ones, what each limit has decided, and a box that explains a request that the
// user makes up.

import { attribute, clear, field, follow, h, row, table, text } from './dom.js';
import { get, send } from './api.js';
import { clock, count, decimal, duration, percent, plural, rate, stateOf } from './words.js';

const EVERY_MS = 2000;
const SHOWN = 100;

const rejectionColumns = [
    { title: 'Time' },
    { title: 'Client' },
    { title: 'Identified by' },
    { title: 'Limit' },
    { title: 'Tokens', end: true },
    { title: 'Wait', end: true },
    { title: 'Times', end: true },
    { title: 'Route' },
    { title: 'Request id' },
];
const rejectionCells = [
    one => clock(one.time),
    one => one.client,
    one => one.identified_by,
    one => (one.dry_run ? `${one.limit} (dry run: admitted)` : one.limit),
    one =>
        one.cost === 0 ? '–' : one.cost === 1 ? count(one.tokens) : `${count(one.tokens)}, needs ${count(one.cost)}`,
    one => (one.retry_after > 0 ? duration(one.retry_after) : '–'),
    one => count(one.times),
    one => one.route,
    one => one.request_id,
];

const limitColumns = [
    { title: 'Limit' },
    { title: 'Capacity', end: true },
    { title: 'Rate', end: true },
    { title: 'By' },
    { title: 'Admitted', end: true },
    { title: 'Rejected', end: true },
    { title: 'Would have rejected', end: true },
];
const limitCells = [
    one => one.name,
    one =>
        one.capacity ? count(one.capacity) : one.concurrent ? `${count(one.concurrent)} in flight` : 'each its own',
    one => (one.rate_per_sec ? rate(one.rate_per_sec) : '–'),
    one => one.by.replaceAll('_', ' '),
    one => count(one.admitted),
    one => (one.rejected > 0 ? `${count(one.rejected)} (${percent(one.rejected, one.admitted + one.rejected)})` : '0'),
    one =>
        one.dry_run || one.dry_run_rejected > 0
            ? `${count(one.dry_run_rejected)} (${percent(one.dry_run_rejected, one.admitted + one.rejected)})`
            : '–',
];

export function rejections(root) {
    const last = table('The last rejections', rejectionColumns);
    const limits = table('What limits have decided since the start', limitColumns);
    const none = h('p', { class: 'empty' }, 'No request has been rejected since the start.');
    const fault = h('p', { class: 'fault', role: 'alert' });
    root.append(
        explainPanel(),
        h('h2', null, 'Limits since the start'),
        limits.node,
        h('h2', null, 'The last rejections'),
        h(
            'p',
            { class: 'empty' },
            'The newest first. A client is listed at most once a second; “times” counts all of them.',
        ),
        none,
        last.node,
        fault,
    );

    async function read() {
        try {
            const [page, status] = await Promise.all([get(`rejections?limit=${SHOWN}`), get('status')]);
            text(fault, '');
            none.hidden = page.items.length > 0;
            last.node.hidden = page.items.length === 0;
            follow(
                last.body,
                page.items,
                one => `${one.time} ${one.request_id} ${one.client} ${one.limit}`,
                one => row(one, rejectionCells, rejectionColumns, { 'data-level': one.dry_run ? 'warn' : null }),
            );
            follow(
                limits.body,
                status.limits,
                one => one.name,
                one => row(one, limitCells, limitColumns, { 'data-limit': one.name }),
            );
        } catch (wrong) {
            text(fault, wrong.message);
        }
    }

    const timer = setInterval(() => document.hidden || read(), EVERY_MS);
    read();
    return { close: () => clearInterval(timer) };
}

function explainPanel() {
    const method = field('Method', { value: 'GET', size: '7' });
    const host = field('Host', { value: 'localhost', size: '18' });
    const path = field('Path', { value: '/', size: '24' });
    const address = field('Client address', { value: '127.0.0.1', size: '16' });
    const fields = field('Header fields', { rows: '2', placeholder: 'X-API-Key: alice' }, 'one per line');
    const result = h('div', { role: 'status' });
    return h(
        'section',
        { class: 'panel' },
        h('h2', null, 'What would happen to this request?'),
        h(
            'form',
            {
                onsubmit: async event => {
                    event.preventDefault();
                    try {
                        const headers = Object.fromEntries(
                            fields.input.value
                                .split('\n')
                                .filter(line => line.trim())
                                .map(line => [line.split(':')[0].trim(), line.slice(line.indexOf(':') + 1).trim()]),
                        );
                        const told = (
                            await send('POST', 'explain', {
                                method: method.input.value,
                                host: host.input.value,
                                path: path.input.value,
                                client_address: address.input.value,
                                headers,
                            })
                        ).body;
                        clear(result).append(steps(told));
                    } catch (fault) {
                        clear(result).append(h('p', { class: 'fault' }, fault.message));
                    }
                },
            },
            h('div', { class: 'form' }, method.node, host.node, path.node, address.node),
            fields.node,
            h('div', { class: 'buttons' }, h('button', { class: 'main' }, 'Explain')),
        ),
        result,
    );
}

/** The decision, step by step, as the data path makes it. */
function steps(told) {
    const limited = ['rate_limited', 'concurrency_limited', 'unknown_client', 'client_blocked'].includes(told.verdict);
    const list = h('ol', { class: 'steps' });
    const step = (level, title, ...words) =>
        list.append(h('li', { 'data-level': level }, h('div', null, h('h3', null, title), words)));
    if (told.client) {
        step(
            'good',
            `Client: ${told.client}`,
            h(
                'p',
                null,
                [
                    `identified by ${told.identified_by}`,
                    told.client_address && `address ${told.client_address}`,
                    told.registered ? 'registered' : 'not registered',
                    told.plan && `plan ${told.plan}`,
                    told.exempt && 'exempt from all limits',
                ]
                    .filter(Boolean)
                    .join(', '),
            ),
        );
    }
    if (told.route) {
        step('good', `Route: ${told.route}`, h('p', null, `leads to the upstream ${told.upstream}`));
    } else if (told.verdict === 'no_route') {
        step('bad', 'Route: none', h('p', null, told.detail ?? 'no route matches'));
    }
    if (told.limits.length > 0) {
        step(
            limited ? 'bad' : 'good',
            `Limits: ${told.limits.every(one => one.admits) ? 'all admit it' : 'not all admit it'}`,
            told.limits.map(limitLine),
        );
    } else if (told.route) {
        step('good', 'Limits: none', h('p', null, told.exempt ? 'the client is exempt' : 'no limit applies'));
    }
    if (told.candidates.length > 0) {
        step(
            told.pick ? 'good' : 'bad',
            `Candidates: ${plural(told.candidates.length, 'backend')}`,
            candidateTable(told),
        );
    }
    if (told.pick) {
        step(
            'good',
            `Pick: ${told.pick}`,
            h(
                'p',
                null,
                `by ${(told.balance ?? '').replaceAll('_', ' ')}${told.session ? `, session of ${told.session}` : ''}`,
            ),
        );
    }
    step(
        told.verdict === 'ok' || told.verdict === 'queued' ? 'good' : 'bad',
        `Verdict: ${told.verdict.replaceAll('_', ' ')}`,
        told.detail && h('p', null, told.detail),
    );
    return list;
}

function limitLine(one) {
    const mode = one.dry_run ? ', dry run' : '';
    const words =
        one.capacity !== null
            ? `${decimal(one.tokens)} of ${count(one.capacity)} tokens, then ${rate(one.rate_per_sec)}${mode}`
            : '';
    const flying =
        one.concurrent !== null ? `${count(one.in_flight)} of ${count(one.concurrent)} in flight${mode}` : '';
    return h(
        'p',
        null,
        one.capacity !== null &&
            h('meter', { min: '0', max: one.capacity, value: one.tokens, 'aria-label': `Tokens of ${one.name}` }),
        ' ',
        h('strong', null, one.name),
        ` ${one.admits ? 'admits' : 'rejects'}: ${[words, flying].filter(Boolean).join('; ')}`,
    );
}

function candidateTable(told) {
    const columns = [
        { title: 'Backend' },
        { title: 'State' },
        { title: 'Weight', end: true },
        { title: 'In flight', end: true },
        { title: 'Why' },
    ];
    const list = table('Candidates', columns);
    follow(
        list.body,
        told.candidates,
        one => one.address,
        one => {
            const ejected = !one.usable && one.health !== 'down' && one.state === 'ready' ? one.cause : null;
            const now = stateOf({ ...one, ejected });
            const made = row(
                one,
                [
                    () => one.address + (one.address === told.pick ? ' ← pick' : ''),
                    () => now.word,
                    () => count(one.weight),
                    () => count(one.in_flight),
                    () => one.cause ?? (one.has_room ? '' : 'full'),
                ],
                columns,
            );
            attribute(made.node, 'data-level', one.usable ? null : 'bad');
            return made;
        },
    );
    return list.node;
}
