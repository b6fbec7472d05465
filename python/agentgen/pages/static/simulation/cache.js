// A prefix cache with LRU eviction: the twin of rust/agentgen-core/src/kv/{cache,admission}.rs. What running requests
// use is pinned; of the rest the least recently released block goes first, and of one chain its tail before its head.

import { Tree } from "./tree.js";

export class PrefixCache {
  #tree;
  /** Ends of the list of extents that nobody pins, in the order of their last release. */
  #oldest = null;
  #newest = null;

  /** `evicted(mark, start, end)` is told of blocks [start, end) of a chain that go, and the mark of their last release. */
  constructor(capacityBlocks, idTokens, blockTokens, evicted) {
    this.#tree = new Tree(idTokens, blockTokens);
    this.capacityBlocks = capacityBlocks;
    this.evicted = evicted;
    this.residentBlocks = 0;
    this.pinnedBlocks = 0;
    /** Kept free for what running requests will write. */
    this.reservedBlocks = 0;
  }

  /**
   * Admits a request: pins what it finds and its full blocks, reserves the rest of what it needs, and evicts what is in
   * the way. Returns null, and changes nothing, if what others pin and reserve leaves too little room.
   */
  admit(prompt) {
    const found = this.#tree.find(prompt.tokens, Math.max(prompt.fullBlocks, prompt.reusableBlocks));
    const hitBlocks = Math.min(found.blocks, prompt.reusableBlocks);
    const heldBlocks = Math.max(prompt.fullBlocks, hitBlocks);
    const reservedBlocks = prompt.neededBlocks - heldBlocks;
    const fixed = this.pinnedBlocks + (heldBlocks - this.#pinnedPart(found)) + this.reservedBlocks + reservedBlocks;
    if (fixed > this.capacityBlocks) return null;
    const end = this.#grow(found, prompt.tokens, heldBlocks);
    for (let extent = end; extent.parent; extent = extent.parent) {
      if (!extent.pins) {
        this.#unlist(extent);
        this.pinnedBlocks += extent.end - extent.start;
      }
      extent.pins = (extent.pins ?? 0) + 1;
    }
    this.reservedBlocks += reservedBlocks;
    this.#makeRoom();
    return { hitBlocks, foundBlocks: found.blocks, heldBlocks, reservedBlocks };
  }

  /**
   * A request is over: what it wrote becomes blocks in the reserved room, and what it keeps is unpinned and the most
   * recently released. Returns how many of its blocks were there before, and how many are now.
   */
  release(admission, prompt, mark) {
    const keptBlocks = Math.max(prompt.keptBlocks, admission.heldBlocks);
    this.reservedBlocks -= admission.reservedBlocks;
    const found = this.#tree.find(prompt.tokens, keptBlocks);
    for (let extent = found.extent; extent.parent; extent = extent.parent) {
      if (extent.end > admission.heldBlocks) continue;
      extent.pins -= 1;
      if (extent.pins === 0) this.pinnedBlocks -= extent.end - extent.start;
    }
    const end = this.#grow(found, prompt.tokens, keptBlocks);
    for (let extent = end; extent.parent; extent = extent.parent) {
      extent.mark = mark;
      if (extent.pins) continue;
      this.#unlist(extent);
      this.#insertAfter(extent, this.#newest);
    }
    return { foundBlocks: found.blocks, keptBlocks };
  }

  #makeRoom() {
    while (this.residentBlocks + this.reservedBlocks > this.capacityBlocks) {
      const extent = this.#oldest;
      const tooMany = this.residentBlocks + this.reservedBlocks - this.capacityBlocks;
      const blocks = Math.min(tooMany, extent.end - extent.start);
      this.evicted(extent.mark, extent.end - blocks, extent.end);
      this.#tree.shorten(extent, blocks);
      this.residentBlocks -= blocks;
      if (extent.end === extent.start) this.#unlist(extent);
    }
  }

  /** How many of the blocks that were found are pinned: always the first ones. */
  #pinnedPart(found) {
    let extent = found.extent;
    while (extent.parent && !extent.pins) extent = extent.parent;
    return Math.min(extent.end, found.blocks);
  }

  /** Puts the first `blocks` blocks of a prompt in. */
  #grow(found, tokens, blocks) {
    this.residentBlocks += blocks - Math.min(found.blocks, blocks);
    const split = (first, second) => {
      first.pins = second.pins;
      first.mark = second.mark;
      if (!second.pins) this.#insertAfter(first, second);
    };
    return this.#tree.grow(found, tokens, blocks, (extent) => !extent.pins, split);
  }

  /** Puts an extent into the list right after one that goes before it; first of all if there is none. */
  #insertAfter(extent, older) {
    extent.older = older;
    extent.newer = older ? older.newer : this.#oldest;
    if (older) older.newer = extent;
    else this.#oldest = extent;
    if (extent.newer) extent.newer.older = extent;
    else this.#newest = extent;
  }

  #unlist(extent) {
    if (extent.older) extent.older.newer = extent.newer;
    else if (this.#oldest === extent) this.#oldest = extent.newer;
    if (extent.newer) extent.newer.older = extent.older;
    else if (this.#newest === extent) this.#newest = extent.older;
    extent.older = extent.newer = null;
  }
}
