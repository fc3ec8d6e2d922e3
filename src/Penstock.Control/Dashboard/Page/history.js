// The charts of the past: what they show, and when they are read again.

import { get } from './api.js';
import { chart } from './plot.js';
import { clock, dateAndClock, ms, perSecond } from './words.js';

const EVERY_MS = { '15m': 5000, '24h': 60_000 };
const tones = { '2xx': 1, '3xx': 6, '4xx': 3, '5xx': 4, none: 5, '1xx': 2 };
const percentOf = value =>
    value === null || value === undefined ? '–' : `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;

export const requestsChart = () => chart('Requests per second', perSecond, { 'data-chart': 'requests' });
export const latencyChart = () => chart('How long requests take', ms, { 'data-chart': 'latency' });
export const sharesChart = () => chart('Failed and rejected', percentOf, { 'data-chart': 'shares' });

/**
 * Reads the history again and again.
 * @param told called with the history
 * @param failed called with a sentence; empty: it was read
 */
export function watchHistory(told, failed) {
    let timer = 0;
    let turn = 0;
    let asked = '15m';
    async function read() {
        clearTimeout(timer);
        const mine = ++turn;
        try {
            const history = document.hidden ? null : await get(`history?window=${asked}`);
            if (mine === turn && history) {
                failed('');
                told(history);
            }
        } catch (fault) {
            if (mine === turn) {
                failed(fault.message);
            }
        }
        if (mine === turn) {
            timer = setTimeout(read, EVERY_MS[asked]);
        }
    }
    read();
    return {
        ask(next) {
            asked = next;
            read();
        },
        close() {
            turn++;
            clearTimeout(timer);
        },
    };
}

/** Draws requests by class of status, or served and failed ones of one upstream or backend. */
export function drawRequests(target, history, series) {
    if (series) {
        const { requests_per_sec: all, failed_per_sec: failed } = series.lines;
        draw(
            target,
            history,
            [
                { name: 'served', tone: 1, values: all.map((value, i) => (value === null ? null : value - failed[i])) },
                { name: 'failed', tone: 4, values: failed },
            ],
            true,
        );
        return;
    }
    const classes = Object.keys(history.by_status).filter(
        name => name === '2xx' || history.by_status[name].some(value => value > 0),
    );
    draw(
        target,
        history,
        classes.map(name => ({ name, tone: tones[name], values: history.by_status[name] })),
        true,
    );
}

export function drawLatency(target, history, series) {
    const lines = series?.lines ?? history.all;
    draw(target, history, [
        { name: 'p50', tone: 1, values: lines.p50_ms },
        { name: 'p99', tone: 3, values: lines.p99_ms },
    ]);
}

/** Draws the shares of failed and rejected requests; limits reject before there is an upstream. */
export function drawShares(target, history, series) {
    const lines = series?.lines ?? history.all;
    const share = part =>
        lines.requests_per_sec.map((value, i) => (value > 0 ? (100 * part[i]) / value : value === null ? null : 0));
    draw(target, history, [
        { name: 'failed', tone: 4, values: share(lines.failed_per_sec) },
        ...(series ? [] : [{ name: 'rejected', tone: 3, values: share(lines.rejected_per_sec) }]),
    ]);
}

function draw(target, history, lines, stacked = false) {
    const x = history.times.map(time => Date.parse(time));
    const marks = history.marks
        .map(mark => ({ id: mark.id, at: Date.parse(mark.time), level: mark.level, text: mark.text }))
        .filter(mark => mark.at >= x[0] && mark.at <= x.at(-1));
    target.update({ x, lines, stacked, marks, label: history.window === '15m' ? clock : dateAndClock });
}

/** The two charts of the last 15 minutes below the flow. */
export function recent(root) {
    const [requests, latency] = [requestsChart(), latencyChart()];
    root.append(requests.node, latency.node);
    return watchHistory(
        history => {
            drawRequests(requests, history);
            drawLatency(latency, history);
        },
        () => {},
    );
}
