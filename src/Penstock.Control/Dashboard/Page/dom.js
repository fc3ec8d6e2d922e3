// Builds the page out of elements and text nodes only. No text ever becomes HTML, so that whatever a client sends as
// its id, path or field is shown and does nothing.

const SVG = 'http://www.w3.org/2000/svg';

/** An element of HTML. Properties that begin with "on" are listeners, the others attributes; not null and false. */
export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

/** An element of SVG. */
export const s = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

function fill(node, properties, children) {
    for (const [name, value] of Object.entries(properties ?? {})) {
        if (value === null || value === undefined || value === false) {
            continue;
        }
        if (name.startsWith('on')) {
            node.addEventListener(name.slice(2), value);
        } else {
            node.setAttribute(name, value === true ? '' : value);
        }
    }
    node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
    return node;
}

/** Sets an element's text, if it has changed. */
export function text(node, value) {
    const next = String(value ?? '');
    if (node.textContent !== next) {
        node.textContent = next;
    }
    return node;
}

/** Sets an attribute, if it has changed; null removes it. */
export function attribute(node, name, value) {
    if (value === null || value === false) {
        node.removeAttribute(name);
    } else if (node.getAttribute(name) !== String(value)) {
        node.setAttribute(name, value);
    }
}

/** Shows a number for people, and keeps its exact value for programs. */
export function number(node, value, shown) {
    attribute(node, 'value', value ?? '');
    return text(node, shown);
}

const kept = new WeakMap();

/**
 * Makes the children of an element follow a list: what has the same key keeps its element, so that focus, selection
 * and transitions stay, and a page that is open for long does not grow.
 * @param create makes {node, update} for a new item; update is called with each later one of the same key. Both must
 *     take all that changes from the item: what else create sees stays as it was.
 */
export function follow(parent, items, keyOf, create) {
    const before = kept.get(parent) ?? new Map();
    const now = new Map();
    let place = parent.firstChild;
    for (const item of items) {
        const key = keyOf(item);
        if (now.has(key)) {
            continue;
        }
        const part = before.get(key) ?? create(item);
        part.update?.(item);
        now.set(key, part);
        if (part.node === place) {
            place = place.nextSibling;
        } else {
            move(parent, part.node, place);
        }
    }
    for (const [key, part] of before) {
        if (!now.has(key)) {
            part.node.remove();
        }
    }
    kept.set(parent, now);
}

/** Puts an element into its place; one that is moved keeps the focus. */
function move(parent, node, place) {
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    parent.insertBefore(node, place);
    focused?.focus({ preventScroll: true });
}

/** Removes all that is in an element. */
export function clear(node) {
    kept.delete(node);
    node.replaceChildren();
    return node;
}

/** A table with a caption for screen readers. A column is {title, end}: with end its cells are numbers. */
export function table(caption, columns) {
    const body = h('tbody');
    const node = h(
        'div',
        { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
        h(
            'table',
            null,
            h('caption', { class: 'hidden' }, caption),
            h(
                'thead',
                null,
                h(
                    'tr',
                    null,
                    columns.map(column => h('th', { scope: 'col', class: column.end ? 'end' : null }, column.title)),
                ),
            ),
            body,
        ),
    );
    return { node, body };
}

/** Cells of a row of such a table: {node, update} for follow, from functions that give each cell's text. */
export function row(item, cells, columns, properties) {
    const parts = cells.map((_, i) => h('td', { class: columns[i].end ? 'end' : null }));
    return {
        node: h('tr', properties, parts),
        update: next => cells.forEach((cell, i) => text(parts[i], cell(next))),
    };
}

/** An input with its label. */
export function field(label, properties, hint) {
    const id = `f${++field.count}`;
    const input = h(properties.rows ? 'textarea' : 'input', {
        id,
        autocomplete: 'off',
        spellcheck: 'false',
        ...properties,
    });
    return {
        node: h('div', { class: 'field' }, h('label', { for: id }, label), input, hint && h('small', null, hint)),
        input,
    };
}
field.count = 0;

/** A list to choose from, with its label. */
export function choice(label, options, chosen, changed) {
    const id = `f${++field.count}`;
    const input = h(
        'select',
        { id, onchange: () => changed?.(input.value) },
        options.map(([value, words]) => h('option', { value, selected: value === chosen }, words)),
    );
    return { node: h('div', { class: 'field' }, h('label', { for: id }, label), input), input };
}

/**
 * A place to drop one file, or to choose it.
 * @param take gets the file
 */
export function fileDrop(id, label, accept, take) {
    const chosen = files => {
        if (files[0]) {
            take(files[0]);
        }
        input.value = ''; // so that the same file can be chosen again
    };
    const input = h('input', { type: 'file', id, accept, onchange: () => chosen(input.files) });
    const drop = h(
        'div',
        {
            class: 'drop',
            ondragover: event => {
                event.preventDefault();
                drop.dataset.over = 'yes';
            },
            ondragleave: () => delete drop.dataset.over,
            ondrop: event => {
                event.preventDefault();
                delete drop.dataset.over;
                chosen(event.dataTransfer.files);
            },
        },
        h('label', { for: id }, label),
        input,
    );
    return drop;
}
