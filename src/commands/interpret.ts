import { createCommand, runCommand } from '../cli/command.ts';
import { countOption } from '../cli/numbers.ts';
import { addEpochFileOption, epochFile } from '../cli/original-options.ts';
import { formatTable } from '../cli/table.ts';
import { type ContextWords, contextWords } from '../scoring/learned-context.ts';

interface Options {
  weights?: string;
  top: number;
  epochFile?: string;
  json?: boolean;
}

const command = addEpochFileOption(
  createCommand(
    'interpret',
    "Lists the words nearest to each learned context vector, by Euclidean distance to CLIP's token embeddings.",
    [
      'node dist/interpret.js output/my-run',
      'node dist/interpret.js output/my-run --top 10 --json',
      'node dist/interpret.js output/my-run/checkpoint.safetensors   # of an unfinished run',
      'node dist/interpret.js nctx16_cscFalse_ctpend/seed1 --weights ViT-B-16.pt',
      'node dist/interpret.js seed1/prompt_learner/model.pth.tar-50 --weights ViT-B-16.pt',
    ],
  ),
)
  .argument('<run>', 'folder or checkpoint of a training run, or of the published trainer or CoOp')
  .option('--weights <file>', 'CLIP weights (default: those of the run)')
  .option('--top <n>', 'words per vector', countOption('--top'), 3)
  .option('--json', 'print JSON on stdout');

await runCommand<Options & Record<string, unknown>>(command, async (options, [run]) => {
  const { weights, top, json } = options;
  const found = await contextWords(run!, { weights, top, epoch: epochFile(options.epochFile) });
  process.stdout.write(json ? `${JSON.stringify(found)}\n` : `${contextTables(found)}\n`);
});

function contextTables({ contexts }: ContextWords): string {
  return contexts
    .map(({ word, vectors }) => {
      const rows = vectors.map(({ norm, nearest }, v) => [
        v + 1,
        norm.toFixed(4),
        ...nearest.flatMap(({ text, distance }) => [text, distance.toFixed(4)]),
      ]);
      const count = vectors[0]?.nearest.length ?? 0;
      const columns = Array.from({ length: count }, (_, i) => [
        i === 0 ? 'nearest' : `${i + 1}.`,
        'distance',
      ]);
      const table = formatTable(rows, {
        columns: ['vector', 'length', ...columns.flat()],
        align: `rr${'lr'.repeat(count)}`,
      });
      return word === null ? table : `context of "${word}"\n${table}`;
    })
    .join('\n\n');
}
