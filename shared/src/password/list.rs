//! The list of common passwords, as an automaton that is walked where it lies:
//! nothing to unpack at a cold start. `shared/data/README.md` says where it
//! comes from, under which licences, and what its form is.

/// The list.
pub(super) struct List {
    alphabet: &'static str,
    bytes: &'static [u8],
    pub(super) root: usize,
}

/// One character further.
pub(super) struct Edge {
    /// Where an entry ends with it.
    pub(super) price: Option<u32>,
    /// Where entries go on.
    pub(super) target: Option<usize>,
}

impl List {
    pub(super) fn embedded() -> Self {
        let bytes = include_bytes!("../../data/common-passwords.bin");
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or_default();
        Self { alphabet: str::from_utf8(&bytes[..end]).unwrap_or_default(), bytes, root: end + 1 }
    }

    pub(super) fn edge(&self, state: usize, character: char) -> Option<Edge> {
        let code = self.alphabet.chars().position(|known| known == character)?;
        let mut at = state;
        loop {
            let found = usize::from(self.bytes[at] & 0x7f) == code;
            if self.bytes[at] & 0x80 != 0 {
                return found.then_some(Edge { price: None, target: Some(at + 1) });
            }
            let head = self.bytes[at + 1];
            let more = usize::from(head >> 2 & 3);
            let next = at + 2 + more;
            if found {
                let address = self.bytes[at + 2..next]
                    .iter()
                    .fold(usize::from(head & 3), |address, byte| address << 8 | usize::from(*byte));
                let kind = u32::from(head >> 4 & 7);
                let price = (kind > 0).then_some(10 + 10 * kind);
                let target = if address == 1 { Some(next) } else { Some(address).filter(|address| *address > 0) };
                return Some(Edge { price, target });
            }
            if head & 0x80 != 0 {
                return None;
            }
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_list_has_as_many_entries_as_its_generator_kept() {
        fn count(list: &List, state: usize, counted: &mut HashMap<usize, usize>) -> usize {
            if let Some(entries) = counted.get(&state) {
                return *entries;
            }
            let edges = list.alphabet.chars().filter_map(|character| list.edge(state, character));
            let entries = edges.map(|edge| {
                usize::from(edge.price.is_some()) + edge.target.map_or(0, |target| count(list, target, counted))
            });
            let entries = entries.sum();
            counted.insert(state, entries);
            entries
        }
        let list = List::embedded();
        assert_eq!(count(&list, list.root, &mut HashMap::new()), 59_198);
    }
}
