import { h } from './dom.ts';

const wgslKeys =
  /\b(fn|let|var|const|struct|if|else|for|while|loop|return|enable|requires|diagnostic|alias|override|break|continue|switch|case|default)\b/;
const wgslTypes = /\b(vec[234][fuhi]?|f32|u32|i32|f16|bool|array|mat\w+|ptr|texture_storage_2d)\b/;
const scriptKeys =
  /\b(const|let|var|return|function|if|else|for|of|in|new|export|import|class|await|async|readonly|this|throw|type|interface)\b/;
const scriptTypes = /\b(number|string|boolean|void|Tensor|Gpu|undefined|null)\b/;

/** Source with line numbers; lines [first, first + …) of it, one of them marked. */
export function code(
  text: string,
  language: 'wgsl' | 'script',
  { first = 1, hot = -1, label }: { readonly first?: number; readonly hot?: number; readonly label: string },
): HTMLElement {
  const [keys, types] = language === 'wgsl' ? [wgslKeys, wgslTypes] : [scriptKeys, scriptTypes];
  const pattern = new RegExp(
    `(//.*$|/\\*\\*.*$)|(@\\w+(?:\\([^)]*\\))?)|${keys.source}|${types.source}`,
    'g',
  );
  const pre = h('pre', { tabindex: 0, role: 'region', 'aria-label': label });
  for (const [i, line] of text.split('\n').entries()) {
    const number = first + i;
    const row = h(
      'span',
      { class: number === hot ? 'l hot' : 'l' },
      h('span', { class: 'no' }, String(number)),
    );
    let at = 0;
    for (const found of line.matchAll(pattern)) {
      const [token, comment, attribute, key] = found;
      row.append(line.slice(at, found.index));
      const kind = comment
        ? comment.startsWith('//@work')
          ? 'work'
          : 'c'
        : attribute
          ? 'a'
          : key
            ? 'k'
            : 't';
      row.append(h('span', { class: kind }, token));
      at = found.index + token.length;
    }
    row.append(line.slice(at));
    pre.append(row);
  }
  return pre;
}
