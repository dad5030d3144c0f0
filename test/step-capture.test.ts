import { describe, expect, it } from 'vitest';
import { parseCapture } from '../src/step/capture-query.ts';
import { type Captured, capture } from '../src/step/capture-tensors.ts';

const names = [
  ...['prompts.add', 'text.blocks.0.attn', 'text.blocks.0.attn.in_proj', 'text.blocks.0.ln_1'],
  ...['text.blocks.11.attn', 'text.blocks.11.attn.in_proj', 'text.ln_final', 'head.1', 'head.1.weight'],
];
const found = (query: string) => names.filter(parseCapture(query).matches);

describe('a query', () => {
  it.each([
    ['head.1', ['head.1']],
    ['text.blocks.*.attn', ['text.blocks.0.attn', 'text.blocks.11.attn']],
    ['text.blocks.0.*', ['text.blocks.0.attn', 'text.blocks.0.ln_1']],
    ['text.ln_*', ['text.ln_final']],
    ['*.1', ['head.1']],
    ['**.attn', ['text.blocks.0.attn', 'text.blocks.11.attn']],
    ['text.**.in_proj', ['text.blocks.0.attn.in_proj', 'text.blocks.11.attn.in_proj']],
    ['head.**', ['head.1', 'head.1.weight']],
    ['**', names],
    ['text', []],
    ['text.blocks.1*.attn', ['text.blocks.11.attn']],
  ])('%s', (query, expected) => {
    expect(found(query)).toEqual(expected);
  });

  it('may ask for the gradient, with blanks around the mark', () => {
    for (const query of ['head.1:grad', 'head.1 :grad', ' head.1 : grad '])
      expect(parseCapture(query)).toMatchObject({ gradient: true });
    expect(parseCapture('head.1').gradient).toBe(false);
  });

  it.each([
    ['', 'names nothing'],
    [':grad', 'names nothing'],
    ['text..attn', 'has two dots in a row'],
    ['text.', 'or one at an end'],
    ['head.1 :gard', ':gard is not known, only :grad'],
    ['head.1 :', ': is not known'],
    ['head[1]', '[ is in no name'],
    ['text.a**', 'a**: ** stands by itself between dots'],
    ['head.1 head.4', 'has more than one name'],
  ])('is refused where it is not clear: "%s"', (query, message) => {
    expect(() => parseCapture(query)).toThrow(message);
  });
});

describe('capture', () => {
  const tensor = (value: number): Captured => ({ dtype: 'F32', shape: [1], data: Float32Array.of(value) });
  const step = {
    values: new Map([
      ['joined.concat', tensor(1)],
      ['head.1', tensor(2)],
    ]),
    gradients: new Map([['head.1', tensor(3)]]),
  };

  it('takes values and gradients under their names', () => {
    const tensors = capture([parseCapture('**'), parseCapture('head.* :grad')], step);
    expect([...tensors].map(([name, { data }]) => [name, data[0]])).toEqual([
      ['joined.concat', 1],
      ['head.1', 2],
      ['head.1:grad', 3],
    ]);
  });

  it('says what there is where nothing has such a name', () => {
    expect(() => capture([parseCapture('hed.1')], step)).toThrow('this step has no such name');
    const refused = () => capture([parseCapture('joined.* :grad')], step);
    expect(refused).toThrow('nothing of that depends on a parameter, so it has no gradient');
    expect(refused).toThrow(expect.objectContaining({ advice: 'There are: head.1.' }));
  });
});
