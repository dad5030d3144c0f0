// Which keys j a query i sees.

const MASK = 0u; // one of these
const NONE = 0u; // every one
const CAUSAL = 1u; // j <= i
const TREE = 2u; // j <= i < end[j]: i's ancestors, where rows are the preorder of a tree and end[j] is behind j's subtree
