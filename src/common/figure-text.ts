/** A figure as reports and tables show it, with this many decimals; a dash where it is not defined (NaN, or null in JSON). */
export const figureText = (value: number | null | undefined, digits = 4): string =>
  typeof value === 'number' && Number.isFinite(value)
    ? value.toFixed(digits).replace(/^-(?=[0.]+$)/, '')
    : '—';

/** A mean with its standard deviation, where there is one. */
export const meanText = ({ mean, std }: { readonly mean: number; readonly std: number }): string =>
  Number.isFinite(std) ? `${figureText(mean)} ± ${figureText(std, 3)}` : figureText(mean);
