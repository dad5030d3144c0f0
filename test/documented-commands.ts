import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A command line as a document or a help page shows it, and where. */
export interface Documented {
  readonly where: string;
  readonly line: string;
}

/** The commands whose help pages show examples. */
export const documentedCommands = [
  'clip-agiqa-webgpu',
  ...readdirSync('src/commands').map((name) => name.replace(/\.ts$/, '')),
  'bench',
  'torture',
];

/** The documents that show commands, at any depth of docs/ (except docs/api, which is generated), and the presets' comments. */
export function documents(): string[] {
  const within = (folder: string, pattern: RegExp) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => pattern.test(name) && !name.startsWith('api'))
      .sort()
      .map((name) => join(folder, name));
  return [
    'README.md',
    'CONTRIBUTING.md',
    ...within('docs', /\.md$/),
    'models/README.md',
    'test/fixtures/reference/README.md',
    ...within('configs', /\.yaml$/),
  ];
}

/** A command of ours, perhaps with variables of the environment before it. */
const ours = String.raw`(?:\w+=\S+ )*(?:node dist\/|npx clip-agiqa-webgpu )`;

/**
 * The command lines of a document, without comments: in code blocks (`\` continues a line), and in prose and tables between backticks.
 * Those with `…` are not complete, and in prose a command without arguments is only its name.
 */
export function commandsOfDocument(path: string): Documented[] {
  const text = readFileSync(path, 'utf8');
  const lines = path.endsWith('.yaml') ? ofComments(text) : [...ofBlocks(text), ...ofProse(text)];
  return lines.map((line) => ({ where: path, line })).filter(isComplete);
}

const fence = /^ *```.*\n([\s\S]*?)^ *```$/gm;

function ofBlocks(text: string): string[] {
  return [...text.matchAll(fence)].flatMap(([, block]) =>
    block!
      .replace(/\\\n\s*/g, '')
      .split('\n')
      .map(withoutComment)
      .filter((line) => new RegExp(`^${ours}|[|;&] *${ours}`).test(line)),
  );
}

function ofProse(text: string): string[] {
  const spans = text.replaceAll(fence, '').matchAll(/`([^`]+)`/g);
  return [...spans]
    .map(([, span]) => span!.replace(/\s+/g, ' '))
    .filter((span) => new RegExp(`^${ours}\\S+ \\S`).test(span));
}

const ofComments = (text: string) => [...text.matchAll(/^# .*?(node dist\/.*)$/gm)].map(([, line]) => line!);

/** The examples at the end of a command's help page. */
export function commandsOfHelp(name: string, help: string): Documented[] {
  const examples = help.split('\nExamples:\n')[1] ?? '';
  return examples
    .split('\n\n')[0]!
    .split('\n')
    .map((line) => ({ where: `${name} --help`, line: withoutComment(line) }))
    .filter(isComplete);
}

const isComplete = ({ line }: Documented) => line !== '' && !line.includes('…');

/** A `#` after white space begins a comment, as in a shell; none of our lines has one in quotes. */
function withoutComment(line: string): string {
  return line
    .replace(/(^|\s+)#.*$/, '')
    .replace(/^\s*\$ /, '')
    .trim();
}
