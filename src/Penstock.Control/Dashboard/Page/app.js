// The frame of the page: which view is open, the state that all views show, the link to Penstock, and the token.

import { clear, follow, h, text } from './dom.js';
import { Fault, get, readStates, setToken } from './api.js';
import { duration } from './words.js';
import { flow } from './flow.js';
import { clients } from './clients.js';
import { rejections } from './rejections.js';
import { whatIf } from './what-if.js';
import { charts } from './charts.js';
import { operations } from './operations.js';

const views = [
    { name: 'flow', title: 'Flow', open: flow },
    { name: 'clients', title: 'Clients', open: clients },
    { name: 'rejections', title: 'Why rejected', open: rejections },
    { name: 'what-if', title: 'What if', open: whatIf },
    { name: 'charts', title: 'Charts', open: charts },
    { name: 'operations', title: 'Operations', open: operations },
];

const main = document.getElementById('main');
const link = document.getElementById('link');
let state = null;
let view = null;
let toldAt = 0;

function open() {
    const name = location.hash.replace(/^#\/?/, '').split('?')[0];
    const next = views.find(one => one.name === name) ?? views[0];
    const inside = main.contains(document.activeElement);
    view?.close?.();
    clear(main);
    for (const a of document.querySelectorAll('#nav a')) {
        if (a.dataset.view === next.name) {
            a.setAttribute('aria-current', 'page');
        } else {
            a.removeAttribute('aria-current');
        }
    }
    document.title = `${next.title} – Penstock`;
    main.append(h('h1', null, next.title));
    view = next.open(main) ?? {};
    if (state) {
        view.update?.(state);
    }
    if (inside) {
        main.focus(); // what had the focus is gone
    }
}

function show(next) {
    const restarted = state && state.started_at !== next.started_at;
    state = next;
    toldAt = performance.now();
    text(
        link,
        next.stopping
            ? 'Penstock is stopping'
            : `up ${duration((Date.parse(next.time) - Date.parse(next.started_at)) / 1000)}`,
    );
    link.dataset.level = next.stopping ? 'warn' : 'good';
    follow(
        document.getElementById('warnings'),
        next.warnings,
        words => words,
        words => ({ node: h('p', { class: 'warning', role: 'alert' }, words) }),
    );
    if (restarted) {
        open(); // what a view has read once may be otherwise now
    } else if (!document.hidden) {
        view?.update?.(next);
    }
}

function lost(words) {
    link.dataset.level = 'bad';
    text(link, toldAt ? `${words}; what you see is ${duration((performance.now() - toldAt) / 1000)} old` : words);
}

async function followStates() {
    for (let pause = 500; ; pause = Math.min(4000, pause * 2)) {
        try {
            await readStates(next => {
                pause = 500;
                show(next);
            });
            lost('the stream has ended, connecting again');
        } catch (fault) {
            if (fault instanceof Fault && fault.status === 401) {
                return logIn('The token is not valid any more.');
            }
            lost(fault instanceof Fault && fault.status ? fault.message : 'no answer, connecting again');
        }
        await new Promise(done => setTimeout(done, pause));
    }
}

function logIn(why) {
    view?.close?.();
    view = null;
    state = null;
    document.body.dataset.closed = 'yes';
    clear(document.getElementById('warnings'));
    const input = h('input', { id: 'token', type: 'password', autocomplete: 'off', required: true });
    const fault = h('p', { class: 'fault', role: 'alert' }, why ?? '');
    clear(main).append(
        h('h1', null, 'Log in'),
        h(
            'form',
            {
                class: 'card login',
                onsubmit: async event => {
                    event.preventDefault();
                    setToken(input.value.trim());
                    try {
                        await get('status');
                    } catch (wrong) {
                        setToken(null);
                        text(fault, wrong.status === 401 ? 'This token is wrong.' : wrong.message);
                        input.select();
                        return;
                    }
                    delete document.body.dataset.closed;
                    start();
                },
            },
            h('label', { for: 'token' }, 'Admin token'),
            input,
            fault,
            h('button', { class: 'main' }, 'Log in'),
            h('small', null, 'This page keeps it in memory only, until you close or reload the page.'),
        ),
    );
    text(link, 'not logged in');
    input.focus();
}

function start() {
    open();
    followStates();
}

/** Light, dark, or as the system wants it. */
function chooseTheme(next) {
    const button = document.getElementById('theme');
    if (next === 'system') {
        delete document.documentElement.dataset.theme;
        localStorage.removeItem('theme');
    } else {
        document.documentElement.dataset.theme = next;
        localStorage.setItem('theme', next);
    }
    button.dataset.next = { system: 'light', light: 'dark', dark: 'system' }[next];
    text(button, `Theme: ${next}`);
}

document
    .getElementById('nav')
    .append(...views.map(one => h('a', { href: `#/${one.name}`, 'data-view': one.name }, one.title)));
document.getElementById('theme').addEventListener('click', event => chooseTheme(event.currentTarget.dataset.next));
chooseTheme(['light', 'dark'].includes(localStorage.getItem('theme')) ? localStorage.getItem('theme') : 'system');
document.querySelector('.skip').addEventListener('click', event => {
    event.preventDefault(); // the address names the view
    main.focus();
});
window.addEventListener('hashchange', () => {
    if (!document.body.dataset.closed) {
        open();
        main.focus();
    }
});
document.addEventListener('visibilitychange', () => {
    if (!document.hidden && state) {
        view?.update?.(state);
    }
});
if (document.documentElement.dataset.token === 'yes') {
    logIn();
} else {
    start();
}
