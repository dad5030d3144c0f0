import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Progress } from '../../src/cli/progress.ts';
import { UserError } from '../../src/common/errors.ts';
import { uniform } from '../../src/common/random.ts';
import { artifactsOf, differences } from './artifacts.ts';
import { commands, type Draw, prepareShared, type TorturedCommand } from './commands.ts';
import { chosenBy, type Outcome, type Part, type TortureOptions } from './part.ts';
import { type KillMoment, type KillSignal, runVictim } from './victim.ts';

/** What has happened to one command. */
interface Tally {
  readonly kind: string;
  readonly signals: Record<KillSignal, number>;
  /** How many of the kills came as a temporary file appeared. */
  atWrite: number;
  ended: number;
  identical: number;
  /** Runs that came to something else, did not end, or showed a stack, in a line each. */
  readonly wrong: string[];
  temporaries: number;
}

/** Kills commands at random moments, starts them again until they end, and compares what they leave with undisturbed runs. */
export class KillRuns implements Part {
  readonly name = 'kills';
  readonly #tallies = new Map<string, Tally>();
  readonly #scratch: string;
  readonly #options: TortureOptions;
  readonly #running = new Set<() => void>();
  readonly #bar = new Progress();

  constructor(scratch: string, options: TortureOptions) {
    this.#scratch = join(scratch, 'kills');
    this.#options = options;
  }

  async run(): Promise<void> {
    const { kills, jobs } = this.#options;
    const chosen = chosenBy(commands, this.#options);
    mkdirSync(this.#scratch);
    await prepareShared(join(this.#scratch, 'shared'));
    await this.#prepareModel();
    this.#bar.start(kills, 'kills');
    const shares = chosen.map(({ share = 1 }) => share);
    const whole = shares.reduce((sum, share) => sum + share, 0);
    const upTo = (i: number) =>
      Math.round((kills * shares.slice(0, i).reduce((sum, share) => sum + share, 0)) / whole);
    // Kinds that have nothing more to be killed for give their place to the next.
    const waiting = chosen.map((one, i) => ({
      one,
      quota: upTo(i + 1) - upTo(i),
      stream: commands.indexOf(one),
    }));
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift())
        await this.#torture(next.one, next.quota, next.stream);
    };
    await Promise.all(Array.from({ length: jobs }, work));
    this.#bar.stop();
  }

  /** Ends every process that runs. */
  stop(): void {
    this.#bar.stop();
    for (const end of this.#running) end();
  }

  outcome(): Outcome {
    const tallies = [...this.#tallies.values()];
    return {
      columns: [
        ...['command', 'kills', 'SIGKILL', 'SIGTERM', 'SIGINT', 'at a write'],
        ...['runs ended', 'identical', 'wrong', 'temporaries left'],
      ],
      rows: tallies.map(({ kind, signals, atWrite, ended, identical, wrong, temporaries }) => {
        const each = [signals.SIGKILL, signals.SIGTERM, signals.SIGINT];
        const kills = each.reduce((sum, count) => sum + count, 0);
        return [kind, kills, ...each, atWrite, ended, identical, wrong.length, temporaries];
      }),
      wrong: tallies.flatMap(({ wrong }) => wrong),
    };
  }

  /** The model that images are scored with. */
  async #prepareModel(): Promise<void> {
    const folder = join(this.#scratch, 'model');
    mkdirSync(folder);
    const { code, output } = await this.#start([...commands[0]!.start(), '--out', '../shared/model'], folder);
    if (code !== 0) throw new UserError(`the training of a model failed:\n${output}`);
  }

  #start(args: readonly string[], folder: string, kill?: { moment: KillMoment; signal: KillSignal }) {
    return runVictim(args, folder, {
      kill,
      cache: join(this.#scratch, 'user-cache'),
      running: this.#running,
    });
  }

  async #torture(kind: TorturedCommand, quota: number, stream: number): Promise<void> {
    const { seed } = this.#options;
    const tally: Tally = {
      kind: kind.name,
      signals: { SIGKILL: 0, SIGTERM: 0, SIGINT: 0 },
      atWrite: 0,
      ended: 0,
      identical: 0,
      wrong: [],
      temporaries: 0,
    };
    this.#tallies.set(kind.name, tally);
    let draws = 0;
    const draw: Draw = (below) => Math.floor(uniform(seed, 0x7000 + stream, draws++) * below);
    const undisturbed = this.#newFolder(kind, 'undisturbed');
    const whole = await this.#start(kind.start(), undisturbed);
    if (whole.code !== 0) {
      tally.wrong.push(`the run without a kill failed: ${endOf(whole.output)}`);
      return;
    }
    const wanted = artifactsOf(undisturbed);
    let left = quota;
    for (let number = 1; left > 0; number++) {
      const folder = this.#newFolder(kind, String(number));
      const kills = Math.min(left, 1 + draw(6));
      const { killed, problem } = await this.#killAndGoOn(kind, folder, {
        kills,
        draw,
        tally,
        ms: whole.ms,
      });
      left -= killed;
      const differing = problem ? [problem] : differences(artifactsOf(folder), wanted);
      tally.temporaries += temporariesIn(folder);
      if (!problem) tally.ended++;
      if (differing.length === 0) {
        tally.identical++;
        rmSync(folder, { recursive: true }); // made by #newFolder
      } else tally.wrong.push(`${folder}: ${differing.join(', ')}`);
      // One that can't be killed any more would go on for ever.
      if (killed === 0 && number > 5 * quota) break;
    }
  }

  /** Starts a run again and again, kills it a few times and then lets it end. */
  async #killAndGoOn(
    kind: TorturedCommand,
    folder: string,
    options: { kills: number; draw: Draw; tally: Tally; ms: number },
  ): Promise<{ killed: number; problem?: string }> {
    const { kills, draw, tally, ms } = options;
    let killed = 0;
    let args = kind.start();
    for (;;) {
      const signal = (['SIGKILL', 'SIGKILL', 'SIGKILL', 'SIGTERM', 'SIGINT'] as const)[draw(5)]!;
      const moment: KillMoment =
        draw(2) === 0
          ? { afterMs: ms * (0.15 + 0.9 * (draw(1000) / 1000)) }
          : { atWrite: 1 + draw(10), thenMs: draw(4) };
      const kill = killed < kills ? { moment, signal } : undefined;
      const { code, signal: by, killed: struck, output } = await this.#start(args, folder, kill);
      const text = `${args.slice(1).join(' ')}: exit ${code ?? by}`;
      if (/^\s+at .*:\d+:\d+\)?$/m.test(output))
        return { killed, problem: `${text}, a stack: ${endOf(output)}` };
      const stopped =
        struck && (by === signal || code === { SIGKILL: 137, SIGTERM: 143, SIGINT: 130 }[signal]);
      if (stopped) {
        killed++;
        tally.signals[signal]++;
        if ('atWrite' in moment) tally.atWrite++;
        this.#bar.advance();
        kind.between?.(folder, draw);
      } else if (code === 0) return { killed };
      else return { killed, problem: `${text}: ${endOf(output)}` };
      args = kind.goOn(folder, draw);
    }
  }

  #newFolder(kind: TorturedCommand, name: string): string {
    const folder = join(this.#scratch, `${kind.name}-${name}`);
    mkdirSync(folder);
    return folder;
  }
}

/** The error a command ended with, or its last lines. */
function endOf(output: string): string {
  const at = output.search(/^\w*error\w*:/im);
  return output
    .slice(at < 0 ? -300 : at)
    .trim()
    .replaceAll('\n', ' | ')
    .slice(0, 600);
}

const temporariesIn = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tmp$|lock/.test(name))
    .length;
