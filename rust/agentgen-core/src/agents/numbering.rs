//! Numbers the blocks of the sessions of a bundle.

use super::bundle::{Bundle, Link, Member};
use super::stream_ids::{StreamIds, append, repeat_whole_chunks};
use crate::ids::IdSpace;
use crate::layout::Layout;
use crate::turns::Turn;

impl Bundle {
    /// Sets the ids of all members of the tree of `root`; parents stand before their children.
    pub(crate) fn set_ids(&mut self, space: &IdSpace, layout: Layout, root: u64, group: u32) {
        for index in 0..self.members.len() {
            let parent = &self.members[self.members[index].parent];
            let ids = match layout {
                Layout::Incremental => self.incremental_ids(space, root, group, &self.members[index], parent),
                Layout::Cumulative => self.cumulative_ids(space, root, group, &self.members[index], parent),
            };
            self.members[index].ids = ids;
        }
    }

    fn incremental_ids(&self, space: &IdSpace, root: u64, group: u32, member: &Member, parent: &Member) -> StreamIds {
        let block_size = space.block_size();
        let mut leading = Vec::new();
        let mut next = space.region(root, member.number);
        let mut first_blocks = u64::from(self.turns(member)[0].input) / block_size;
        match member.link {
            Link::Root => space.prefix(group, &mut leading),
            Link::SubAgent { kind, .. } => space.kind_prefix(kind, &mut leading),
            Link::Break { kept, .. } => {
                let repeated = (u64::from(kept) / block_size).min(parent.ids.first_blocks);
                append(&parent.ids.leading, parent.ids.next, repeated, &mut leading);
            }
            Link::Restart => {
                first_blocks = parent.ids.first_blocks;
                next = repeat_whole_chunks(space, &parent.ids, self.turns(parent), &mut leading);
            }
        }
        StreamIds { leading, next, tails: 0, first_blocks }
    }

    fn cumulative_ids(&self, space: &IdSpace, root: u64, group: u32, member: &Member, parent: &Member) -> StreamIds {
        let mut leading = Vec::new();
        let next = space.region(root, member.number);
        let mut tails = next + space.own_blocks(member.number);
        match member.link {
            Link::Root => space.prefix(group, &mut leading),
            Link::SubAgent { kind, .. } => space.kind_prefix(kind, &mut leading),
            Link::Break { kept, .. } => {
                append(&parent.ids.leading, parent.ids.next, u64::from(kept) / space.block_size(), &mut leading);
            }
            Link::Restart => {
                leading.clone_from(&parent.ids.leading);
                let is_partial = |turn: &&Turn| !u64::from(turn.context).is_multiple_of(space.block_size());
                tails = parent.ids.tails + self.turns(parent).iter().filter(is_partial).count() as u64;
                return StreamIds { leading, next: parent.ids.next, tails, first_blocks: 0 };
            }
        }
        StreamIds { leading, next, tails, first_blocks: 0 }
    }
}
