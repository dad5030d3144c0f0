type Attributes = Readonly<Record<string, string | number | boolean | undefined | ((event: never) => void)>>;
type Child = Node | string | null | undefined | false;

const svgSpace = 'http://www.w3.org/2000/svg';

/** An HTML element; `on…` attributes are listeners, the others text. Children that are text are never markup. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

/** An SVG element. */
export function s(tag: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement {
  const element = document.createElementNS(svgSpace, tag) as SVGElement;
  fill(element, attributes, children);
  return element;
}

function fill(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    // As an attribute it is refused where a page's policy allows no inline style; as a property it is not.
    if (name === 'style') (element as HTMLElement | SVGElement).style.cssText = String(value);
    else if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child) element.append(child);
}

/** A table; numbers stand right. */
export function table(
  columns: readonly (string | Node)[],
  rows: readonly (readonly (string | Node)[])[],
  numeric: (column: number) => boolean = (column) => column > 0,
): HTMLTableElement {
  const cell = (tag: 'th' | 'td') => (content: string | Node, i: number) =>
    h(tag, { class: numeric(i) ? 'n' : undefined, scope: tag === 'th' ? 'col' : undefined }, content);
  return h(
    'table',
    {},
    h('thead', {}, h('tr', {}, ...columns.map(cell('th')))),
    h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map(cell('td'))))),
  );
}

/** How a figure was come by, to stand behind it. */
export type Basis = 'measured' | 'counted' | 'modeled';
const meanings: Readonly<Record<Basis, string>> = {
  measured: 'measured on this machine',
  counted: 'counted from the shapes, exact',
  modeled: 'modeled: what the ceilings measured in this run would allow',
};
export const basis = (kind: Basis): HTMLElement =>
  h('abbr', { class: `basis ${kind}`, title: meanings[kind] }, kind);

/** Buttons of which one is pressed. */
export function choice<T extends string>(
  label: string,
  options: readonly T[],
  current: T,
  choose: (option: T) => void,
): HTMLElement {
  return h(
    'span',
    { class: 'choice', role: 'group', 'aria-label': label },
    h('span', { class: 'soft' }, label),
    ...options.map((option) =>
      h(
        'button',
        {
          type: 'button',
          'aria-pressed': option === current ? 'true' : 'false',
          onclick: () => choose(option),
        },
        option,
      ),
    ),
  );
}
