// What a limit would have done to an access log: the log is replayed once, for a grid of capacities and rates; the
// sliders then choose a cell of it.

import { attribute, clear, field, fileDrop, follow, h, number, row, table, text } from './dom.js';
import { upload } from './api.js';
import { chart } from './plot.js';
import { count, dateAndClock, percent, plural, rate } from './words.js';

const MAX_MIB = 64;

export function whatIf(root) {
    const key = field(
        'Client is in',
        { value: 'client', size: '16' },
        'member of a JSON log; client_address or user in others',
    );
    const capacity = field('Capacity', { type: 'number', min: '1', value: '100' }, 'requests at once');
    const perSec = field('Rate', { value: '10/s', size: '8' }, 'such as 10/s or 600/m');
    const target = field('Reject at most', { value: '1%', size: '6' }, 'of all requests');
    const result = h('div', { 'aria-live': 'polite' });
    const again = h('button', { type: 'button', disabled: true, onclick: () => replay() }, 'Replay again');
    const drop = fileDrop(
        'log',
        `Drop an access log here, or choose one (of Penstock, nginx or Apache, up to ${MAX_MIB} MiB). `,
        null,
        chosen => {
            file = chosen;
            again.disabled = false;
            replay();
        },
    );
    root.append(
        h(
            'p',
            { class: 'empty' },
            'What would a limit have done to the requests of a log? Nothing is sent, and no limit changes.',
        ),
        h(
            'section',
            { class: 'panel' },
            h('div', { class: 'form' }, capacity.node, perSec.node, target.node, key.node, again),
            drop,
        ),
        result,
    );
    let file = null;
    let running = null;

    async function replay() {
        running?.abort();
        const mine = (running = new AbortController());
        clear(result).append(h('p', null, `Replaying ${file.name} …`));
        try {
            if (file.size > MAX_MIB * 1024 * 1024) {
                throw new Error(
                    `${file.name} is larger than ${MAX_MIB} MiB. Use: penstock simulate --log ${file.name} ` +
                        `--capacity ${capacity.input.value} --rate ${perSec.input.value}`,
                );
            }
            const query = new URLSearchParams({
                capacity: capacity.input.value,
                rate: perSec.input.value,
                target: target.input.value,
                key: key.input.value,
            });
            const report = await upload(`simulate?${query}`, file, 'application/octet-stream', mine.signal);
            if (mine === running) {
                clear(result).append(show(report));
            }
        } catch (fault) {
            if (mine === running) {
                clear(result).append(h('p', { class: 'fault', role: 'alert' }, fault.message));
            }
        }
    }

    return { close: () => running?.abort() };
}

function slider(label, values, chosen, words, changed) {
    const shown = h('output');
    const made = field(label, {
        type: 'range',
        min: '0',
        max: values.length - 1,
        step: '1',
        value: chosen,
        oninput: () => told(),
    });
    const told = () => {
        text(shown, words(values[made.input.value]));
        attribute(made.input, 'aria-valuetext', words(values[made.input.value]));
        changed();
    };
    made.node.append(shown);
    text(shown, words(values[chosen]));
    attribute(made.input, 'aria-valuetext', words(values[chosen]));
    return {
        node: made.node,
        get index() {
            return Number(made.input.value);
        },
    };
}

function show(report) {
    const grid = report.grid;
    const share = chart('Rejected, by capacity', value =>
        value === null || value === undefined ? '–' : `${value.toFixed(2)} %`,
    );
    const worst = chart('Rejected in the worst second, by capacity', count);
    const smallest = chart('Smallest sufficient capacity, by rate', count);
    const facts = h('dl', { class: 'figures' });
    const capacities = slider('Capacity', grid.capacities, grid.capacities.indexOf(report.capacity), count, draw);
    const rates = slider('Rate', grid.rates, grid.rates.indexOf(report.rate_per_sec), rate, draw);
    const figures = new Map(
        ['Rejected', 'Of all requests', 'In the worst second', 'Sufficient at this rate'].map(name => {
            const value = h('data');
            facts.append(h('div', { 'data-figure': name }, h('dt', null, name), h('dd', null, value)));
            return [name, value];
        }),
    );

    function draw() {
        const [r, c] = [rates.index, capacities.index];
        const rejected = grid.rejected[r][c];
        number(figures.get('Rejected'), rejected, count(rejected));
        number(figures.get('Of all requests'), rejected / report.requests, percent(rejected, report.requests));
        number(figures.get('In the worst second'), grid.worst_second[r][c], count(grid.worst_second[r][c]));
        number(
            figures.get('Sufficient at this rate'),
            grid.smallest_capacity[r],
            grid.smallest_capacity[r] === null ? 'none' : count(grid.smallest_capacity[r]),
        );
        const here = [{ id: 0, at: c, text: 'chosen' }];
        const steps = grid.capacities.map((_, i) => i);
        share.update({
            x: steps,
            label: i => count(grid.capacities[i]),
            marks: here,
            shown: c,
            lines: [
                {
                    name: `at ${rate(grid.rates[r])}`,
                    tone: 4,
                    values: grid.rejected[r].map(n => (100 * n) / report.requests),
                },
            ],
        });
        worst.update({
            x: steps,
            label: i => count(grid.capacities[i]),
            marks: here,
            shown: c,
            lines: [{ name: `at ${rate(grid.rates[r])}`, tone: 3, values: grid.worst_second[r] }],
        });
        smallest.update({
            x: grid.rates.map((_, i) => i),
            label: i => rate(grid.rates[i]),
            marks: [{ id: 0, at: r, text: 'chosen' }],
            shown: r,
            lines: [{ name: 'capacity', tone: 1, values: grid.smallest_capacity }],
        });
    }

    const columns = [
        { title: 'Client' },
        { title: 'Requests', end: true },
        { title: 'Rejected', end: true },
        { title: 'Capacity for none', end: true },
    ];
    const hardest = table('Clients with the most rejections', columns);
    follow(
        hardest.body,
        report.hardest_clients,
        one => one.client,
        one =>
            row(
                one,
                [
                    x => x.client,
                    x => count(x.requests),
                    x => `${count(x.rejected)} (${percent(x.rejected, x.requests)})`,
                    x => count(x.capacity_for_none),
                ],
                columns,
            ),
    );
    const node = h(
        'div',
        null,
        h(
            'p',
            null,
            `${plural(report.requests, 'request')} of ${plural(report.clients, 'client')}, ` +
                `${dateAndClock(report.first)} to ${dateAndClock(report.last)}; ` +
                `${count(report.rejected_in_log)} were rejected then.`,
        ),
        report.bad_lines > 0 &&
            h('p', { class: 'fault' }, `Lines that could not be read and are not counted: ${count(report.bad_lines)}.`),
        h('section', { class: 'panel form' }, capacities.node, rates.node),
        facts,
        h('div', { class: 'charts' }, share.node, worst.node, smallest.node),
        h('h2', null, `Clients that ${count(report.capacity)} at once, then ${rate(report.rate_per_sec)} rejects most`),
        hardest.node,
    );
    requestAnimationFrame(draw); // when the charts have a width
    return node;
}
