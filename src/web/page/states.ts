import { h } from '../../step/page/dom.ts';
import { CallError } from '../client.ts';

/** What a failure is for the user: what happened, and what to do. */
export function explainFailure(error: unknown): {
  readonly title: string;
  readonly text: string;
  readonly retry: boolean;
} {
  if (!(error instanceof CallError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { title: 'Something went wrong in this page', text: message, retry: true };
  }
  const { kind, message, advice = '' } = error.failure;
  switch (kind) {
    case 'lost':
      return {
        title: 'The GPU was lost and did not come back',
        text: 'The driver reset it, or something else on this computer needed all of it. Close other programs that use the GPU, and reload the page.',
        retry: true,
      };
    case 'memory':
      return {
        title: 'The GPU has not enough free memory',
        text: `Close other tabs and programs, or try a smaller image. ${message}`,
        retry: true,
      };
    case 'user':
      return { title: `${message}`, text: advice, retry: false };
    default:
      return { title: 'Something went wrong in this page', text: message, retry: true };
  }
}

/** A box at the top of the page that says what is wrong. */
export function notice(error: unknown, close: () => void): HTMLElement {
  const { title, text, retry } = explainFailure(error);
  return h(
    'div',
    { class: 'state', role: 'alert' },
    h('h2', {}, title.charAt(0).toUpperCase() + title.slice(1)),
    h('p', {}, text),
    h(
      'p',
      { class: 'row' },
      retry && h('button', { type: 'button', onclick: () => location.reload() }, 'Reload the page'),
      h('button', { type: 'button', onclick: close }, 'Close'),
    ),
  );
}
