/** The datasets there are, by the name that settings and folders use, with other names people know them by. */
const names: Readonly<Record<string, readonly string[]>> = {
  'agiqa-3k': ['agiqa'],
  aigciqa2023: ['aigciqa'],
  agin: [],
  aigcqa: ['aigcqa-30k', 'aigiqa-20k', 'aigiqa'],
  'koniq-10k': ['koniq'],
  spaq: [],
  'kadid-10k': ['kadid'],
  tid2013: ['tid'],
  live: ['live-iqa', 'live-r2', 'live-release-2'],
  csv: [],
  scenes: [],
};

/** Names of the datasets that there are readers of. */
export const datasetNames: readonly string[] = Object.keys(names);

/** Letters and digits alone tell names apart: `AGIQA-3K`, `agiqa_3k` and `agiqa3k` are one. */
const plain = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** The name of a dataset that goes by `name` too; what is not known stays as it is. */
export function datasetName(name: string): string {
  const wanted = plain(name);
  const found = Object.entries(names).find(([known, others]) =>
    [known, ...others].some((other) => plain(other) === wanted),
  );
  return found?.[0] ?? name;
}
