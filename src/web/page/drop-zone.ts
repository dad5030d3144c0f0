import { h } from '../../step/page/dom.ts';

interface DropOptions {
  /** Of the input, for its label. */
  readonly id: string;
  readonly many: boolean;
  readonly text: string;
}

/** Takes images that are dropped anywhere on the page, pasted, or chosen while `target` is shown; gives the button that chooses. */
export function dropZone(
  target: HTMLElement,
  take: (files: readonly File[]) => void,
  { id, many, text }: DropOptions,
): HTMLElement {
  const some = (files: FileList | null | undefined) => {
    const all = [...(files ?? [])];
    const images = all.filter(({ type }) => type.startsWith('image/'));
    // What is no image by its name is refused by its content, in words.
    const found = images.length > 0 ? images : all;
    if (found.length > 0) take(many ? found : found.slice(0, 1));
  };
  const input = h('input', { type: 'file', accept: 'image/*', multiple: many, class: 'sr', id });
  input.addEventListener('change', () => {
    some(input.files);
    input.value = '';
  });
  const shown = () => target.isConnected && target.getClientRects().length > 0;
  document.addEventListener('paste', (event) => {
    if (shown()) some(event.clipboardData?.files);
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
    some(event.dataTransfer?.files);
  });
  return h(
    'p',
    { class: 'pick' },
    input,
    h('label', { for: id, class: 'button main' }, text),
    h('span', { class: 'soft' }, many ? 'or drop or paste them anywhere' : 'or drop or paste one anywhere'),
  );
}
