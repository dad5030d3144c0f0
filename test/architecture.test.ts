import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { streams } from '../src/common/random.ts';

/**
 * What the files of each room of src/ may import beside those of their own: every room named, the rooms within it, too. A room
 * within another one is listed by itself where its rule is stricter.
 */
const allowed: Record<string, readonly string[]> = {
  common: [],
  'kernels/device': ['common', 'shaders'],
  'kernels/node': ['common', 'kernels/device'],
  'kernels/browser': ['common', 'kernels/device'],
  kernels: ['common', 'shaders', 'kernels/device'],
  'data/formats': ['common'],
  'data/images': ['common'],
  'data/tokenizer': ['common'],
  'data/metrics': ['common'],
  'data/datasets': ['common', 'data/formats', 'data/images'],
  autograd: ['common', 'kernels'],
  model: ['common', 'kernels', 'data', 'autograd'],
  features: ['common', 'kernels', 'data', 'autograd', 'model'],
  training: ['common', 'kernels', 'data', 'autograd', 'model', 'features'],
  pretraining: ['common', 'kernels', 'data', 'autograd', 'model', 'features', 'training'],
  scoring: ['common', 'kernels', 'data', 'autograd', 'model', 'features', 'training'],
  scale: ['common', 'kernels', 'data', 'model', 'features', 'training', 'scoring'],
  export: ['common', 'kernels', 'data', 'model', 'features', 'training', 'scoring'],
  parity: ['common', 'kernels', 'data', 'autograd', 'model', 'training'],
  report: ['common', 'data', 'training', 'scale', 'evaluation'],
  evaluation: ['common', 'kernels', 'data', 'autograd', 'model', 'features', 'training'],
  explain: ['common', 'kernels', 'data', 'model', 'scoring', 'report'],
  reference: ['common', 'kernels'],
  'self-check': ['common', 'kernels', 'reference'],
  step: ['common', 'kernels', 'data', 'autograd', 'model', 'features', 'training', 'reference'],
  cli: [
    'common',
    'kernels',
    'data',
    'model',
    'features',
    'training',
    'scoring',
    'scale',
    'evaluation',
    'report',
    'explain',
    'step',
    'self-check',
  ],
  commands: [
    ...['common', 'kernels', 'data', 'autograd', 'model', 'features'],
    ...[
      'training',
      'pretraining',
      'scoring',
      'scale',
      'evaluation',
      'export',
      'parity',
      'report',
      'explain',
      'step',
      'cli',
      'self-check',
    ],
  ],
  web: [
    'common',
    'kernels',
    'data',
    'autograd',
    'model',
    'features',
    'training',
    'scoring',
    'explain',
    'step',
    'self-check',
  ],
  index: ['common', 'kernels', 'data', 'autograd', 'model', 'features', 'training', 'scoring', 'self-check'],
};

/** What is bundled for browsers: nothing that these import, by whatever way, knows Node. */
const browserEntries = ['src/browser.ts', 'src/web/page/main.ts', 'src/web/worker/main.ts'];
/** Packages that they may take. */
const browserPackages: readonly string[] = ['valibot'];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typesOnly: boolean;
}

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((name) => `src/${name.replaceAll('\\', '/')}`)
  .filter((name) => name.endsWith('.ts'));
const imports = sources.flatMap(importsOf);

function importsOf(from: string): Import[] {
  const text = readFileSync(from, 'utf8');
  const pattern = /^(?:import|export)\s(?:[^;'"]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;
  return [...text.matchAll(pattern)].flatMap(([statement, named, dynamic]) => {
    const specifier = named ?? dynamic ?? '';
    if (!specifier.startsWith('.')) return [];
    return [
      {
        from,
        to: posix.normalize(posix.join(posix.dirname(from), specifier)),
        typesOnly: /^(?:import|export)\s+type\s/.test(statement),
      },
    ];
  });
}

/** The innermost room of a file that has a rule; `index` for src/index.ts, the top folder outside of src/. */
function roomOf(path: string): string {
  const [root = '', ...folders] = path.split('/');
  if (root !== 'src') return root;
  if (folders.length === 1) return 'index';
  const rooms = folders.slice(0, -1).map((_, i) => folders.slice(0, i + 1).join('/'));
  return rooms.findLast((room) => allowed[room]) ?? rooms[0]!;
}

const within = (room: string, other: string) => room === other || room.startsWith(`${other}/`);

/** The files on a circle of imports, in the order in which they import each other; undefined where there is none. */
function findCircle(links: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    if (done.has(file)) return undefined;
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    path.push(file);
    for (const next of links.get(file) ?? []) {
      const found = visit(next);
      if (found) return found;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of links.keys()) {
    const found = visit(file);
    if (found) return found;
  }
  return undefined;
}

describe('imports', () => {
  it('are found at all', () => {
    expect(imports.length).toBeGreaterThan(100);
    for (const { from, to } of imports) expect(existsSync(to), `${from} imports ${to}`).toBe(true);
  });

  it('point one way through the rooms', () => {
    const unknown = sources.map(roomOf).filter((room) => !allowed[room]);
    expect([...new Set(unknown)], 'rooms of src/ that have no place in this test').toEqual([]);
    const wrong = imports.filter(({ from, to }) => {
      const [room, target] = [roomOf(from), roomOf(to)];
      return room !== target && !allowed[room]!.some((other) => within(target, other));
    });
    expect(wrong).toEqual([]);
  });

  it('never come back to where they began, not even those of types', () => {
    const links = new Map(sources.map((name) => [name, [] as string[]]));
    for (const { from, to } of imports) links.get(from)!.push(to);
    expect(findCircle(links)).toBeUndefined();
    links.get('src/common/errors.ts')!.push('src/index.ts');
    expect(findCircle(links)?.length).toBeGreaterThan(2);
  });

  it('let models know of kernels only the type of the device they hand on', () => {
    const wrong = imports.filter(
      ({ from, to, typesOnly }) =>
        within(roomOf(from), 'model') && within(roomOf(to), 'kernels') && !typesOnly,
    );
    expect(wrong).toEqual([]);
  });

  it('take every shader into the kernels, and into them alone', () => {
    const shaders = readdirSync('shaders').map((name) => `shaders/${name}`);
    const users = (path: string) => imports.filter(({ to }) => to === path).map(({ from }) => from);
    expect(shaders.filter((path) => users(path).length === 0)).toEqual([]);
    expect(shaders.filter((path) => users(path).some((from) => !within(roomOf(from), 'kernels')))).toEqual(
      [],
    );
  });
});

/** Everything that a file imports, by whatever way, other than types. */
function reached(entries: readonly string[]): string[] {
  const found = new Set(entries);
  for (const file of found)
    for (const { from, to, typesOnly } of imports) if (from === file && !typesOnly) found.add(to);
  return [...found].filter((name) => name.endsWith('.ts'));
}

/** What of Node a file names: modules and packages, and globals that a page lacks. */
function platformOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|(?<![:'"`\\])\/\/.*/g, '');
  const modules = [...code.matchAll(/(?:\sfrom\s+|\bimport\(\s*|^import\s+)'([^.'][^']*)'/gm)]
    .map(([, name]) => name!)
    .filter((name) => !browserPackages.includes(name));
  const globals = code.match(/(?<![\w.$'"`-])(?:process|Buffer|__dirname|require)(?=[.[(])/g) ?? [];
  return [...modules, ...globals];
}

describe('what runs in a browser', () => {
  const files = reached(browserEntries);

  it('imports no module of Node and no native package, and asks for no process', () => {
    expect(files.length).toBeGreaterThan(80);
    const found = files.flatMap((name) =>
      platformOf(readFileSync(name, 'utf8')).map((word) => `${name}: ${word}`),
    );
    // Asks whether there is one.
    expect(found).toEqual([]);
  });

  it('has all of the engine in it', () => {
    const engine = sources.filter((name) => /^src\/(?:kernels|autograd)\/(?!node\/)/.test(name));
    const outside = engine.filter(
      (name) => !files.includes(name) && platformOf(readFileSync(name, 'utf8')).length > 0,
    );
    expect(outside).toEqual([]);
  });

  it('would be told from what does not', () => {
    expect(platformOf("import { open } from 'node:fs/promises';")).toEqual(['node:fs/promises']);
    expect(platformOf("const dawn = await import('webgpu');")).toEqual(['webgpu']);
    expect(platformOf('const size = Buffer.byteLength(text) + process.pid; // not process.env')).toEqual([
      'Buffer',
      'process',
    ]);
    expect(platformOf(readFileSync('src/kernels/node/open-gpu.ts', 'utf8'))).toContain('webgpu');
  });
});

it('the bench takes of the tests the references alone', () => {
  const files = readdirSync('bench', { recursive: true, encoding: 'utf8' })
    .map((name) => `bench/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'));
  const tests = files.flatMap(importsOf).filter(({ to }) => within(to, 'test'));
  expect(tests.length).toBeGreaterThan(0);
  expect(tests.filter(({ to }) => !within(to, 'test/reference'))).toEqual([]);
});

it('launchers and ops make no object that begins with a spread', () => {
  // V8 takes 1 to 30 µs for `{ ...x, y }`, as much as ten dispatches, and 0.1 for `{ y, ...x }`.
  // A trial is made once a shape, and changes what it spreads.
  const files = sources.filter(
    (name) => /^src\/(?:kernels\/(?!device)|autograd\/)/.test(name) && !name.endsWith('/trial.ts'),
  );
  const found = files.flatMap((name) =>
    [...readFileSync(name, 'utf8').matchAll(/\{\s*\.\.\.[^,{}]+,.*/g)].map(([text]) => `${name}: ${text}`),
  );
  // This one changes what it spreads, for products of more rows than a texture holds.
  expect(found).toEqual(['src/kernels/matmul/simd-texture.ts: { ...matrixA, rows: height });']);
});

it('objects spread no literal, which would pack properties on a line against the formatter', () => {
  const packed = ['src', 'bench', 'test', 'scripts'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
      .filter((name) => /\.m?ts$|\.mjs$/.test(name) && !name.includes('node_modules'))
      .filter((name) => /\.{3}\{/.test(readFileSync(name, 'utf8'))),
  );
  expect(packed).toEqual([]);
});

describe('random numbers', () => {
  it('come from streams that the table in common/random.ts names', () => {
    const draw =
      /(?<![.\w])(?:uniforms?|normals?|permutation|randomWord|philox|new Dice)\((?:[^()]|\([^()]*\))*\)/g;
    const drawing = imports
      .filter(({ to, typesOnly }) => to === 'src/common/random.ts' && !typesOnly)
      .map(({ from }) => ({ from, draws: readFileSync(from, 'utf8').match(draw) ?? [] }));
    expect(drawing.flatMap(({ draws }) => draws).length).toBeGreaterThan(10);
    for (const { from, draws } of drawing)
      for (const text of draws) expect(text, from).toMatch(/\bstreams\.\w+|\bstream\b/);
  });

  it('are drawn from every stream of that table', () => {
    const code = sources.map((name) => readFileSync(name, 'utf8')).join('\n');
    const unused = Object.keys(streams).filter((name) => !code.includes(`streams.${name}`));
    expect(unused).toEqual([]);
  });
});

describe('the disk', () => {
  /** What changes a disk, by itself or through a library. */
  const changing =
    /\b(?:appendFile|chmod|chown|copyFile|cp|createWriteStream|link|lutimes|mkdir|mkdtemp|rename|rm|rmdir|symlink|toFile|truncate|unlink|utimes|write|writeFile|writev)(?:Sync)?\b/;
  const flags = /\bopen(?:Sync)?\([^)]*['"][wax]/;

  it('is changed by one module alone, where a test can stop it', () => {
    const fromNode = /^import \{([^}]*)\} from 'node:fs(?:\/promises)?';/gm;
    const wrong = sources
      .filter((name) => name !== 'src/common/disk.ts')
      .filter((name) => {
        const text = readFileSync(name, 'utf8');
        const names = [...text.matchAll(fromNode)].flatMap(([, list]) => list!.split(','));
        const whole = /^import (?:\* as )?\w+ from 'node:fs/m.test(text);
        return (
          whole ||
          names.some((one) => changing.test(one.trim())) ||
          flags.test(text) ||
          /\.toFile\(/.test(text)
        );
      });
    expect(wrong).toEqual([]);
    expect(changing.test(readFileSync('src/common/disk.ts', 'utf8'))).toBe(true);
  });
});

/** Folders that a checkout holds beside the project's own files. */
const foreign = /^(?:node_modules|dist|output|cache|\.git)(?:\/|$)/;

/** The files git tracks; where there is no git, or no repository, every file but what is installed or built. */
function projectFiles(): string[] {
  const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { encoding: 'utf8' });
  if (status === 0) return stdout.split('\0');
  return readdirSync('.', { withFileTypes: true })
    .filter(({ name }) => !foreign.test(name))
    .flatMap((entry) =>
      entry.isDirectory()
        ? readdirSync(entry.name, { recursive: true, withFileTypes: true })
            .filter((inside) => inside.isFile())
            .map((inside) => posix.join(inside.parentPath.replaceAll('\\', '/'), inside.name))
        : [entry.name],
    );
}

describe('files of the project', () => {
  const names = projectFiles();

  it('are found, with git or without', () => {
    expect(names).toContain('package.json');
    expect(names).toContain('src/commands/train.ts');
  });

  const texts = names
    .filter((name) => name && existsSync(name))
    .map((name) => ({ name, bytes: readFileSync(name) }))
    .filter(({ bytes }) => !bytes.subarray(0, 8000).includes(0))
    .map(({ name, bytes }) => ({ name, text: bytes.toString('utf8') }));

  it('name no path of one machine', () => {
    const path = /(?<![\w.~-])\/(?:work|tmp|home|root|Users)\/\w[^\s'"`]*/g;
    expect(
      texts.flatMap(({ name, text }) => [...text.matchAll(path)].map(([at]) => `${name}: ${at}`)),
    ).toEqual([]);
  });

  it('name no package registry, neither a public one nor what this machine is set up with', () => {
    const known = ['registry.npmjs.org', 'deb.debian.org', 'security.debian.org'];
    const hosts = [...new Set([...known, ...configuredHosts()])];
    const found = texts.flatMap(({ name, text }) =>
      name === 'test/architecture.test.ts' ? [] : hosts.filter((host) => text.includes(host)).map(() => name),
    );
    expect(found).toEqual([]);
  });
});

/** Hosts of this machine's npm registry and of its Debian or Ubuntu mirrors. */
function configuredHosts(): string[] {
  const npm = execFileSync('npm', ['config', 'get', 'registry'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const folder = '/etc/apt/sources.list.d';
  const files = existsSync(folder) ? readdirSync(folder).map((name) => `${folder}/${name}`) : [];
  const apt = ['/etc/apt/sources.list', ...files].filter((path) => existsSync(path));
  const urls = [npm, ...apt.map((path) => readFileSync(path, 'utf8'))].join('\n');
  const hosts = [...urls.matchAll(/^https?:\/\/([^\s/:]+)|https?:\/\/([^\s/:]+)[^\s]*\/(?:debian|ubuntu)/gm)];
  return hosts.map(([, registry, mirror]) => (registry ?? mirror)!).filter((host) => host !== 'localhost');
}
