// Charts of lines and of stacked areas, drawn as SVG. Where the pointer or the arrow keys are, the legend says the
// values.

import { attribute, follow, h, s, text } from './dom.js';

const [LEFT, RIGHT, TOP, BOTTOM, HEIGHT] = [52, 8, 8, 20, 176];

/**
 * @param format makes words of a value
 * @returns {node, update}: update takes {x, lines: [{name, tone, values}], stacked, marks: [{at, level, text}],
 *     label, shown}, where x are numbers, values may be null, label makes words of an x, and shown is the index whose
 *     values the legend says, unless the user chooses another; default: the last
 */
export function chart(title, format, properties = {}) {
    const grid = s('g');
    const marks = s('g');
    const curves = s('g');
    const cursor = s('line', { class: 'cursor', y1: TOP, y2: HEIGHT - BOTTOM, visibility: 'hidden' });
    const svg = s('svg', { role: 'img', tabindex: '0', 'aria-label': title }, grid, curves, marks, cursor);
    const at = h('span');
    const legend = h('ul', { class: 'legend' });
    const node = h('section', { class: 'chart', ...properties }, h('h2', null, title, at), svg, legend);
    let data = null;
    let chosen = null;

    function draw() {
        const width = Math.max(200, svg.clientWidth);
        const { x, lines, stacked, label } = data;
        const sums = stacked ? stack(lines) : lines.map(line => line.values);
        const most = nice(Math.max(0, ...sums.flat().filter(value => value !== null)) || 1);
        const [from, to] = [x[0], x.at(-1)];
        const px = value => LEFT + (to > from ? (value - from) / (to - from) : 1) * (width - LEFT - RIGHT);
        const py = value => TOP + (1 - value / most) * (HEIGHT - TOP - BOTTOM);
        const i = chosen ?? data.shown ?? x.length - 1;
        attribute(svg, 'viewBox', `0 0 ${width} ${HEIGHT}`);
        follow(grid, gridOf({ width, most, py, px, x, format, label }), one => one.key, gridLine);
        const paths = lines.map((line, n) => ({
            key: `${line.name} ${stacked}`,
            kind: stacked ? 'area' : 'curve',
            tone: line.tone,
            d: (stacked ? area : curve)(x, sums[n], px, py),
        }));
        // The areas of a stack are drawn from the highest to the lowest, each down to the bottom.
        follow(curves, stacked ? paths.reverse() : paths, one => one.key, linePath);
        const places = (data.marks ?? []).map(mark => ({ ...mark, x: px(mark.at).toFixed(1) }));
        follow(marks, places, one => one.id, markPlace);
        attribute(cursor, 'visibility', chosen === null ? 'hidden' : 'visible');
        attribute(cursor, 'x1', px(x[i]).toFixed(1));
        attribute(cursor, 'x2', px(x[i]).toFixed(1));
        text(at, label(x[i]));
        const words = lines.map(line => ({ ...line, words: `${line.name} ${format(line.values[i])}` }));
        follow(legend, words, one => one.name, legendEntry);
        attribute(svg, 'aria-label', `${title}, ${label(x[i])}: ${words.map(line => line.words).join(', ')}`);
    }

    function choose(index) {
        if (data?.x.length) {
            chosen = index === null ? null : Math.max(0, Math.min(data.x.length - 1, index));
            draw();
        }
    }

    svg.addEventListener('pointermove', event => {
        const box = svg.getBoundingClientRect();
        const share = (event.clientX - box.left - LEFT) / Math.max(1, box.width - LEFT - RIGHT);
        if (data?.x.length) {
            const wanted = data.x[0] + share * (data.x.at(-1) - data.x[0]);
            choose(
                data.x.reduce(
                    (best, value, i) => (Math.abs(value - wanted) < Math.abs(data.x[best] - wanted) ? i : best),
                    0,
                ),
            );
        }
    });
    svg.addEventListener('pointerleave', () => choose(null));
    svg.addEventListener('blur', () => choose(null));
    svg.addEventListener('keydown', event => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (step && data?.x.length) {
            event.preventDefault();
            choose((chosen ?? data.x.length - (step > 0 ? 1 : 0)) + step);
        }
    });
    return {
        node,
        update(next) {
            data = next;
            if (chosen !== null && chosen >= next.x.length) {
                chosen = null;
            }
            if (next.x.length > 0) {
                draw();
            } else {
                text(at, 'no value yet');
            }
        },
    };
}

function stack(lines) {
    const sums = [];
    for (const line of lines) {
        const below = sums.at(-1);
        sums.push(line.values.map((value, i) => (value ?? 0) + (below?.[i] ?? 0)));
    }
    return sums;
}

/** The lines of the grid with their words: three values of y, and the ends and the middle of x. */
function gridOf({ width, most, py, px, x, format, label }) {
    const rows = [0, 0.5, 1].map(share => ({
        key: `y${share}`,
        words: format(most * share),
        x: LEFT - 6,
        y: py(most * share) + 4,
        anchor: 'end',
        line: { y: py(most * share).toFixed(1), to: width - RIGHT },
    }));
    const places = [...new Set([0, Math.floor((x.length - 1) / 2), x.length - 1])];
    const columns = places.map((i, n) => ({
        key: `x${n}`,
        words: label(x[i]),
        x: px(x[i]),
        y: HEIGHT - 5,
        anchor: i === 0 ? 'start' : i === x.length - 1 ? 'end' : 'middle',
    }));
    return [...rows, ...columns];
}

// What follow makes sees nothing but its items: what else it saw would stay as it was when it was made.

function gridLine(item) {
    const words = s('text');
    const line = item.line && s('line', { class: 'grid', x1: LEFT });
    return {
        node: s('g', null, line, words),
        update(next) {
            attribute(words, 'x', next.x.toFixed(1));
            attribute(words, 'y', next.y.toFixed(1));
            attribute(words, 'text-anchor', next.anchor);
            text(words, next.words);
            if (line) {
                attribute(line, 'y1', next.line.y);
                attribute(line, 'y2', next.line.y);
                attribute(line, 'x2', next.line.to);
            }
        },
    };
}

function linePath() {
    const node = s('path');
    return {
        node,
        update(next) {
            attribute(node, 'class', next.kind);
            attribute(node, 'data-tone', next.tone);
            attribute(node, 'd', next.d);
        },
    };
}

function markPlace(item) {
    const says = s('title', null, item.text);
    const node = s('line', { class: 'mark', y1: TOP, y2: HEIGHT - BOTTOM, 'data-level': item.level }, says);
    return {
        node,
        update(next) {
            attribute(node, 'x1', next.x);
            attribute(node, 'x2', next.x);
        },
    };
}

function legendEntry(item) {
    const words = h('span');
    const box = s('rect', { width: '10', height: '10', rx: '2' });
    return {
        node: h(
            'li',
            { 'data-tone': item.tone },
            s('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' }, box),
            words,
        ),
        update: next => text(words, next.words),
    };
}

function curve(x, values, px, py) {
    let path = '';
    let joined = false;
    values.forEach((value, i) => {
        if (value === null || value === undefined) {
            joined = false;
        } else {
            const alone = !joined && (values[i + 1] ?? null) === null; // a point shows only if it has a length
            path += `${joined ? 'L' : 'M'}${px(x[i]).toFixed(1)} ${py(value).toFixed(1)}${alone ? 'h.1' : ''}`;
            joined = true;
        }
    });
    return path;
}

const area = (x, values, px, py) =>
    values.length === 0
        ? ''
        : `${curve(x, values, px, py)}L${px(x.at(-1)).toFixed(1)} ${py(0)}L${px(x[0]).toFixed(1)} ${py(0)}Z`;

/** The next of 1, 2, 5, 10, 20 … */
function nice(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map(step => step * power).find(step => step >= value * 0.999);
}
