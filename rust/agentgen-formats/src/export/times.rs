//! When each turn of a bundle is sent, if responses take no time.

use super::bundle::{Bundle, Member};
use crate::convert::tenths;

/// Sets the times of all turns. A recorded time stays as it is.
pub(crate) fn plan(bundle: &mut Bundle) {
    if let Some(head) = bundle.members.first() {
        let arrival = head.session.turns[0].timestamp_ms.unwrap_or(0.0);
        line(bundle, 0, tenths(arrival));
    }
    for member in &mut bundle.members {
        // A member that its parent never starts.
        member.times.resize(member.session.turns.len(), member.times.last().copied().unwrap_or(0.0));
    }
}

/// Sets the times of a session that begins at `start`, of the breaks after it and of their sub-agents, in tenths of a
/// millisecond; returns when its last turn is sent.
fn line(bundle: &mut Bundle, first: usize, start: f64) -> f64 {
    let (mut at, mut now) = (first, start);
    loop {
        let agents: Vec<_> = bundle.agents_of(at).collect();
        let mut joins: Vec<(usize, f64)> = Vec::new();
        let joined = |joins: &[(usize, f64)], turn: usize, now: f64| {
            joins.iter().filter(|(join, _)| *join == turn).fold(now, |now, (_, end)| now.max(*end))
        };
        let turns = bundle.members[at].turns();
        for turn in 0..turns {
            let member = &mut bundle.members[at];
            if turn > 0 {
                now = joined(&joins, turn, now) + tenths(member.delay_ms(turn));
            }
            if let Some(recorded) = member.session.turns[turn].timestamp_ms {
                now = tenths(recorded);
            }
            member.times.push(now / 10.0);
            for (agent, _, join) in agents.iter().filter(|(_, parent_turn, _)| *parent_turn as usize == turn) {
                let delay = tenths(bundle.members[*agent].delay_ms(0));
                let end = line(bundle, *agent, now + delay);
                joins.extend(join.map(|join| (join as usize, end)));
            }
        }
        let Some(next) = bundle.break_of(at) else { return now };
        now = joined(&joins, turns, now) + tenths(Member::delay_ms(&bundle.members[next], 0));
        at = next;
    }
}
