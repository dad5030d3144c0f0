import { h } from './dom.ts';

const box = h('div', { id: 'tip', hidden: true });

/** Shows lines beside the pointer, or nothing; a screen reader is told by the selection instead. */
export function tip(lines: readonly string[] | null, x = 0, y = 0): void {
  if (!box.isConnected) document.body.append(box);
  box.hidden = !lines;
  if (!lines) return;
  const [first = '', ...rest] = lines.filter((line) => line !== '');
  box.replaceChildren(h('b', {}, first), ...rest.map((line) => h('div', { class: 'soft' }, line)));
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - width - 8))}px`;
  box.style.top = `${y + 16 + height > innerHeight ? y - height - 10 : y + 16}px`;
}
