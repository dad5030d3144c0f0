import { afterEach, expect, test } from 'vitest';
import { shortened, shown, UserError } from '../src/common/errors.ts';
import { checkLimit, limit } from '../src/common/limits.ts';

afterEach(() => {
  delete process.env.CLIP_AGIQA_LIMITS;
});

test('the environment raises a limit, and the message of a refusal says how', () => {
  const pixels = limit('imagePixels');
  const refuse = () => checkLimit('imagePixels', pixels + 1, (n) => `a.png has ${n} pixels`);
  const [above, most] = [pixels + 1, pixels].map((number) => number.toLocaleString('en'));
  expect(refuse).toThrow(`a.png has ${above} pixels, more than the limit of ${most}`);
  expect(refuse).toThrow(
    expect.objectContaining({ advice: expect.stringContaining('CLIP_AGIQA_LIMITS=imagePixels=') }),
  );
  process.env.CLIP_AGIQA_LIMITS = 'csvBytes=5,imagePixels=1e9';
  expect(refuse).not.toThrow();
  expect(limit('csvBytes')).toBe(5);
  expect(limit('yamlBytes')).toBe(2 ** 15);
});

test.each([
  'csvByte=5',
  'csvBytes',
  'csvBytes=',
  'csvBytes=many',
  'csvBytes=-1',
  'csvBytes=1e999',
  'toString=1',
])('CLIP_AGIQA_LIMITS=%s is refused', (text) => {
  process.env.CLIP_AGIQA_LIMITS = text;
  expect(() => limit('csvBytes')).toThrow(/is not a limit/);
});

test('a number that is none is beyond every limit', () => {
  expect(() => checkLimit('tensors', Number.NaN, (n) => `${n} tensors`)).toThrow(/NaN tensors/);
});

test('messages are one line of bounded length', () => {
  const error = new UserError(`${'a'.repeat(5000)}\r\nb\u2028c${'d'.repeat(5000)}`, 'one\n  two');
  expect(error.message.length).toBeLessThanOrEqual(1200);
  expect(new UserError('one\r\n  two\nthree').message).toBe('one two three');
  expect(error.advice).toBe('one two');
  expect(shortened('abcdefghij', 7)).toBe('ab … ij');
});

test('any value is shown, however deep or odd', () => {
  let deep: unknown = [];
  for (let i = 0; i < 200_000; i++) deep = [deep];
  expect(shown(deep)).toBe('a nested value');
  expect([shown(Number.NaN), shown(2n), shown(undefined), shown(['x']), shown('y')]).toEqual([
    'NaN',
    '2',
    'undefined',
    '["x"]',
    '"y"',
  ]);
  expect(shown('z'.repeat(1000))).toHaveLength(99);
});
