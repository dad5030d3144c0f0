/** What RADV's compiler says of one kernel: RADV_DEBUG=shaders,shaderstats. */
export interface Statistics {
  /** Vector registers of a lane. */
  readonly registers: number;
  /** Bytes of shared memory of a workgroup. */
  readonly shared: number;
  /** Bytes of a lane that did not fit into registers. */
  readonly scratch: number;
  /** Registers that were moved elsewhere for want of room. */
  readonly spilled: number;
  /** Subgroups that a SIMD holds at once; on RDNA counted in subgroups of 32 lanes, as RADV does. */
  readonly waves: number;
  /** The loop with the most multiply-adds; null where no loop has any, or none is legible. */
  readonly loop: Loop | null;
  /** Whether RADV could disassemble the machine code. */
  readonly legible: boolean;
}

/** A loop of the machine code, as it stands there: not times how often it runs. */
export interface Loop {
  readonly multiplyAdds: number;
  /** Instructions that compute in lanes, or that move data between their registers and memory. */
  readonly vector: number;
  /** Of the loop with barriers that this one is, or is in: how many times it asks memory for something and then waits for it. */
  readonly waits: number;
}

/** From the driver's output while it compiled one kernel; undefined where it compiled none. */
export function statisticsOf(output: string): Statistics | undefined {
  const end = output.lastIndexOf('\n*** SHADER STATS ***\n');
  if (end < 0) return undefined;
  const start = output.lastIndexOf('\ndisasm:\n', end);
  if (start < 0) throw new Error('the driver disassembled nothing');
  const figures = output.slice(end);
  const number = (name: string): number => {
    const found = new RegExp(`^${name}: (\\d+)$`, 'm').exec(figures);
    if (!found) throw new Error(`the driver's statistics have no ${name}`);
    return Number(found[1]);
  };
  return {
    registers: number('VGPRs'),
    shared: number('LDS size'),
    scratch: number('Scratch size'),
    spilled: number('Spilled VGPRs') + number('Spilled SGPRs'),
    waves: number('Subgroups per SIMD'),
    ...read(output.slice(start, end)),
  };
}

/** RADV says so where the LLVM it was built with is older than the family. */
function read(disassembly: string): Pick<Statistics, 'loop' | 'legible'> {
  const legible = !disassembly.includes('disassembly is not supported');
  return { loop: legible ? busiestLoop(disassembly) : null, legible };
}

/** How many multiply-adds an instruction is: RDNA 3 pairs two in one. By 1 it only converts a half. */
function multiplyAdds(instruction: string): number {
  if (/^v_fma_mix\w* .* 1\.0,/.test(instruction)) return 0;
  return instruction.match(/\bv_(?:dual_|pk_)?(?:fma|mad|mac|dot|wmma|mfma)\w*/g)?.length ?? 0;
}

/** Pairs count as two. */
const vectors = (instruction: string) =>
  instruction.match(/\b(?:v|ds|buffer|global|flat|scratch)_\w+/g)?.length ?? 0;

/** `s_waitcnt vmcnt(0)`, and since RDNA 4 `s_wait_loadcnt 0x0`. */
const waitsForMemory = (instruction: string) => /^s_waitcnt.*vmcnt|^s_wait_loadcnt/.test(instruction);

/** Loops are branches back. Of all, the one with the most multiply-adds that are in no loop within it. */
function busiestLoop(disassembly: string): Loop | null {
  const lines = disassembly
    .split('\n')
    .map((line) =>
      // LLVM's disassembler doesn't know that ACO gives CDNA 3 a v_mac_f32, VOP2 number 22.
      line
        .replace(/^\s*\(invalid instruction\)\s*; 2[cd]/, 'v_mac_f32 ;')
        .replace(/\s*;.*$/, '')
        .trim(),
    )
    .filter((line) => line !== '');
  const labels = new Map<string, number>();
  const ends = new Map<number, number>();
  for (const [at, line] of lines.entries()) {
    const label = /^(\w+):$/.exec(line)?.[1];
    if (label) labels.set(label, at);
    const from = labels.get(/^s_c?branch\w* (\w+)$/.exec(line)?.[1] ?? '');
    if (from !== undefined) ends.set(from, at);
  }
  const loops = [...ends].map(([from, to]) => ({ from, to }));
  const total = ({ from, to }: (typeof loops)[number], count: (line: string) => number) =>
    lines.slice(from, to).reduce((sum, line) => sum + count(line), 0);
  const within = (inner: (typeof loops)[number], outer: (typeof loops)[number]) =>
    inner !== outer && inner.from >= outer.from && inner.to <= outer.to;
  const own = (loop: (typeof loops)[number]) => {
    const inner = loops.filter((other) => within(other, loop));
    const outermost = inner.filter((one) => !inner.some((other) => within(one, other)));
    return outermost.reduce((sum, one) => sum - total(one, multiplyAdds), total(loop, multiplyAdds));
  };
  const [best] = loops.map((loop) => ({ loop, count: own(loop) })).sort((a, b) => b.count - a.count);
  if (!best || best.count === 0) return null;
  const { loop, count } = best;
  const hasBarrier = ({ from, to }: (typeof loops)[number]) =>
    lines.slice(from, to).some((line) => line.startsWith('s_barrier'));
  const slice =
    [loop, ...loops.filter((outer) => within(loop, outer))]
      .sort((a, b) => a.to - a.from - (b.to - b.from))
      .find(hasBarrier) ?? loop;
  let waits = 0;
  let outstanding = true; // from the turn before
  for (const line of lines.slice(slice.from, slice.to)) {
    if (/^(?:buffer|global|flat|image)_load/.test(line)) outstanding = true;
    else if (outstanding && waitsForMemory(line)) {
      outstanding = false;
      waits++;
    }
  }
  return { multiplyAdds: count, vector: total(loop, vectors), waits };
}
