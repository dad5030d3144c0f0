/** Workgroups in each direction, at most; so many has every adapter. */
const mostGroups = 65535;

export function isCount(groups: number): boolean {
  return groups >>> 0 === groups && groups <= mostGroups;
}

/** Why these are no counts of workgroups. */
export const notCounts = (kernel: string, groups: readonly (number | undefined)[]): string =>
  `kernel ${kernel}: [${groups.join(', ')}] are not workgroup counts: integers up to ${mostGroups}; for more, use foldGroups()`;

/** Workgroup counts for `count` groups in one line, folded into rows where they exceed the limit of 65,535 in x. */
export function foldGroups(count: number): [number, number] {
  if (count <= mostGroups) return [count, 1];
  const rows = Math.ceil(count / mostGroups);
  return [Math.ceil(count / rows), rows];
}
