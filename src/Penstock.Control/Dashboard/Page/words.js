// Numbers and times as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const exact = new Intl.NumberFormat('en', { maximumFractionDigits: 3 });

export const count = value => (value === null || value === undefined ? '–' : whole.format(value));

export const decimal = value => (value === null || value === undefined ? '–' : exact.format(value));

/** 1234567 → 1.23 M */
export function brief(value) {
    if (value === null || value === undefined) {
        return '–';
    }
    const [unit, name] =
        value >= 999_500_000 ? [1e9, ' G'] : value >= 999_500 ? [1e6, ' M'] : value >= 9_995 ? [1e3, ' k'] : [1, ''];
    return short.format(value / unit) + name;
}

export const perSecond = value => `${brief(value)}/s`;

export const rate = perSec =>
    perSec === null || perSec === undefined
        ? '–'
        : perSec >= 1
          ? `${short.format(perSec)}/s`
          : perSec * 60 >= 1
            ? `${short.format(perSec * 60)}/min`
            : perSec * 3600 >= 1
              ? `${short.format(perSec * 3600)}/h`
              : `${short.format(perSec * 86400)}/day`;

export function ms(value) {
    return value === null || value === undefined
        ? '–'
        : value >= 999.5
          ? `${short.format(value / 1000)} s`
          : `${short.format(value)}\u00a0ms`;
}

/** A share as percent: 0 is "0 %", and what is more than nothing never looks like nothing. */
export function percent(part, all) {
    const share = all > 0 ? part / all : 0;
    return share <= 0
        ? '0 %'
        : share < 0.001
          ? '<0.1 %'
          : `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;
}

export function duration(seconds) {
    const s = Math.max(0, Math.round(seconds));
    return s < 60
        ? `${s} s`
        : s < 3600
          ? `${Math.floor(s / 60)} min`
          : s < 86400
            ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
            : `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const clock = time => new Date(time).toLocaleTimeString('en-GB');

export const dateAndClock = time => {
    const at = new Date(time);
    return at.toDateString() === new Date().toDateString()
        ? clock(time)
        : `${at.toLocaleDateString('en-CA')} ${clock(time)}`;
};

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** What a backend does now, as one word, how bad it is, and the words below it. */
export function stateOf(backend) {
    const cause = backend.cause ?? '';
    if (backend.health === 'down') {
        return { word: 'down', level: 'bad', why: cause };
    }
    if (backend.ejected && !backend.ejection_ignored) {
        return { word: 'ejected', level: 'bad', why: `${backend.ejected}, until ${clock(backend.ejected_until)}` };
    }
    if (backend.state === 'maintenance') {
        return {
            word: 'maintenance',
            level: 'idle',
            why: backend.drained ? 'no requests in flight' : 'ends its requests in flight',
        };
    }
    if (backend.state === 'drain') {
        return { word: 'drain', level: 'idle', why: backend.drained ? 'drained' : 'ends its requests and sessions' };
    }
    if (backend.ejected) {
        return { word: 'in use', level: 'warn', why: `${backend.ejected}; used because too few others are left` };
    }
    if (backend.slow_start < 1) {
        return {
            word: 'slow start',
            level: 'warn',
            why: `gets ${Math.round(backend.slow_start * 100)} % of its share`,
        };
    }
    return backend.health === 'up'
        ? { word: 'up', level: 'good', why: '' }
        : { word: 'not checked', level: 'plain', why: '' };
}
