// Clients: the buckets that are emptiest and the clients that are rejected most, as vessels; all clients as a table
// that can be searched and edited in place.

import { attribute, field, follow, h, table, text } from './dom.js';
import { addForm } from './client-add.js';
import { clientColumns, clientRow } from './client-row.js';
import { download, get } from './api.js';
import { note, tell } from './notes.js';
import { count, decimal, rate } from './words.js';
import { importPanel } from './import.js';

const PAGE = 50;

export function clients(root) {
    const lowest = vesselList('The buckets of all registered clients are full.');
    const rejected = vesselList('No client has been rejected since the start.');
    const all = clientTable();
    const choose = vessel => (vessel.registered ? all.edit(vessel.client) : all.add(vessel.client));
    root.append(
        h('h2', null, 'The emptiest buckets'),
        lowest.node,
        h('h2', null, 'Rejected most since the start'),
        rejected.node,
        h('h2', null, 'All registered clients'),
        all.node,
        importPanel(() => all.load()),
    );
    all.load();
    return {
        update(state) {
            lowest.show(state.lowest, choose);
            rejected.show(state.most_limited, choose);
        },
    };
}

function vesselList(nothing) {
    const list = h('ul', { class: 'vessels' });
    const empty = h('p', { class: 'empty' }, nothing);
    return {
        node: h('div', null, list, empty),
        show(items, choose) {
            empty.hidden = items.length > 0;
            follow(
                list,
                items,
                one => `${one.client}\n${one.limit}`,
                item => vessel(item, choose),
            );
        },
    };
}

/** A vessel fills at its rate and drops with each request; between two states its level moves on as it must. */
function vessel(item, choose) {
    const water = h('div', { class: 'water' });
    const tokens = h('span', { class: 'tokens' });
    const terms = h('span');
    const lost = h('span');
    let now = item;
    const button = h(
        'button',
        { type: 'button', class: 'vessel', 'data-client': item.client, onclick: () => choose(now) },
        h('div', { class: 'glass', 'aria-hidden': 'true' }, water),
        h('div', null, h('strong', null, item.client), tokens, terms, lost),
    );
    return {
        node: h('li', null, button),
        update(next) {
            now = next;
            const known = next.tokens !== undefined && next.capacity;
            // The level that it has in a second, unless a request takes some: the transition takes a second.
            const soon = known ? Math.min(next.capacity, next.tokens + next.rate_per_sec) : 0;
            water.style.transform = `scaleY(${known ? (soon / next.capacity).toFixed(4) : 0})`;
            const { capacity, limit } = next;
            text(
                tokens,
                known ? `${decimal(Math.floor(next.tokens * 10) / 10)} of ${count(capacity)}` : unknown(limit),
            );
            text(terms, capacity ? `${count(capacity)} at once, then ${rate(next.rate_per_sec)}` : '');
            text(lost, next.rejected ? `${count(next.rejected)} rejected${by(limit)}` : '');
            attribute(button, 'data-level', known && next.tokens < 1 ? 'bad' : null);
            attribute(button, 'title', next.registered ? 'Edit' : 'Register this client');
        },
    };
}

/** What stands for the tokens of a client that has no bucket, or whose bucket nobody knows by its name. */
const unknown = limit => ({ client_blocked: 'blocked', unknown_client: 'not registered' })[limit] ?? 'tokens not known';

const by = limit => ({ client: ' by its own limit', client_blocked: '', unknown_client: '' })[limit] ?? ` by ${limit}`;

function clientTable() {
    const search = field('Search', { type: 'search', placeholder: 'part of an id' });
    const found = table('Registered clients', clientColumns);
    const more = h('button', { type: 'button' }, 'More');
    const empty = h('p', { class: 'empty' });
    const adding = addForm(() => load());
    const rows = new Map();
    let items = [];
    let cursor = null;
    let turn = 0;

    async function load(next) {
        const mine = ++turn;
        try {
            const query = new URLSearchParams({
                limit: PAGE,
                q: search.input.value,
                ...(next ? { cursor: next } : {}),
            });
            const page = await get(`clients?${query}`);
            if (mine !== turn) {
                return; // another search has begun
            }
            items = next ? [...items, ...page.items] : page.items;
            cursor = page.next_cursor;
            show();
        } catch (fault) {
            note(fault.message, true);
        }
    }

    function show() {
        follow(
            found.body,
            items,
            one => one.client_id,
            one => {
                const row = clientRow(one, id => {
                    items = items.filter(other => other.client_id !== id);
                    show();
                    search.input.focus();
                });
                rows.set(one.client_id, row);
                return row;
            },
        );
        for (const id of rows.keys()) {
            if (!items.some(one => one.client_id === id)) {
                rows.delete(id);
            }
        }
        found.node.hidden = items.length === 0;
        more.hidden = !cursor;
        empty.hidden = items.length > 0;
        text(
            empty,
            search.input.value
                ? 'No client has this in its id.'
                : 'No client is registered. Limits of the configuration apply to all.',
        );
    }

    let typing = 0;
    search.input.addEventListener('input', () => {
        clearTimeout(typing);
        typing = setTimeout(load, 200);
    });
    more.addEventListener('click', async () => {
        const before = items.length;
        await load(cursor);
        found.body.rows[before]?.querySelector('button').focus();
    });
    const save = h(
        'button',
        {
            type: 'button',
            onclick: () =>
                tell(async () => {
                    const url = URL.createObjectURL(await download('clients/export?format=csv'));
                    h('a', { href: url, download: 'clients.csv' }).click();
                    URL.revokeObjectURL(url);
                }),
        },
        'Save all as CSV',
    );
    return {
        node: h(
            'div',
            null,
            h(
                'div',
                { class: 'form' },
                search.node,
                h('button', { type: 'button', onclick: () => load() }, 'Read again'),
                save,
            ),
            adding.node,
            found.node,
            empty,
            more,
        ),
        load: () => load(),
        add: adding.open,
        async edit(id) {
            search.input.value = id;
            await load();
            rows.get(id)?.edit();
        },
    };
}
