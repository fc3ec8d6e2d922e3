// Registers a client.

import { choice, field, h, text } from './dom.js';
import { send } from './api.js';
import { note } from './notes.js';

export function addForm(added) {
    const id = field('Client', { required: true, maxlength: '256' }, 'an API key, a name, an address');
    const capacity = field('Capacity', { type: 'number', min: '1', value: '100' }, 'requests at once');
    const perSec = field('Rate', { type: 'number', min: '0', step: 'any', value: '10' }, 'tokens per second');
    const access = choice(
        'Access',
        [
            ['limited', 'limited'],
            ['blocked', 'blocked'],
            ['exempt', 'exempt'],
        ],
        'limited',
    );
    const says = h('p', { class: 'fault', role: 'alert' });
    const form = h(
        'form',
        {
            class: 'form',
            onsubmit: async event => {
                event.preventDefault();
                const limited = access.input.value === 'limited';
                try {
                    await send('POST', 'clients', {
                        client_id: id.input.value,
                        access: access.input.value,
                        ...(limited
                            ? { capacity: Number(capacity.input.value), rate_per_sec: Number(perSec.input.value) }
                            : {}),
                    });
                    note(`${id.input.value} is registered.`);
                    text(says, '');
                    id.input.value = '';
                    node.open = false;
                    node.querySelector('summary').focus();
                    added();
                } catch (fault) {
                    text(says, fault.message);
                }
            },
        },
        id.node,
        capacity.node,
        perSec.node,
        access.node,
        h('button', { class: 'main' }, 'Register'),
    );
    const node = h('details', { class: 'panel' }, h('summary', null, 'Register a client'), form, says);
    return {
        node,
        open(client) {
            node.open = true;
            id.input.value = client;
            capacity.input.focus();
        },
    };
}
