// What an operator does: backends in and out of use, the configuration in force and its last reload, the nodes and
// their database.

import { clear, follow, h, row, table, text } from './dom.js';
import { get, send } from './api.js';
import { confirmed, note, tell } from './notes.js';
import { count, dateAndClock, duration, plural, stateOf } from './words.js';
import { markLine } from './marks.js';

const MAX_SETTINGS = 500;

const backendColumns = [
    { title: 'Upstream' },
    { title: 'Backend' },
    { title: 'Now' },
    { title: 'In flight', end: true },
    { title: 'Requests', end: true },
    { title: 'Failures', end: true },
    { title: 'State' },
    { title: 'Weight' },
];

const whatItMeans = {
    ready: 'It gets requests again.',
    drain: 'It gets no new clients; requests in flight and sessions end normally.',
    maintenance: 'It gets no new requests; those in flight end normally.',
};

export function operations(root) {
    const backends = table('Backends', backendColumns);
    const nodes = nodePanel();
    const reload = reloadPanel();
    const marks = h('ol', { class: 'marks' });
    root.append(
        backends.node,
        h('div', { class: 'two' }, reload.node, nodes.node),
        settingsPanel(),
        h('h2', null, 'What happened'),
        marks,
    );
    let readAt = null;
    return {
        update(state) {
            const rows = state.traffic.upstreams.flatMap(upstream =>
                upstream.backends.map(({ status }) => ({ upstream: upstream.name, status })),
            );
            follow(backends.body, rows, one => `${one.upstream} ${one.status.address}`, backendRow);
            nodes.update(state);
            const seen = `${state.configuration.read_at} ${state.configuration.reload_error}`;
            if (readAt !== seen) {
                readAt = seen;
                reload.read();
            }
            follow(marks, [...state.marks].reverse(), one => one.id, markLine);
        },
    };
}

function backendRow(item) {
    const path = `upstreams/${encodeURIComponent(item.upstream)}/backends/${encodeURIComponent(item.status.address)}`;
    const name = item.status.address;
    const cells = [
        one => one.upstream,
        one => one.status.address,
        one => {
            const now = stateOf(one.status);
            return now.why ? `${now.word}: ${now.why}` : now.word;
        },
        one => count(one.status.in_flight),
        one => count(one.status.requests),
        one => count(one.status.failures),
    ];
    const made = row(item, cells, backendColumns, { 'data-backend': name });
    let now = item.status;
    let isTyped = false; // and nobody was asked yet
    let isAsking = false;
    const state = h(
        'select',
        {
            'aria-label': `State of ${name}`,
            onchange: async () => {
                const wanted = state.value;
                if (
                    !(await confirmed(`Set ${name} to ${wanted}?`, whatItMeans[wanted], `Set to ${wanted}`)) ||
                    !(await tell(() => send('PATCH', path, { state: wanted }), `${name}: ${wanted}.`))
                ) {
                    state.value = now.state;
                }
            },
        },
        ['ready', 'drain', 'maintenance'].map(word => h('option', { value: word }, word)),
    );
    const weight = h('input', {
        type: 'number',
        min: '1',
        max: '256',
        'aria-label': `Weight of ${name}`,
        title: 'Enter, or leaving the field, sets it.',
        oninput: () => {
            isTyped = true;
        },
        onkeydown: event => {
            if (event.key === 'Enter') {
                event.preventDefault(); // it would answer the question
                ask();
            } else if (event.key === 'Escape') {
                isTyped = false;
                weight.value = now.weight;
            }
        },
        onblur: () => document.hasFocus() && ask(),
    });

    /** Not at each change: the arrow keys pass the weights between. */
    async function ask() {
        const wanted = Number(weight.value);
        isTyped &&= wanted !== now.weight;
        if (!isTyped || isAsking) {
            return;
        }
        isAsking = true;
        if (
            (await confirmed(`Give ${name} the weight ${wanted}?`, `Its weight is ${now.weight}.`, 'Set the weight')) &&
            (await tell(() => send('PATCH', path, { weight: wanted }), `${name}: weight ${wanted}.`))
        ) {
            now = { ...now, weight: wanted };
        }
        weight.value = now.weight;
        isTyped = isAsking = false;
        weight.focus();
    }
    made.node.append(h('td', null, state), h('td', null, weight));
    return {
        node: made.node,
        update(next) {
            made.update(next);
            const before = now;
            now = next.status;
            made.node.dataset.level = { bad: 'bad', warn: 'warn', idle: 'warn' }[stateOf(now).level] ?? '';
            // What the user is choosing stays; what has changed elsewhere shows.
            if (document.activeElement !== state || before.state !== now.state) {
                state.value = now.state;
            }
            if (!isTyped) {
                weight.value = now.weight;
            }
        },
    };
}

function reloadPanel() {
    const result = h('div');
    async function read() {
        try {
            show(await get('reload'));
        } catch (fault) {
            clear(result).append(h('p', { class: 'fault' }, fault.message));
        }
    }

    function show(last) {
        clear(result);
        if (!last.time) {
            result.append(h('p', { class: 'empty' }, 'There was no reload since the start.'));
            return;
        }
        result.append(
            h(
                'p',
                null,
                `The last one was at ${dateAndClock(last.time)}: `,
                last.error
                    ? h('strong', { class: 'fault' }, last.error)
                    : h(
                          'strong',
                          null,
                          last.changes.length === 0 ? 'nothing changed' : plural(last.changes.length, 'change'),
                      ),
            ),
        );
        list(
            last.remarks.map(one => `${one.field}: ${one.message}`),
            'fault',
        );
        list(last.changes);
        if (last.restart_needed.length > 0) {
            result.append(h('p', null, 'Only a restart puts in force:'));
            list(last.restart_needed);
        }
    }

    function list(lines, kind) {
        if (lines.length > 0) {
            result.append(
                h(
                    'ul',
                    { class: kind },
                    lines.map(line => h('li', null, h('code', null, line))),
                ),
            );
        }
    }

    const button = h(
        'button',
        {
            type: 'button',
            onclick: async () => {
                if (
                    !(await confirmed(
                        'Read the configuration file again?',
                        'It comes into force completely or, if it has an error, not at all.',
                        'Reload',
                    ))
                ) {
                    return;
                }
                try {
                    await send('POST', 'reload');
                    note('The configuration is reloaded.');
                } catch (fault) {
                    note(fault.message, true);
                }
                read();
            },
        },
        'Reload now',
    );
    return {
        node: h('section', { class: 'panel' }, h('h2', null, 'Reload'), result, h('div', { class: 'buttons' }, button)),
        read,
    };
}

function nodePanel() {
    const store = h('p');
    const fault = h('p', { class: 'fault' });
    const columns = [{ title: 'Node' }, { title: 'Version' }, { title: 'Up for', end: true }, { title: 'State' }];
    const nodes = table('Nodes', columns);
    const alone = h('p', { class: 'fault' });
    const cells = [
        one => one.node_id,
        one => one.version,
        one => duration((Date.now() - Date.parse(one.started_at)) / 1000),
        one => (one.alive ? 'alive' : `last heard of at ${dateAndClock(one.last_seen)}`),
    ];
    nodes.node.hidden = true;
    let asked = 0;
    return {
        node: h('section', { class: 'panel' }, h('h2', null, 'Database and nodes'), store, fault, alone, nodes.node),
        async update(state) {
            text(
                store,
                `${state.store.name} ${state.store.fault ? 'fails' : 'works'}; ` +
                    `${plural(state.clients, 'registered client')}.`,
            );
            text(
                fault,
                state.store.fault ? `Limits are enforced from memory, edits are rejected: ${state.store.fault}` : '',
            );
            nodes.node.hidden = state.store.nodes === null;
            if (state.store.nodes === null || performance.now() - asked < 2000) {
                return;
            }
            asked = performance.now();
            try {
                const cluster = await get('cluster');
                follow(
                    nodes.body,
                    cluster.nodes,
                    one => one.node_id,
                    one => row(one, cells, columns),
                );
                text(
                    alone,
                    cluster.link.status === 'alone'
                        ? `This node is alone since ${dateAndClock(cluster.link.since)}: ${cluster.link.cause}`
                        : '',
                );
            } catch {
                // The next state asks again.
            }
        },
    };
}

function settingsPanel() {
    const columns = [{ title: 'Key' }, { title: 'Value' }, { title: 'Origin' }];
    const list = table('Configuration in force', columns);
    const search = h('input', {
        type: 'search',
        'aria-label': 'Search in the configuration',
        placeholder: 'part of a key, a value, an origin',
    });
    const own = h('input', { type: 'checkbox', id: 'own', checked: true });
    const shown = h('p', { class: 'empty' });
    let settings = [];
    function show() {
        const part = search.value.toLowerCase();
        const found = settings.filter(
            one =>
                (!own.checked || one.origin !== 'default') &&
                `${one.key} ${one.value} ${one.origin}`.toLowerCase().includes(part),
        );
        follow(
            list.body,
            found.slice(0, MAX_SETTINGS),
            one => one.key,
            one => row(one, [x => x.key, x => x.value, x => x.origin], columns),
        );
        text(
            shown,
            `${count(found.length)} of ${count(settings.length)} values` +
                (found.length > MAX_SETTINGS ? `; the first ${MAX_SETTINGS} are shown` : ''),
        );
    }
    async function read() {
        try {
            const config = await get('config');
            settings = config.settings;
            show();
        } catch (fault) {
            note(fault.message, true);
        }
    }
    search.addEventListener('input', show);
    own.addEventListener('change', show);
    const panel = h(
        'details',
        { class: 'panel settings', ontoggle: () => panel.open && read() },
        h('summary', null, 'Configuration in force, and where each value comes from'),
        h(
            'div',
            { class: 'form' },
            search,
            h('label', { for: 'own' }, own, ' only what is not the default'),
            h('button', { type: 'button', onclick: read }, 'Read again'),
        ),
        shown,
        list.node,
    );
    return panel;
}
