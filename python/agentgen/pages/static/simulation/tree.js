// Chains of blocks as a radix tree: the twin of rust/agentgen-engine/src/kv/tree.rs. Two blocks are the same if all tokens up
// to their ends are.

import { Tokens } from "./tokens.js";

/** Blocks [start, end) of a chain that every chain has whole or not at all. */
class Node {
  constructor(parent, start, end, tokens) {
    this.parent = parent;
    this.start = start;
    this.end = end;
    this.tokens = tokens;
    /** Nodes by the content of their first blocks. */
    this.children = new Map();
    this.key = "";
  }
}

export class Tree {
  constructor(idTokens, blockTokens) {
    this.blockTokens = blockTokens;
    this.root = new Node(null, 0, 0, new Tokens([], idTokens));
  }

  /** How many of the first `limit` blocks of a prompt are in the tree, and the node of the last of them. */
  find(tokens, limit) {
    let [node, blocks] = [this.root, 0];
    for (;;) {
      const next = blocks < limit && node.children.size > 0 && node.children.get(this.#key(tokens, blocks));
      if (!next) return { node, blocks };
      node = next;
      const end = Math.min(node.end, limit);
      const wanted = tokens.slice(node.start * this.blockTokens, end * this.blockTokens);
      blocks = node.start + Math.floor(wanted.common(node.tokens) / this.blockTokens);
      if (blocks < node.end) return { node, blocks };
    }
  }

  /**
   * Makes the first `blocks` blocks of a prompt a chain that ends with a node, and returns that node. `found`: the result
   * of `find` for at least as many blocks. `mayExtend(node)`: whether new blocks may join a leaf that they follow;
   * `split(first, second)` is called for a node that was split.
   */
  grow(found, tokens, blocks, mayExtend, split) {
    let node = found.node;
    while (node.start >= blocks && node.parent) node = node.parent;
    const common = Math.min(found.blocks, blocks);
    if (common < node.end) node = this.#split(node, common, split);
    if (common === blocks) return node;
    const added = tokens.slice(common * this.blockTokens, blocks * this.blockTokens);
    if (node.parent && node.children.size === 0 && mayExtend(node)) {
      node.tokens = node.tokens.concat(added);
      node.end = blocks;
      return node;
    }
    return this.#add(new Node(node, common, blocks, added));
  }

  /** Removes the last `blocks` blocks of a leaf; a node without blocks is removed. */
  shorten(node, blocks) {
    node.end -= blocks;
    if (node.end > node.start) {
      node.tokens = node.tokens.slice(0, (node.end - node.start) * this.blockTokens);
    } else {
      node.parent.children.delete(node.key);
    }
  }

  /** Splits a node at `blocks` blocks from the beginning of its chain; returns the first part. */
  #split(node, blocks, split) {
    const cut = (blocks - node.start) * this.blockTokens;
    const first = this.#add(new Node(node.parent, node.start, blocks, node.tokens.slice(0, cut)));
    node.tokens = node.tokens.slice(cut, node.tokens.length);
    node.start = blocks;
    node.parent = first;
    this.#add(node);
    split(first, node);
    return first;
  }

  /** Adds a node to its parent. */
  #add(node) {
    node.key = this.#key(node.tokens, 0);
    node.parent.children.set(node.key, node);
    return node;
  }

  /** The content of a block. */
  #key(tokens, index) {
    return tokens.slice(index * this.blockTokens, (index + 1) * this.blockTokens).key();
  }
}
