//! What tells one tenant's data from another's: a text that stands in all that
//! it wrote, and every id that it was given.

use std::collections::HashMap;

use uuid::Uuid;

use crate::chance::Chance;

const BEGIN: &str = "mk";
const END: &str = "km";
const DIGITS: usize = 12;
const UUID_LENGTH: usize = 36;

/// Which tenant, by its number, a text or an id belongs to.
#[derive(Default)]
pub(super) struct Markers {
    texts: HashMap<String, usize>,
    ids: HashMap<Uuid, usize>,
}

impl Markers {
    /// A new marker of this tenant: a slug, a name and the local part of an
    /// address as it stands.
    pub(super) fn make(&mut self, tenant: usize, chance: &mut Chance) -> String {
        let digits = chance.below(1 << 24) as u64 * (1 << 24) + chance.below(1 << 24) as u64;
        let marker = format!("{BEGIN}{digits:012x}{END}");
        self.texts.insert(marker.clone(), tenant);
        marker
    }

    /// From now on this id is this tenant's.
    pub(super) fn own(&mut self, id: Uuid, tenant: usize) {
        self.ids.insert(id, tenant);
    }

    /// What of `text` is another tenant's than `tenant`: the first marker or
    /// id, but for ids that `sent`, the request, has itself.
    pub(super) fn foreign(&self, text: &str, tenant: usize, sent: &str) -> Option<String> {
        self.foreign_text(text, tenant).or_else(|| self.foreign_id(text, tenant, sent))
    }

    fn foreign_text(&self, text: &str, tenant: usize) -> Option<String> {
        text.match_indices(BEGIN).find_map(|(at, _)| {
            let marker = text.get(at..at + BEGIN.len() + DIGITS + END.len())?;
            let owner = *self.texts.get(marker)?;
            (owner != tenant).then(|| format!("{marker} of tenant {owner}"))
        })
    }

    fn foreign_id(&self, text: &str, tenant: usize, sent: &str) -> Option<String> {
        text.match_indices('-').find_map(|(dash, _)| {
            let start = dash.checked_sub(8)?;
            let candidate = text.get(start..start + UUID_LENGTH)?;
            let owner = *self.ids.get(&Uuid::try_parse(candidate).ok()?)?;
            (owner != tenant && !sent.contains(candidate)).then(|| format!("{candidate} of tenant {owner}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_or_id_is_found_wherever_it_stands_and_ones_own_is_not() {
        let (mut markers, mut chance) = (Markers::default(), Chance::new(7));
        let (mine, other) = (markers.make(0, &mut chance), markers.make(1, &mut chance));
        let (my_id, other_id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        markers.own(my_id, 0);
        markers.own(other_id, 1);
        assert_eq!(markers.foreign(&format!("mkmk{mine}-{my_id}-{}", Uuid::max()), 0, ""), None);
        assert!(markers.foreign(&format!("ämk{other}"), 0, "").is_some());
        assert!(markers.foreign(&format!("({my_id},{other_id})"), 0, "").is_some());
        assert_eq!(markers.foreign(&format!("/todos/{other_id}"), 0, &format!("GET {other_id}")), None);
        assert!(markers.foreign(&other, 0, &other).is_some(), "a text is nobody's to send");
    }
}
