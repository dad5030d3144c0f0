import type { Values } from './step-data.ts';

/** A thumbnail's width and height, at most. */
const [across, down] = [40, 26];
/** Parts of a histogram. */
const bins = 32;

/**
 * Figures of a tensor, and its rows as a small picture: its last axis runs across.
 *
 * @param error largest difference from float64, relative; null where it was not compared
 */
export function valuesOf(data: Float32Array, shape: readonly number[], error: number | null): Values {
  const finite = data.filter(Number.isFinite);
  const count = data.length;
  let [sum, min, max, zeros] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const value of finite) {
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
    if (value === 0) zeros++;
  }
  if (finite.length === 0) [min, max] = [0, 0];
  const mean = finite.length ? sum / finite.length : 0;
  let squares = 0;
  for (const value of finite) squares += (value - mean) ** 2;
  const nan = data.reduce((total, value) => total + Number(Number.isNaN(value)), 0);
  const histogram = new Array<number>(bins).fill(0);
  const width = max - min || 1;
  for (const value of finite) histogram[Math.min(bins - 1, Math.floor(((value - min) / width) * bins))]!++;
  return {
    shape: [...shape],
    count,
    mean,
    min,
    max,
    nan,
    zeros,
    histogram,
    error,
    std: finite.length ? Math.sqrt(squares / finite.length) : 0,
    infinite: count - finite.length - nan,
    ...picture(data, shape),
  };
}

function picture(data: Float32Array, shape: readonly number[]) {
  const columns = shape.at(-1) || 1;
  const rows = Math.max(1, data.length / columns);
  const [width, height] = [Math.min(across, columns), Math.min(down, rows)];
  const magnitudes = Float32Array.from(data, Math.abs).filter(Number.isFinite).sort();
  // Outliers would leave the rest pale.
  const top = magnitudes[Math.floor(0.98 * (magnitudes.length - 1))] || magnitudes.at(-1) || 1;
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = Math.floor((y * rows) / height) * columns + Math.floor((x * columns) / width);
      const share = Math.max(-1, Math.min(1, (data[at] ?? 0) / top));
      // In 31 steps, which pack well.
      pixels[y * width + x] = 128 + 8 * Math.round(15 * (Number.isNaN(share) ? 0 : share));
    }
  return { width, height, top, pixels: btoa(String.fromCharCode(...pixels)) };
}
