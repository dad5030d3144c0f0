import type { Frame } from '../step-data.ts';
import { code } from './code.ts';
import { h } from './dom.ts';
import type { Store } from './store.ts';

/** The line of the model that asked for the dispatch, with all calls around it. */
export function modelSource(store: Store): HTMLElement {
  const panel = h('section', { class: 'panel', 'aria-label': 'The line of the model that asked' });
  let chosen = -1;
  const draw = () => {
    const frames = framesOf(store);
    if (chosen < 0 || chosen >= frames.length) chosen = standing(frames);
    const frame = frames[chosen];
    const crumbs = frames.map((one, i) =>
      h(
        'button',
        {
          type: 'button',
          'aria-pressed': i === chosen ? 'true' : 'false',
          title: `${one.file}:${one.line}`,
          onclick: () => {
            chosen = i;
            draw();
          },
        },
        one.fn.split('.').at(-1) || `${one.file.split('/').at(-1)!.replace('.ts', '')}:${one.line}`,
      ),
    );
    panel.replaceChildren(
      h('h2', {}, 'The line that asked'),
      h('div', { class: 'crumbs', role: 'group', 'aria-label': 'Calls, outermost first' }, ...crumbs),
    );
    if (!frame) {
      panel.append(h('p', { class: 'soft' }, 'No source was found.'));
      return;
    }
    const lines = (store.data.files[frame.file] ?? '').split('\n');
    const from = Math.max(0, frame.line - 13);
    const view = code(lines.slice(from, frame.line + 14).join('\n'), 'script', {
      first: from + 1,
      hot: frame.line,
      label: `${frame.file}, line ${frame.line}`,
    });
    panel.append(h('p', { class: 'where' }, `${frame.file}:${frame.line}`), view);
    const hot = view.querySelector<HTMLElement>('.hot');
    if (hot) view.scrollTop = hot.offsetTop - view.offsetTop - view.clientHeight / 3;
    const [list, pressed] = [
      panel.querySelector('.crumbs')!,
      panel.querySelector<HTMLElement>('.crumbs [aria-pressed=true]'),
    ];
    if (pressed) list.scrollTop = pressed.offsetTop - (list as HTMLElement).offsetTop - 30;
  };
  store.subscribe((changed) => {
    if (!changed.has('dispatch')) return;
    chosen = -1;
    draw();
  });
  return panel;
}

/** Of a gradient: what asked for its op, then the gradient's own calls. */
function framesOf(store: Store): Frame[] {
  const { op, stack } = store.dispatch;
  const own = store.frames(stack);
  const record = store.op(op);
  if (record?.of == null) return own;
  return [
    ...store.frames(store.op(record.of)!.stack),
    ...own.filter(({ file }) => /^src\/(?:autograd\/ops|kernels)\//.test(file)),
  ];
}

/** The innermost line of the model, else of the training, else the last. */
function standing(frames: readonly Frame[]): number {
  let model = frames.findLastIndex(({ file }) => file.startsWith('src/model/'));
  // What only passes a layer on is not where it was asked for.
  const passesOn = (at: number) => {
    const [one, outer] = [frames[at]!, frames[at - 1]];
    if (!outer?.file.startsWith('src/model/')) return false;
    return (
      /^(?:normalize|project|inTower|inHead)$/.test(one.fn) ||
      (one.fn === '' && outer.file === one.file && outer.line === one.line)
    );
  };
  while (model > 0 && passesOn(model)) model--;
  if (model >= 0) return model;
  const training = frames.findLastIndex(({ file }) => file.startsWith('src/training/'));
  return training >= 0 ? training : frames.length - 1;
}

/** The shader as it was compiled: files included, constants in, branches chosen, loops unrolled. */
export function shaderSource(store: Store): HTMLElement {
  const panel = h('section', { class: 'panel', 'aria-label': 'Its shader' });
  store.subscribe((changed) => {
    if (!changed.has('dispatch')) return;
    const { shader } = store.dispatch;
    const { kernel, wgsl } = store.data.shaders[shader]!;
    const users = store.data.dispatches.flatMap((one, at) => (one.shader === shader ? [at] : []));
    panel.replaceChildren(
      h('h2', {}, `Its WGSL, as compiled`),
      h(
        'p',
        { class: 'where' },
        `${kernel}, ${wgsl.split('\n').length} lines; the same ${users.length === 1 ? 'for no other dispatch' : `for ${users.length} dispatches, next `}`,
        users.length > 1 &&
          h(
            'button',
            {
              type: 'button',
              class: 'link',
              onclick: () => store.select(users.find((at) => at > store.view.dispatch) ?? users[0]!),
            },
            String(users.find((at) => at > store.view.dispatch) ?? users[0]),
          ),
      ),
      code(wgsl, 'wgsl', { label: `WGSL of ${kernel}` }),
    );
  });
  return panel;
}
