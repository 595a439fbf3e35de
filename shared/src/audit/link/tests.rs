//! L1 for what `GET /audit/verify`, the signing of checkpoints and the retention
//! read: a chain of 10,000, and everything that can be done to a row of it.

use audit_verify::NOTHING;

use super::*;

const LENGTH: i64 = 10_000;

/// The record of this seq after the one with the hash `prev`.
fn link(seq: i64, prev: &[u8]) -> Link {
    let id = |kind: i64| Uuid::from_u64_pair(0x0193_9f6e_7d2a_7000, (seq * 8 + kind).unsigned_abs());
    let some = |there: bool, text: String| there.then_some(text);
    let version = if seq % 5 == 0 { 1 } else { 2 };
    let mut link = Link {
        version,
        tenant_id: Uuid::from_u64_pair(0x0193_9f6e_7d2a_7000, 1),
        seq,
        at_micros: Some(1_763_000_000_000_000 + seq * 1_001),
        action: if seq % 3 == 0 { "auth.login" } else { "todos.update" }.to_owned(),
        outcome: if seq % 7 == 0 { "denied" } else { "success" }.to_owned(),
        reason: some(seq % 7 == 0, "AUTH_007".to_owned()),
        actor_id: (seq % 11 != 0).then(|| id(1)),
        session_id: (seq % 11 != 0).then(|| id(2)),
        object_id: (seq % 4 != 0).then(|| id(3)),
        source_address: some(seq % 13 != 0, "203.0.113.7".to_owned()),
        request_id: some(seq % 17 != 0, format!("trace-{seq}")),
        details: some(version == 2 && seq % 2 == 0, format!("{{\"sessions_ended\":{seq}}}")),
        prev_hash: prev.to_vec(),
        hash: Vec::new(),
    };
    rehash(&mut link);
    link
}

/// Gives a record the hash that it would have had.
fn rehash(link: &mut Link) {
    let mut buffers = [[0; Hyphenated::LENGTH]; 4];
    let hash = link.form(&mut buffers).recomputed(&mut Vec::new()).unwrap();
    link.hash = hash.to_vec();
}

fn chain() -> Vec<Link> {
    let mut prev = NOTHING.to_vec();
    let grow = |seq| {
        let link = link(seq, &prev);
        prev.clone_from(&link.hash);
        link
    };
    (1..=LENGTH).map(grow).collect()
}

/// Every place of the chain, with what goes before it, checked.
fn each(links: &[Link], mut each: impl FnMut(usize, &Link, &Chain)) {
    let mut before = Chain::start();
    for (place, link) in links.iter().enumerate() {
        each(place, link, &before);
        link.follow(&mut before).unwrap();
    }
}

/// The first bad seq of these records after what goes before them.
fn bad<'a>(before: &Chain, links: impl IntoIterator<Item = &'a Link>) -> Option<i64> {
    let mut chain = before.clone();
    links.into_iter().find_map(|link| link.follow(&mut chain).err()).map(|BadSeq(seq)| seq)
}

fn other(text: Option<&String>) -> String {
    text.map_or_else(String::new, |text| format!("{text} "))
}

fn other_id(id: Option<Uuid>) -> Option<Uuid> {
    if id.is_some() { None } else { Some(Uuid::nil()) }
}

#[test]
fn l1_every_edit_of_every_column_of_every_row_is_found_at_it() {
    let mut edits = 0;
    each(&chain(), |_, link, before| {
        let columns: [fn(&mut Link); 20] = [
            |link| link.version = 3 - link.version,
            |link| link.version = 3,
            |link| link.tenant_id = Uuid::nil(),
            |link| link.seq += 1,
            |link| link.seq = i64::MAX,
            |link| link.at_micros = link.at_micros.map(|at| at + 1),
            |link| link.at_micros = None,
            |link| link.action.push('s'),
            |link| link.outcome = "failure".to_owned(),
            |link| link.reason = Some(other(link.reason.as_ref())),
            |link| link.actor_id = other_id(link.actor_id),
            |link| link.session_id = other_id(link.session_id),
            |link| link.object_id = other_id(link.object_id),
            |link| link.source_address = Some(other(link.source_address.as_ref())),
            |link| link.request_id = Some(other(link.request_id.as_ref())),
            |link| link.details = Some(format!("{}{{}}", link.details.as_deref().unwrap_or_default())),
            |link| link.prev_hash[31] ^= 1,
            |link| link.hash[0] ^= 1,
            |link| link.hash.push(0),
            |link| link.hash.truncate(31),
        ];
        for change in columns {
            let mut changed = self::link(link.seq, &link.prev_hash);
            change(&mut changed);
            assert_eq!(bad(before, [&changed]), Some(link.seq), "{changed:?}");
            edits += 1;
        }
    });
    assert_eq!(edits, 20 * LENGTH);
}

#[test]
fn l1_every_row_that_is_deleted_doubled_swapped_inserted_or_made_anew_is_found() {
    let links = chain();
    each(&links, |place, link, before| {
        let mut anew = self::link(link.seq, &link.prev_hash);
        anew.action.push('s');
        rehash(&mut anew);
        assert_eq!(bad(before, [link, link]), Some(link.seq), "doubled");
        // It is good in itself: what was recorded in its place comes after it.
        assert_eq!(bad(before, [&anew, link]), Some(link.seq), "inserted");
        let Some(next) = links.get(place + 1) else { return };
        assert_eq!(bad(before, [next]), Some(link.seq), "deleted");
        assert_eq!(bad(before, [next, link]), Some(link.seq), "swapped");
        assert_eq!(bad(before, [&anew, next]), Some(next.seq), "made anew");
        let far = &links[(place + 4_999) % links.len()];
        assert_eq!(bad(before, [far]), Some(link.seq.min(far.seq)), "swapped with another far away");
    });
}
