// What the page says to its user: short notes, and questions before something is changed.

import { h } from './dom.js';

const NOTE_MS = 8000;
const MAX_NOTES = 4;

/** Says something for a few seconds; a fault, and what has the focus then, stays until it is closed. */
export function note(words, isFault) {
    const notes = document.getElementById('notes');
    const node = h(
        'div',
        { class: isFault ? 'note bad' : 'note' },
        h('span', null, words),
        h('button', { type: 'button', class: 'quiet', 'aria-label': 'Close this note', onclick: close }, '×'),
    );
    function close() {
        node.remove();
        (notes.querySelector('button') ?? document.getElementById('main')).focus({ preventScroll: true });
    }
    notes.append(node);
    while (notes.children.length > MAX_NOTES) {
        notes.firstChild.remove();
    }
    if (!isFault) {
        setTimeout(() => node.matches(':focus-within') || node.remove(), NOTE_MS);
    }
}

/** Does something that may fail, and says why it did. @returns whether it succeeded */
export async function tell(action, done) {
    try {
        const result = await action();
        if (done) {
            note(typeof done === 'function' ? done(result) : done);
        }
        return true;
    } catch (fault) {
        note(fault.message, true);
        return false;
    }
}

/** Asks before something is done. @returns whether the user wants it */
export function confirmed(question, words, action) {
    return new Promise(answered => {
        const dialog = h(
            'dialog',
            {
                'aria-labelledby': 'question',
                onclose: () => {
                    dialog.remove();
                    answered(dialog.returnValue === 'yes');
                },
            },
            h(
                'form',
                { method: 'dialog' },
                h('h2', { id: 'question' }, question),
                words && h('p', null, words),
                h(
                    'div',
                    { class: 'buttons' },
                    h('button', { value: 'no', type: 'submit' }, 'Cancel'),
                    h('button', { value: 'yes', type: 'submit', class: 'main' }, action),
                ),
            ),
        );
        document.body.append(dialog);
        dialog.showModal();
    });
}
