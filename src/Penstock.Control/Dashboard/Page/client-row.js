// One registered client in the table: its settings are edited in place, and only if nobody else has changed them.

import { clear, h, text } from './dom.js';
import { Fault, getTagged, send } from './api.js';
import { confirmed, note, tell } from './notes.js';
import { count, decimal, rate } from './words.js';

export const clientColumns = [
    { title: 'Client' },
    { title: 'Capacity', end: true },
    { title: 'Rate per second', end: true },
    { title: 'Tokens now', end: true },
    { title: 'Plan' },
    { title: 'Access' },
    { title: 'Actions' },
];

/** The path of a client; "export" itself is a path of the API. */
const pathOf = id =>
    id.toLowerCase() === 'export'
        ? `clients/%${id.charCodeAt(0).toString(16)}${id.slice(1)}`
        : `clients/${encodeURIComponent(id)}`;

/** For follow: {node, update, edit}. */
export function clientRow(item, removed) {
    const cells = clientColumns.map(column => h('td', { class: column.end ? 'end' : null }));
    const node = h('tr', { 'data-client': item.client_id }, cells);
    const name = item.client_id;
    let now = item;
    let editing = false;

    const change = h('button', { type: 'button', 'aria-label': `Edit ${name}`, onclick: edit }, 'Edit');
    const fill = h(
        'button',
        {
            type: 'button',
            'aria-label': `Fill the bucket of ${name}`,
            onclick: () =>
                tell(async () => {
                    now = (await send('POST', `${pathOf(name)}/reset`)).body;
                    show();
                }, `The bucket of ${name} is full.`),
        },
        'Fill',
    );
    const remove = h(
        'button',
        {
            type: 'button',
            class: 'danger',
            'aria-label': `Delete ${name}`,
            onclick: async () => {
                if (
                    (await confirmed(`Delete ${name}?`, 'The limit of its route applies to it again.', 'Delete')) &&
                    (await tell(() => send('DELETE', pathOf(name)), `${name} is deleted.`))
                ) {
                    removed(name);
                }
            },
        },
        'Delete',
    );
    const actions = h('div', { class: 'buttons' }, change, fill, remove);

    function show() {
        editing = false;
        node.classList.remove('conflict');
        const values = [
            name,
            count(now.capacity),
            decimal(now.rate_per_sec),
            decimal(now.current_tokens),
            now.plan ?? '',
            now.access ?? 'limited',
        ];
        values.forEach((value, i) => text(clear(cells[i]), value));
        if (cells[6].firstChild !== actions) {
            clear(cells[6]).append(actions); // otherwise they stay, with the focus
        }
    }

    /** Ends the editing. */
    function end() {
        show();
        change.focus();
    }

    async function edit() {
        let read;
        try {
            read = await getTagged(pathOf(name));
        } catch (fault) {
            note(fault.message, true);
            return;
        }
        now = read.body;
        show();
        editing = true;
        editCells(read.tag);
    }

    function editCells(tag) {
        const input = (label, value) =>
            h('input', {
                type: 'number',
                min: '0',
                step: 'any',
                value: value ?? '',
                'aria-label': `${label} of ${name}`,
                onkeydown: event => (event.key === 'Enter' ? save() : event.key === 'Escape' && end()),
            });
        const [capacity, perSec] = [input('Capacity', now.capacity), input('Rate per second', now.rate_per_sec)];
        const says = h('p', { class: 'fault', role: 'alert' });

        async function save(newest) {
            const body = { capacity: Number(capacity.value), rate_per_sec: Number(perSec.value) };
            try {
                now = (await send('PATCH', pathOf(name), body, newest ?? tag)).body;
                end();
                note(`${name}: ${count(now.capacity)} at once, then ${rate(now.rate_per_sec)}.`);
            } catch (fault) {
                if (fault instanceof Fault && fault.status === 412) {
                    await conflict(body);
                } else {
                    text(says, fault.message);
                }
            }
        }

        /** Somebody else has changed the client: both values are shown, and the user chooses. */
        async function conflict(mine) {
            let theirs;
            try {
                theirs = await getTagged(pathOf(name));
            } catch (fault) {
                text(says, fault.message);
                return;
            }
            node.classList.add('conflict');
            now = theirs.body;
            clear(cells[6]).append(
                h(
                    'p',
                    { role: 'alert' },
                    `Changed by somebody else: now ${count(now.capacity)} at once, then ${rate(now.rate_per_sec)}. ` +
                        `You wanted ${count(mine.capacity)} at once, then ${rate(mine.rate_per_sec)}.`,
                ),
                h(
                    'div',
                    { class: 'buttons' },
                    h('button', { type: 'button', class: 'main', onclick: () => save(theirs.tag) }, 'Use mine'),
                    h('button', { type: 'button', onclick: end }, 'Keep theirs'),
                ),
            );
            cells[6].querySelector('button').focus();
        }

        clear(cells[1]).append(capacity);
        clear(cells[2]).append(perSec);
        clear(cells[6]).append(
            h(
                'div',
                { class: 'buttons' },
                h('button', { type: 'button', class: 'main', onclick: () => save() }, 'Save'),
                h('button', { type: 'button', onclick: end }, 'Cancel'),
            ),
            says,
        );
        capacity.focus();
    }

    show();
    return {
        node,
        edit,
        update(next) {
            if (!editing) {
                now = next;
                show();
            }
        },
    };
}
