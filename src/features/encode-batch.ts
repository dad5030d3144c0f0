/**
 * Images and texts that a tower takes at once where nobody asks for another number. A batch that is not full is filled up:
 * kernels are chosen by shape, and other shapes give other last bits, so only one shape makes the result for an image the same
 * whatever it is encoded with. Larger batches are no faster on a software adapter, and one image would pay for more.
 */
export const encodeBatch = 4;
