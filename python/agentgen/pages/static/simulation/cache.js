// A prefix cache with LRU eviction: the twin of rust/agentgen-engine/src/kv/{cache,admission}.rs. Running requests pin their
// blocks; of the others the least recently released block is evicted first, a chain's tail before its head.

import { Tree } from "./tree.js";

export class PrefixCache {
  #tree;
  /** Ends of the list of unpinned nodes, in the order of their last release. */
  #oldest = null;
  #newest = null;

  /** `evicted(tag, start, end)` is called for evicted blocks [start, end) of a chain, with the tag of their last release. */
  constructor(capacityBlocks, idTokens, blockTokens, evicted) {
    this.#tree = new Tree(idTokens, blockTokens);
    this.capacityBlocks = capacityBlocks;
    this.evicted = evicted;
    this.residentBlocks = 0;
    this.pinnedBlocks = 0;
    /** Room for what running requests write. */
    this.reservedBlocks = 0;
  }

  /**
   * Admits a request: pins the reused and the full blocks of its prompt, reserves the rest of what it needs, and evicts
   * what is in the way. Returns null, and changes nothing, if the pins and reservations of running requests leave too
   * little room.
   */
  admit(prompt) {
    const found = this.#tree.find(prompt.tokens, Math.max(prompt.fullBlocks, prompt.reusableBlocks));
    const hitBlocks = Math.min(found.blocks, prompt.reusableBlocks);
    const heldBlocks = Math.max(prompt.fullBlocks, hitBlocks);
    const reservedBlocks = prompt.neededBlocks - heldBlocks;
    const fixed = this.pinnedBlocks + (heldBlocks - this.#pinnedPart(found)) + this.reservedBlocks + reservedBlocks;
    if (fixed > this.capacityBlocks) return null;
    const end = this.#grow(found, prompt.tokens, heldBlocks);
    for (let node = end; node.parent; node = node.parent) {
      if (!node.pins) {
        this.#unlist(node);
        this.pinnedBlocks += node.end - node.start;
      }
      node.pins = (node.pins ?? 0) + 1;
    }
    this.reservedBlocks += reservedBlocks;
    this.#makeRoom();
    return { hitBlocks, foundBlocks: found.blocks, heldBlocks, reservedBlocks };
  }

  /**
   * Ends a request: its output becomes blocks in the reserved room, and the blocks that it leaves are unpinned and the most
   * recently released. Returns how many of its blocks were in the cache before, and how many are now.
   */
  release(admission, prompt, tag) {
    const keptBlocks = Math.max(prompt.keptBlocks, admission.heldBlocks);
    this.reservedBlocks -= admission.reservedBlocks;
    const found = this.#tree.find(prompt.tokens, keptBlocks);
    for (let node = found.node; node.parent; node = node.parent) {
      if (node.end > admission.heldBlocks) continue;
      node.pins -= 1;
      if (node.pins === 0) this.pinnedBlocks -= node.end - node.start;
    }
    const end = this.#grow(found, prompt.tokens, keptBlocks);
    for (let node = end; node.parent; node = node.parent) {
      node.tag = tag;
      if (node.pins) continue;
      this.#unlist(node);
      this.#insertAfter(node, this.#newest);
    }
    return { foundBlocks: found.blocks, keptBlocks };
  }

  #makeRoom() {
    while (this.residentBlocks + this.reservedBlocks > this.capacityBlocks) {
      const node = this.#oldest;
      const tooMany = this.residentBlocks + this.reservedBlocks - this.capacityBlocks;
      const blocks = Math.min(tooMany, node.end - node.start);
      this.evicted(node.tag, node.end - blocks, node.end);
      this.#tree.shorten(node, blocks);
      this.residentBlocks -= blocks;
      if (node.end === node.start) this.#unlist(node);
    }
  }

  /** How many of the blocks that were found are pinned: always the first ones. */
  #pinnedPart(found) {
    let node = found.node;
    while (node.parent && !node.pins) node = node.parent;
    return Math.min(node.end, found.blocks);
  }

  /** Adds the first `blocks` blocks of a prompt. */
  #grow(found, tokens, blocks) {
    this.residentBlocks += blocks - Math.min(found.blocks, blocks);
    const split = (first, second) => {
      first.pins = second.pins;
      first.tag = second.tag;
      if (!second.pins) this.#insertAfter(first, second);
    };
    return this.#tree.grow(found, tokens, blocks, (node) => !node.pins, split);
  }

  /** Inserts a node into the list right after an older one; at its beginning if there is none. */
  #insertAfter(node, older) {
    node.older = older;
    node.newer = older ? older.newer : this.#oldest;
    if (older) older.newer = node;
    else this.#oldest = node;
    if (node.newer) node.newer.older = node;
    else this.#newest = node;
  }

  #unlist(node) {
    if (node.older) node.older.newer = node.newer;
    else if (this.#oldest === node) this.#oldest = node.newer;
    if (node.newer) node.newer.older = node.older;
    else if (this.#newest === node) this.#newest = node.older;
    node.older = node.newer = null;
  }
}
