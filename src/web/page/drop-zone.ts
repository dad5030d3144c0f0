import { h } from '../../step/page/dom.ts';

/** Takes an image that is dropped anywhere on the page, pasted, or chosen; gives the button that chooses. */
export function dropZone(target: HTMLElement, take: (file: File) => void): HTMLElement {
  const input = h('input', { type: 'file', accept: 'image/*', class: 'sr', id: 'file' });
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file) take(file);
    input.value = '';
  });
  const first = (items: DataTransfer | null) =>
    [...(items?.files ?? [])].find(({ type }) => type.startsWith('image/')) ?? items?.files[0];
  const shown = () => target.isConnected && target.getClientRects().length > 0;
  document.addEventListener('paste', (event) => {
    const file = first(event.clipboardData);
    if (file && shown()) take(file);
  });
  document.addEventListener('dragover', (event) => {
    if (!shown()) return;
    event.preventDefault();
    target.classList.add('over');
  });
  document.addEventListener('dragleave', () => target.classList.remove('over'));
  document.addEventListener('drop', (event) => {
    if (!shown()) return;
    event.preventDefault();
    target.classList.remove('over');
    const file = first(event.dataTransfer);
    if (file) take(file);
  });
  return h(
    'p',
    { class: 'pick' },
    input,
    h('label', { for: 'file', class: 'button main' }, 'Choose an image'),
    h('span', { class: 'soft' }, 'or drop or paste one anywhere'),
  );
}
