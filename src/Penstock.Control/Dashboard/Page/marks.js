// What happened: one line for each mark.

import { h, text } from './dom.js';
import { clock } from './words.js';

/** For follow. */
export function markLine(item) {
    const what = h('span');
    const node = h(
        'li',
        { 'data-level': item.level },
        h('time', { datetime: item.time }, clock(item.time)),
        h('code', null, item.event),
        what,
    );
    return { node, update: one => text(what, one.times > 1 ? `${one.text} (${one.times} such events)` : one.text) };
}
