import { h } from '../../step/page/dom.ts';

/** A link that saves bytes as a file. */
export function downloadLink(bytes: Uint8Array<ArrayBuffer>, name: string, text: string): HTMLAnchorElement {
  const url = URL.createObjectURL(new Blob([bytes]));
  return h('a', { class: 'button', href: url, download: name }, text);
}
