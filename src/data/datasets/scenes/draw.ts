import { uniform } from '../../../common/random.ts';

/** Draws of one scene: an endless, seeded sequence. */
export class Dice {
  readonly #seed: number;
  readonly #stream: number;
  #index = 0;

  constructor(seed: number, stream: number) {
    this.#seed = seed;
    this.#stream = stream;
  }

  /** Uniform in [low, high). */
  range(low: number, high: number): number {
    return low + (high - low) * uniform(this.#seed, this.#stream, this.#index++);
  }

  /** A whole number from low to high, both included. */
  whole(low: number, high: number): number {
    return Math.floor(this.range(low, high + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.whole(0, items.length - 1)]!;
  }
}

type Draw = (dice: Dice, size: number) => string;

const hsl = (hue: number, saturation: number, lightness: number) =>
  `hsl(${(((hue % 360) + 360) % 360).toFixed(0)},${saturation.toFixed(0)}%,${lightness.toFixed(0)}%)`;
const n = (x: number) => x.toFixed(1);
const times = (count: number, make: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => make(i)).join('');

function verticalGradient(id: string, top: string, bottom: string): string {
  return `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${top}"/><stop offset="1" stop-color="${bottom}"/></linearGradient>`;
}

/** Fractal noise over the whole scene: without it there is no texture for a distortion to affect. */
function texture(dice: Dice, strength: number): string {
  const frequency = dice.range(0.08, 0.5).toFixed(3);
  return `<filter id="grain" x="0" y="0" width="1" height="1"><feTurbulence type="fractalNoise" baseFrequency="${frequency}" numOctaves="4" seed="${dice.whole(1, 9999)}"/><feColorMatrix type="saturate" values="0.3"/></filter><rect width="100%" height="100%" filter="url(#grain)" opacity="${strength.toFixed(2)}"/>`;
}

/** Sky, sun, mountain ranges one behind the other, and trees. */
const landscape: Draw = (dice, size) => {
  const hue = dice.range(180, 260);
  const ground = dice.range(60, 150);
  const ranges = dice.whole(2, 4);
  const ridge = (i: number) => {
    const base = size * (0.35 + (0.5 * i) / ranges);
    const points = Array.from(
      { length: 14 },
      (_, k) => `${n((k * size) / 13)},${n(base - dice.range(0, size * 0.2))}`,
    );
    return `<polygon points="0,${size} ${points.join(' ')} ${size},${size}" fill="${hsl(ground + 12 * i, 25 + 8 * i, 60 - 11 * i)}"/>`;
  };
  const tree = () => {
    const [x, y, h] = [dice.range(0, size), dice.range(0.75, 0.98) * size, dice.range(0.06, 0.18) * size];
    return `<polygon points="${n(x)},${n(y - h)} ${n(x - h / 3)},${n(y)} ${n(x + h / 3)},${n(y)}" fill="${hsl(ground + dice.range(-20, 20), 45, dice.range(15, 32))}"/>`;
  };
  return `${verticalGradient('sky', hsl(hue, 60, dice.range(35, 60)), hsl(hue - 150, 70, 82))}<rect width="${size}" height="${size}" fill="url(#sky)"/><circle cx="${n(dice.range(0, size))}" cy="${n(dice.range(0, size * 0.35))}" r="${n(dice.range(0.04, 0.1) * size)}" fill="${hsl(45, 95, 85)}"/>${times(ranges, ridge)}${times(dice.whole(8, 40), tree)}`;
};

/** Buildings with lit windows against the sky. */
const city: Draw = (dice, size) => {
  const hue = dice.range(0, 360);
  const building = () => {
    const [x, w, h] = [
      dice.range(-0.05, 0.95) * size,
      dice.range(0.08, 0.22) * size,
      dice.range(0.25, 0.85) * size,
    ];
    const cell = dice.range(0.02, 0.035) * size;
    const windows: string[] = [];
    for (let wx = x + cell / 2; wx < x + w - cell; wx += cell)
      for (let wy = size - h + cell; wy < size - cell; wy += cell * 1.4)
        if (dice.range(0, 1) < 0.55)
          windows.push(
            `<rect x="${n(wx)}" y="${n(wy)}" width="${n(cell * 0.55)}" height="${n(cell * 0.8)}" fill="${hsl(dice.range(35, 60), 90, dice.range(55, 85))}"/>`,
          );
    return `<rect x="${n(x)}" y="${n(size - h)}" width="${n(w)}" height="${n(h)}" fill="${hsl(hue + dice.range(-30, 30), dice.range(5, 35), dice.range(12, 45))}"/>${windows.join('')}`;
  };
  return `${verticalGradient('sky', hsl(hue + 180, 50, dice.range(15, 60)), hsl(hue + 200, 60, 78))}<rect width="${size}" height="${size}" fill="url(#sky)"/>${times(dice.whole(6, 12), building)}`;
};

/** Glossy balls on a table. */
const stillLife: Draw = (dice, size) => {
  const hue = dice.range(0, 360);
  const ball = (i: number) => {
    const [x, y, r] = [
      dice.range(0.1, 0.9) * size,
      dice.range(0.4, 0.85) * size,
      dice.range(0.06, 0.2) * size,
    ];
    const tint = hue + dice.range(0, 360);
    return `<radialGradient id="ball${i}" cx="0.35" cy="0.3" r="0.8"><stop offset="0" stop-color="${hsl(tint, 80, 92)}"/><stop offset="0.4" stop-color="${hsl(tint, 75, 52)}"/><stop offset="1" stop-color="${hsl(tint, 80, 14)}"/></radialGradient><ellipse cx="${n(x + r * 0.3)}" cy="${n(y + r)}" rx="${n(r * 1.1)}" ry="${n(r * 0.25)}" fill="black" opacity="0.3"/><circle cx="${n(x)}" cy="${n(y)}" r="${n(r)}" fill="url(#ball${i})"/>`;
  };
  return `${verticalGradient('wall', hsl(hue, 30, dice.range(30, 80)), hsl(hue + 30, 35, 60))}<rect width="${size}" height="${size}" fill="url(#wall)"/><rect y="${n(size * 0.6)}" width="${size}" height="${n(size * 0.4)}" fill="${hsl(dice.range(15, 45), 45, dice.range(20, 45))}"/>${times(dice.whole(3, 9), ball)}`;
};

/** A meadow of flowers, large and near below, small and far above. */
const flowers: Draw = (dice, size) => {
  const hue = dice.range(0, 360);
  const flower = (i: number) => {
    const y = size * (0.15 + (0.85 * i) / 60);
    const [x, r, petals] = [dice.range(0, size), dice.range(0.3, 0.8) * (4 + y * 0.09), dice.whole(5, 9)];
    const tint = hue + dice.range(-60, 60);
    const petal = (k: number) =>
      `<ellipse cx="${n(x)}" cy="${n(y - r)}" rx="${n(r * 0.45)}" ry="${n(r)}" fill="${hsl(tint, 75, 45 + 4 * (k % 4))}" transform="rotate(${n((360 * k) / petals)} ${n(x)} ${n(y)})"/>`;
    return `${times(petals, petal)}<circle cx="${n(x)}" cy="${n(y)}" r="${n(r * 0.4)}" fill="${hsl(48, 90, 55)}"/>`;
  };
  return `${verticalGradient('meadow', hsl(dice.range(80, 140), 45, 60), hsl(110, 50, dice.range(15, 30)))}<rect width="${size}" height="${size}" fill="url(#meadow)"/>${times(60, flower)}`;
};

/** A head before a plain wall: hair, eyes, mouth. */
const portrait: Draw = (dice, size) => {
  const [cx, cy, r] = [
    size * dice.range(0.4, 0.6),
    size * dice.range(0.42, 0.52),
    size * dice.range(0.2, 0.28),
  ];
  const skin = hsl(dice.range(18, 35), dice.range(30, 60), dice.range(30, 78));
  const hair = hsl(dice.range(10, 50), dice.range(20, 70), dice.range(8, 45));
  const eye = (side: number) =>
    `<ellipse cx="${n(cx + side * r * 0.38)}" cy="${n(cy - r * 0.1)}" rx="${n(r * 0.16)}" ry="${n(r * 0.1)}" fill="white"/><circle cx="${n(cx + side * r * 0.38)}" cy="${n(cy - r * 0.1)}" r="${n(r * 0.08)}" fill="${hsl(dice.range(0, 240), 60, 25)}"/>`;
  const strand = () =>
    `<path d="M ${n(cx + dice.range(-r, r))} ${n(cy - r * 1.1)} q ${n(dice.range(-r, r))} ${n(r * 0.4)} ${n(dice.range(-r, r) * 0.6)} ${n(dice.range(0.4, 1.2) * r)}" stroke="${hair}" stroke-width="${n(dice.range(0.5, 2))}" fill="none"/>`;
  return `${verticalGradient('wall', hsl(dice.range(0, 360), 40, 70), hsl(dice.range(0, 360), 40, 30))}<rect width="${size}" height="${size}" fill="url(#wall)"/><ellipse cx="${n(cx)}" cy="${n(size)}" rx="${n(r * 1.9)}" ry="${n(size * 0.3)}" fill="${hsl(dice.range(0, 360), 60, 40)}"/><ellipse cx="${n(cx)}" cy="${n(cy - r * 0.25)}" rx="${n(r * 1.05)}" ry="${n(r * 1.2)}" fill="${hair}"/><ellipse cx="${n(cx)}" cy="${n(cy)}" rx="${n(r * 0.85)}" ry="${n(r * 1.1)}" fill="${skin}"/>${eye(-1)}${eye(1)}<path d="M ${n(cx - r * 0.3)} ${n(cy + r * 0.5)} q ${n(r * 0.3)} ${n(dice.range(-0.1, 0.3) * r)} ${n(r * 0.6)} 0" stroke="${hsl(0, 60, 40)}" stroke-width="${n(r * 0.08)}" fill="none"/>${times(30, strand)}`;
};

/** Overlapping translucent shapes. */
const abstract: Draw = (dice, size) => {
  const shape = () => {
    const fill = hsl(dice.range(0, 360), dice.range(40, 95), dice.range(25, 80));
    const [x, y, a, b] = [
      dice.range(0, size),
      dice.range(0, size),
      dice.range(0.03, 0.3) * size,
      dice.range(0.03, 0.3) * size,
    ];
    const common = `fill="${fill}" opacity="${dice.range(0.4, 1).toFixed(2)}" transform="rotate(${n(dice.range(0, 360))} ${n(x)} ${n(y)})"`;
    return dice.range(0, 1) < 0.5
      ? `<rect x="${n(x)}" y="${n(y)}" width="${n(a)}" height="${n(b)}" ${common}/>`
      : `<ellipse cx="${n(x)}" cy="${n(y)}" rx="${n(a)}" ry="${n(b)}" ${common}/>`;
  };
  return `<rect width="${size}" height="${size}" fill="${hsl(dice.range(0, 360), 30, 50)}"/>${times(dice.whole(15, 60), shape)}`;
};

const kinds: Readonly<Record<string, Draw>> = { landscape, city, stillLife, flowers, portrait, abstract };

/** The kinds of scene there are. */
export const sceneKinds = Object.keys(kinds);

/** One scene as SVG, `size` pixels square; the number and the seed fix it. */
export function drawScene(kind: string, size: number, dice: Dice): string {
  const drawn = kinds[kind]!(dice, size);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}">${drawn}${texture(dice, dice.range(0.15, 0.4))}</svg>`;
}
