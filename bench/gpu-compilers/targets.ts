/** A family of GPUs that RADV compiles for, by the name that RADV_FORCE_FAMILY takes. */
export interface Target {
  readonly family: string;
  /** A card of the family that people know. */
  readonly card: string;
  readonly architecture: 'GCN 4' | 'GCN 5' | 'CDNA 2' | 'CDNA 3' | 'RDNA 1' | 'RDNA 2' | 'RDNA 3' | 'RDNA 4';
}

/** One of each architecture since 2016, and RDNA 3 also as it is in a laptop, with half the registers. */
export const targets: readonly Target[] = [
  { family: 'polaris10', card: 'RX 480', architecture: 'GCN 4' },
  { family: 'vega10', card: 'RX Vega', architecture: 'GCN 5' },
  { family: 'mi200', card: 'MI210, MI250', architecture: 'CDNA 2' },
  { family: 'gfx940', card: 'MI300', architecture: 'CDNA 3' },
  { family: 'navi10', card: 'RX 5700', architecture: 'RDNA 1' },
  { family: 'navi21', card: 'RX 6800, RX 6900', architecture: 'RDNA 2' },
  { family: 'navi31', card: 'RX 7900', architecture: 'RDNA 3' },
  { family: 'phoenix', card: 'Radeon 780M', architecture: 'RDNA 3' },
  { family: 'gfx1201', card: 'RX 9070', architecture: 'RDNA 4' },
];
