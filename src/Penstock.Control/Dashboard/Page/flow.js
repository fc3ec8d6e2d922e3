// Where traffic flows: listeners, routes, upstreams and backends as cards, joined by lines whose thickness is requests
// per second and whose colour is the share of failed ones.

import { attribute, follow, h, number, s, text } from './dom.js';
import { recent } from './history.js';
import { markLine } from './marks.js';
import { count, ms, percent, perSecond, plural, stateOf } from './words.js';

/** So many backends of an upstream are drawn; of the others, only how many they are. */
const MAX_BACKENDS = 24;
const MAX_LINE = 22;
const NO_ROUTE = 'no route';

export function flow(root) {
    const figures = h('dl', { class: 'figures' });
    const lines = s('svg', { class: 'lines', 'aria-hidden': 'true' });
    const columns = ['Listeners', 'Routes', 'Upstreams', 'Backends'].map(title => {
        const list = h('ul', { class: 'cards' });
        return { list, node: h('section', { 'aria-label': title }, h('h2', null, title), list) };
    });
    const picture = h(
        'div',
        { class: 'flow' },
        lines,
        columns.map(column => column.node),
    );
    const marks = h('ol', { class: 'marks' });
    const past = h('div', { class: 'charts' });
    root.append(figures, picture, h('h2', null, 'The last 15 minutes'), past, h('h2', null, 'What happened'), marks);
    const drawn = recent(past);
    let last = null;
    const observer = new ResizeObserver(() => last && draw(lines, picture, last));
    observer.observe(picture);
    return {
        update(state) {
            last = edgesOf(state);
            showFigures(figures, state);
            const [listeners, routes, upstreams, backends] = columns.map(column => column.list);
            follow(listeners, state.traffic.listeners, one => one.name, listenerCard);
            follow(routes, routesOf(state), one => one.name, routeCard);
            const ordered = inOrderOfRoutes(state);
            follow(upstreams, ordered, one => one.name, upstreamCard);
            follow(backends, ordered, one => one.name, backendGroup);
            draw(lines, picture, last);
            follow(marks, [...state.marks].reverse(), one => one.id, markLine);
        },
        close() {
            observer.disconnect();
            drawn.close();
        },
    };
}

/** The upstreams in the order in which routes lead to them, so that few lines cross. */
function inOrderOfRoutes(state) {
    const first = name => state.routes.findIndex(route => route.upstream === name);
    return state.traffic.upstreams.toSorted((a, b) => first(a.name) - first(b.name));
}

function showFigures(list, state) {
    const all = state.traffic.all;
    const inFlight = state.traffic.upstreams.flatMap(u => u.backends).reduce((sum, b) => sum + b.status.in_flight, 0);
    const open = state.traffic.listeners.reduce((sum, one) => sum + one.connections, 0);
    follow(
        list,
        [
            { name: 'Requests', value: all.requests_per_sec, shown: perSecond(all.requests_per_sec) },
            {
                name: 'Failed',
                value: all.failed_per_sec,
                shown: percent(all.failed_per_sec, all.requests_per_sec),
                level: all.failed_per_sec > 0 ? 'bad' : null,
            },
            {
                name: 'Rejected',
                value: all.rejected_per_sec,
                shown: percent(all.rejected_per_sec, all.requests_per_sec),
            },
            { name: 'p50', value: all.p50_ms, shown: ms(all.p50_ms) },
            { name: 'p99', value: all.p99_ms, shown: ms(all.p99_ms) },
            { name: 'In flight', value: inFlight, shown: count(inFlight) },
            { name: 'Connections', value: open, shown: count(open) },
            { name: 'Since the start', value: state.requests, shown: count(state.requests) },
        ],
        one => one.name,
        one => {
            const value = h('data');
            const node = h('div', { 'data-figure': one.name }, h('dt', null, one.name), h('dd', null, value));
            return {
                node,
                update(next) {
                    number(value, next.value, next.shown);
                    attribute(node, 'data-level', next.level);
                },
            };
        },
    );
}

/** The routes of the configuration, each with the traffic of all listeners; and what took no route. */
function routesOf(state) {
    const sums = new Map(state.routes.map(route => [route.name, { ...route, requests: 0, failed: 0, rejected: 0 }]));
    for (const one of state.traffic.flows) {
        const name = one.route ?? NO_ROUTE;
        if (!sums.has(name) && one.requests_per_sec > 0) {
            sums.set(name, { name, upstream: null, requests: 0, failed: 0, rejected: 0 });
        }
        const sum = sums.get(name);
        if (sum) {
            sum.requests += one.requests_per_sec;
            sum.failed += one.failed_per_sec;
            sum.rejected += one.rejected_per_sec;
        }
    }
    return [...sums.values()];
}

/** The lines: from and to are keys of cards. */
function edgesOf(state) {
    const upstreamOf = new Map(state.routes.map(route => [route.name, route.upstream]));
    const edges = [];
    const routes = new Map();
    for (const one of state.traffic.flows) {
        const name = one.route ?? NO_ROUTE;
        if (one.route && !upstreamOf.has(name) && one.requests_per_sec === 0) {
            continue; // no longer configured
        }
        edges.push({
            from: `listener ${one.listener}`,
            to: `route ${name}`,
            rate: one.requests_per_sec,
            failed: one.failed_per_sec,
        });
        const sum = routes.get(name) ?? { rate: 0, failed: 0 };
        routes.set(name, {
            rate: sum.rate + one.requests_per_sec - one.rejected_per_sec,
            failed: sum.failed + one.failed_per_sec,
        });
    }
    for (const [name, upstream] of upstreamOf) {
        edges.push({
            from: `route ${name}`,
            to: `upstream ${upstream}`,
            ...(routes.get(name) ?? { rate: 0, failed: 0 }),
        });
    }
    for (const upstream of state.traffic.upstreams) {
        for (const { status, rates } of upstream.backends) {
            edges.push({
                from: `upstream ${upstream.name}`,
                to: `backend ${upstream.name} ${status.address}`,
                rate: rates.requests_per_sec,
                failed: rates.failed_per_sec,
                off: stateOf(status).level === 'bad',
            });
        }
    }
    return edges;
}

const at = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;

/** Draws the lines between cards. What follow makes sees only its items, which have all that changes. */
function draw(svg, picture, edges) {
    const frame = picture.getBoundingClientRect();
    const cards = new Map(
        [...picture.querySelectorAll('[data-card]')].map(card => [card.dataset.card, card.getBoundingClientRect()]),
    );
    const most = Math.max(1, ...edges.map(edge => edge.rate));
    const lines = edges
        .map(edge => ({ ...edge, a: cards.get(edge.from), b: cards.get(edge.to) }))
        .filter(({ a, b }) => a && b && a.right < b.left) // not where columns stand below each other
        .map(({ a, b, ...edge }) => {
            const [x1, x2] = [a.right - frame.left, b.left - frame.left];
            const [y1, y2] = [(a.top + a.bottom) / 2 - frame.top, (b.top + b.bottom) / 2 - frame.top];
            const middle = (x1 + x2) / 2;
            const share = edge.rate > 0 ? Math.min(1, edge.failed / edge.rate) : 0;
            return {
                key: `${edge.from}\n${edge.to}`,
                d: `M${at(x1, y1)}C${at(middle, y1)} ${at(middle, y2)} ${at(x2, y2)}`,
                width: edge.rate > 0 ? (1.5 + (MAX_LINE - 1.5) * Math.sqrt(edge.rate / most)).toFixed(1) : 1,
                failed: `${share > 0 ? Math.round(20 + 80 * Math.sqrt(share)) : 0}%`,
                kind: edge.off ? 'off' : edge.rate > 0 ? 'live' : 'still',
            };
        });
    attribute(svg, 'viewBox', `0 0 ${Math.round(frame.width)} ${Math.round(frame.height)}`);
    follow(svg, lines, one => one.key, edgeLine);
}

function edgeLine() {
    const node = s('path');
    return {
        node,
        update(next) {
            attribute(node, 'd', next.d);
            attribute(node, 'class', next.kind);
            node.style.strokeWidth = next.width;
            node.style.setProperty('--failed', next.failed);
        },
    };
}

/** A card: a name, facts below it, and what is to be said. */
function card(key, name) {
    const facts = h('p', { class: 'facts' });
    const badge = h('span', { class: 'badge' });
    const why = h('p', { class: 'why' });
    const value = h('data', { class: 'rate' });
    const node = h(
        'li',
        { class: 'card', 'data-card': key },
        h('p', { class: 'top' }, h('strong', null, name), badge),
        h('p', { class: 'middle' }, value),
        facts,
        why,
    );
    return {
        node,
        show({ rate, items, tag, level, words }) {
            number(value, rate, perSecond(rate));
            text(facts, items.filter(Boolean).join(' · '));
            text(badge, tag);
            badge.hidden = !tag;
            attribute(node, 'data-level', level ?? 'plain');
            text(why, words);
            why.hidden = !words;
        },
    };
}

const times = rates => (rates.p50_ms === null ? '' : `p50\u00a0${ms(rates.p50_ms)}, p99\u00a0${ms(rates.p99_ms)}`);

function failedWords(failed, all) {
    return failed > 0 ? `${percent(failed, all)} failed` : '';
}

function listenerCard(item) {
    const { node, show } = card(`listener ${item.name}`, item.name);
    return {
        node,
        update: one =>
            show({
                rate: one.rates.requests_per_sec,
                items: [plural(one.connections, 'connection'), times(one.rates)],
            }),
    };
}

function routeCard(item) {
    const { node, show } = card(`route ${item.name}`, item.name);
    return {
        node,
        update: one =>
            show({
                rate: one.requests,
                items: [
                    one.rejected > 0 ? `${percent(one.rejected, one.requests)} rejected` : '',
                    failedWords(one.failed, one.requests),
                ],
                level: one.failed > 0 ? 'warn' : 'plain',
            }),
    };
}

function upstreamCard(item) {
    const { node, show } = card(`upstream ${item.name}`, item.name);
    return {
        node,
        update(one) {
            const usable = one.backends.filter(b => ['good', 'plain', 'warn'].includes(stateOf(b.status).level)).length;
            show({
                rate: one.rates.requests_per_sec,
                items: [
                    one.balance.replaceAll('_', ' '),
                    `${usable} of ${plural(one.backends.length, 'backend')}`,
                    times(one.rates),
                    failedWords(one.rates.failed_per_sec, one.rates.requests_per_sec),
                ],
                tag: one.queued > 0 ? `${count(one.queued)} in the queue` : '',
                level: usable === 0 ? 'bad' : one.queued > 0 || usable < one.backends.length ? 'warn' : 'plain',
            });
        },
    };
}

function backendGroup(item) {
    const list = h('ul', { class: 'cards', 'aria-label': item.name });
    const rest = h('p', { class: 'rest' });
    const node = h('li', null, list, rest);
    return {
        node,
        update(one) {
            const order = { bad: 0, warn: 1, idle: 2, plain: 3, good: 3 };
            const many = one.backends.length > MAX_BACKENDS;
            const shown = many
                ? one.backends
                      .toSorted((a, b) => order[stateOf(a.status).level] - order[stateOf(b.status).level])
                      .slice(0, MAX_BACKENDS)
                : one.backends;
            follow(
                list,
                shown,
                b => b.status.address,
                b => backendCard(one.name, b),
            );
            text(rest, many ? `and ${count(one.backends.length - MAX_BACKENDS)} more` : '');
            rest.hidden = !many;
        },
    };
}

function backendCard(upstream, item) {
    const { node, show } = card(`backend ${upstream} ${item.status.address}`, item.status.address);
    const pill = h('span', { class: 'pill' });
    node.querySelector('.middle').append(pill);
    return {
        node,
        update({ status, rates }) {
            const now = stateOf(status);
            text(pill, now.word);
            attribute(pill, 'data-level', now.level);
            show({
                rate: rates.requests_per_sec,
                items: [
                    times(rates),
                    failedWords(rates.failed_per_sec, rates.requests_per_sec),
                    status.weight === 1 ? '' : `weight ${status.weight}`,
                    status.backup ? 'backup' : '',
                    status.name ?? '',
                ],
                tag:
                    status.max_connections > 0
                        ? `${count(status.in_flight)} of ${count(status.max_connections)} in flight`
                        : status.in_flight > 0
                          ? `${count(status.in_flight)} in flight`
                          : '',
                level: now.level,
                words: now.why,
            });
        },
    };
}
