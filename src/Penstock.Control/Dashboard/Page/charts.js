// Charts of the last 15 minutes and 24 hours, of everything, an upstream or a backend, with marks where something
// happened.

import { choice, follow, h, text } from './dom.js';
import {
    drawLatency,
    drawRequests,
    drawShares,
    latencyChart,
    requestsChart,
    sharesChart,
    watchHistory,
} from './history.js';
import { markLine } from './marks.js';

const keyOf = one => `${one.upstream}\n${one.backend ?? ''}`;
const wordsOf = one => (one.backend ? `backend ${one.upstream}/${one.backend}` : `upstream ${one.upstream}`);

export function charts(root) {
    const [requests, latency, shares] = [requestsChart(), latencyChart(), sharesChart()];
    const fault = h('p', { class: 'fault', role: 'alert' });
    const empty = h(
        'p',
        { class: 'empty' },
        'The first value comes after a few seconds. They are kept in memory: a restart begins with none.',
    );
    const marks = h('ol', { class: 'marks' });
    const all = h('div', { class: 'charts' }, requests.node, latency.node, shares.node);
    const period = choice(
        'Time',
        [
            ['15m', 'the last 15 minutes'],
            ['24h', 'the last 24 hours'],
        ],
        '15m',
        value => watch.ask(value),
    );
    const subject = choice('Of', [], '', () => history && show());
    root.append(
        h('div', { class: 'form' }, period.node, subject.node),
        fault,
        empty,
        all,
        h('h2', null, 'What happened in this time'),
        marks,
    );
    let history = null;
    const watch = watchHistory(
        next => {
            history = next;
            show();
        },
        words => text(fault, words),
    );

    function show() {
        const options = [
            { key: '', words: 'all requests' },
            ...history.series.map(one => ({ key: keyOf(one), words: wordsOf(one) })),
        ];
        const chosen = subject.input.value;
        follow(
            subject.input,
            options,
            one => one.key,
            one => ({ node: h('option', { value: one.key }, one.words) }),
        );
        const series = history.series.find(one => keyOf(one) === chosen);
        subject.input.value = series ? chosen : '';
        empty.hidden = history.times.length > 0;
        all.hidden = history.times.length === 0;
        drawRequests(requests, history, series);
        drawLatency(latency, history, series);
        drawShares(shares, history, series);
        follow(marks, [...history.marks].reverse(), one => one.id, markLine);
    }

    return { close: watch.close };
}
