import type { RunStatus } from '../scale/status.ts';
import { duration, facts, htmlPage, section, table, text } from './html.ts';

/** The status of a run of shards as a page that needs nothing beside itself. */
export function statusPage(status: RunStatus, at: Date): string {
  const { shards, rows, spent } = status;
  const share = rows.of === 0 ? 0 : (100 * rows.done) / rows.of;
  const number = (value: number) => value.toLocaleString('en');
  return htmlPage(`${status.folder}: ${share.toFixed(1)} %`, [
    `<h1>${text(status.folder)}</h1>`,
    `<p><progress max="${rows.of}" value="${rows.done}"></progress> ${share.toFixed(1)} %</p>`,
    facts([
      ['shards', `${number(shards.done)} of ${number(shards.of)}`],
      [status.task === 'train' ? 'runs' : 'images', `${number(rows.done)} of ${number(rows.of)}`],
      ...(status.task === 'train' ? [] : [['unreadable', number(status.errors)] as const]),
      ['rate', status.rate > 0 ? `${status.rate.toFixed(1)}/s` : 'nothing in the last ten minutes'],
      ['time left', status.left === null ? '?' : duration(status.left)],
      ['adapters', status.adapters.join(', ') || 'none yet'],
      ['as of', at.toISOString()],
    ]),
    section(
      'Time',
      facts([
        ['reading images, all threads', duration(spent.read)],
        ['decoding and resizing, all threads', duration(spent.decode)],
        ['GPU computing', duration(spent.computed)],
        ['GPU waiting for images', duration(spent.waited)],
        ['writing results', duration(spent.published)],
      ]),
    ),
    status.workers.length === 0
      ? ''
      : section(
          'Workers',
          table(
            ['worker', 'adapter', 'shards', 'images', 'last shard'],
            status.workers.map((one) => [
              one.name,
              [one.adapter, number(one.shards), number(one.rows), `${duration(one.idle)} ago`],
            ]),
            'Workers',
          ),
        ),
    status.reasons.length === 0
      ? ''
      : section(
          'Unreadable images',
          table(
            ['reason', 'images'],
            status.reasons.map(([reason, n]) => [reason, [number(n)]]),
            'Reasons',
          ),
        ),
    status.slowest.length === 0
      ? ''
      : section(
          'Slowest shards',
          table(
            ['shard', 'seconds', 'read', 'decode', 'GPU', 'write', 'worker'],
            status.slowest.map((one) => [
              String(one.shard),
              [
                ...[one.seconds, one.read, one.decode, one.computed, one.published].map((took) =>
                  took.toFixed(1),
                ),
                one.worker,
              ],
            ]),
            'Slowest shards',
          ),
        ),
  ]);
}
