// Chains of blocks as a radix tree: blocks that always move together are one extent. The twin of
// rust/agentgen-core/src/kv/tree.rs; a block is the same as another if all tokens up to its end are.

import { Tokens } from "./tokens.js";

/** A run of blocks, [start, end) from the beginning of its chain, that every chain has whole or not at all. */
class Extent {
  constructor(parent, start, end, tokens) {
    this.parent = parent;
    this.start = start;
    this.end = end;
    this.tokens = tokens;
    /** By the content of their first blocks. */
    this.children = new Map();
    this.key = "";
  }
}

export class Tree {
  constructor(idTokens, blockTokens) {
    this.blockTokens = blockTokens;
    this.root = new Extent(null, 0, 0, new Tokens([], idTokens));
  }

  /** How far the first `limit` blocks of a prompt are in the tree: how many blocks, and the extent of the last. */
  find(tokens, limit) {
    let [extent, blocks] = [this.root, 0];
    for (;;) {
      const next = blocks < limit && extent.children.size > 0 && extent.children.get(this.#key(tokens, blocks));
      if (!next) return { extent, blocks };
      extent = next;
      const end = Math.min(extent.end, limit);
      const wanted = tokens.slice(extent.start * this.blockTokens, end * this.blockTokens);
      blocks = extent.start + Math.floor(wanted.common(extent.tokens) / this.blockTokens);
      if (blocks < extent.end) return { extent, blocks };
    }
  }

  /**
   * Makes the first `blocks` blocks of a prompt a chain that ends where an extent ends, and returns that extent.
   * `found`: what `find` says for at least as many blocks. `mayExtend(extent)`: whether new blocks may become part of
   * an extent that nothing else follows; `split(first, second)` is told of an extent that was cut in two.
   */
  grow(found, tokens, blocks, mayExtend, split) {
    let extent = found.extent;
    while (extent.start >= blocks && extent.parent) extent = extent.parent;
    const common = Math.min(found.blocks, blocks);
    if (common < extent.end) extent = this.#split(extent, common, split);
    if (common === blocks) return extent;
    const added = tokens.slice(common * this.blockTokens, blocks * this.blockTokens);
    if (extent.parent && extent.children.size === 0 && mayExtend(extent)) {
      extent.tokens = extent.tokens.concat(added);
      extent.end = blocks;
      return extent;
    }
    return this.#add(new Extent(extent, common, blocks, added));
  }

  /** Takes the last `blocks` blocks of an extent that nothing follows; one without blocks is gone. */
  shorten(extent, blocks) {
    extent.end -= blocks;
    if (extent.end > extent.start) {
      extent.tokens = extent.tokens.slice(0, (extent.end - extent.start) * this.blockTokens);
    } else {
      extent.parent.children.delete(extent.key);
    }
  }

  /** Cuts an extent in two at `blocks` blocks from the beginning of its chain; returns the first part. */
  #split(extent, blocks, split) {
    const cut = (blocks - extent.start) * this.blockTokens;
    const first = this.#add(new Extent(extent.parent, extent.start, blocks, extent.tokens.slice(0, cut)));
    extent.tokens = extent.tokens.slice(cut, extent.tokens.length);
    extent.start = blocks;
    extent.parent = first;
    this.#add(extent);
    split(first, extent);
    return first;
  }

  /** Makes an extent known to its parent. */
  #add(extent) {
    extent.key = this.#key(extent.tokens, 0);
    extent.parent.children.set(extent.key, extent);
    return extent;
  }

  /** The content of a block. */
  #key(tokens, index) {
    return tokens.slice(index * this.blockTokens, (index + 1) * this.blockTokens).key();
  }
}
