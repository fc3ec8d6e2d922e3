// Many clients from a file: what it would change is shown before anything changes.

import { clear, fileDrop, h } from './dom.js';
import { upload } from './api.js';
import { note } from './notes.js';
import { plural } from './words.js';

export function importPanel(imported) {
    const result = h('div');
    const drop = fileDrop(
        'import',
        'Drop a file of clients here, or choose one: CSV with a header line, or one JSON object per line. ',
        '.csv,.jsonl,.ndjson',
        tryOut,
    );
    const post = (file, dry) =>
        upload(`clients/import?dry_run=${dry}`, file, file.name.endsWith('.csv') ? 'text/csv' : 'application/x-ndjson');
    const counts = report =>
        `${plural(report.created, 'new client')}, ${plural(report.updated, 'changed one')}, ` +
        plural(report.unchanged, 'unchanged one');

    function end() {
        clear(result);
        drop.querySelector('input').focus();
    }

    async function tryOut(file) {
        clear(result).append(h('p', null, `Checking ${file.name} …`));
        let report;
        try {
            report = await post(file, true);
        } catch (fault) {
            clear(result).append(
                h(
                    'p',
                    { class: 'fault', role: 'alert' },
                    `${file.name} changes nothing, because of its faults:\n${fault.message}`,
                ),
            );
            return;
        }
        clear(result).append(
            h('p', null, `${file.name} would give: ${counts(report)}.`),
            (report.warnings ?? []).map(words => h('p', { class: 'fault' }, words)),
            h(
                'div',
                { class: 'buttons' },
                h(
                    'button',
                    {
                        type: 'button',
                        class: 'main',
                        onclick: async () => {
                            try {
                                note(`Imported: ${counts(await post(file, false))}.`);
                                end();
                                imported();
                            } catch (fault) {
                                note(fault.message, true);
                            }
                        },
                    },
                    'Import',
                ),
                h('button', { type: 'button', onclick: end }, 'Cancel'),
            ),
        );
        result.querySelector('button').focus();
    }

    return h('details', { class: 'panel' }, h('summary', null, 'Import a file'), drop, result);
}
