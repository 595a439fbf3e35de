//! What a rotation needs next, by what stands in the secrets.

use time::{Duration, OffsetDateTime};

use super::set::Rotation;

/// From the publishing of a key to its first signature: readers keep a key set
/// for 10 minutes, and the published one may be cached for 10; one for clocks.
pub(super) const PUBLISHED_FOR: Duration = Duration::minutes(21);
/// From there to the old key's end: signers keep theirs for 5 minutes, the last
/// token lives for 15, and 10 are to spare.
pub(super) const SWITCHED_FOR: Duration = Duration::minutes(30);

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing rotates: a new key is to be made.
    Begin,
    /// The next key was made, but is not published.
    Publish,
    /// Nothing to do until then.
    Wait { then: &'static str, until: OffsetDateTime },
    /// The next key is to sign.
    Switch,
    /// It signs, which is to be noted.
    NoteSwitch,
    /// The old key is to go.
    Retire,
}

/// Where the key is that signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a secret of its own, the private set.
    Secret,
    /// In the public set's secret, as symmetric keys are.
    OneSecret,
    /// In KMS.
    Kms,
}

/// The ids in each set. The private one of KMS is the key that signs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kids<'a> {
    pub(super) private: &'a [&'a str],
    pub(super) public: &'a [&'a str],
    pub(super) place: Place,
}

/// Decides; none where the sets fit no step of a rotation.
pub(super) fn next_step(kids: Kids<'_>, rotation: Option<&Rotation>, now: OffsetDateTime) -> Option<Step> {
    let due = |since: OffsetDateTime, wait: Duration, step: Step, then: &'static str| {
        let until = since + wait;
        if now < until { Step::Wait { then, until } } else { step }
    };
    let Some(Rotation { next, published_at, switched_at, .. }) = rotation else {
        return match (kids.private, kids.public) {
            ([old], [same]) if old == same => Some(Step::Begin),
            ([old, _next], [same]) if old == same && kids.place == Place::Secret => Some(Step::Publish),
            _ => None,
        };
    };
    let [one, two] = kids.public else { return None };
    let to_switch = || Some(due(*published_at, PUBLISHED_FOR, Step::Switch, "switch"));
    let to_retire = |since: &OffsetDateTime| Some(due(*since, SWITCHED_FOR, Step::Retire, "retire"));
    match (kids.private, switched_at, kids.place) {
        ([_, _], None, Place::Secret | Place::OneSecret) if kids.private == kids.public && two == next => to_switch(),
        ([signs], None, Place::Kms) if signs == one && two == next => to_switch(),
        ([signs], None, Place::Secret | Place::Kms) if signs == next && two == next => Some(Step::NoteSwitch),
        ([signs], Some(since), Place::Secret | Place::Kms) if signs == next && two == next => to_retire(since),
        (_, Some(since), Place::OneSecret) if one == next => to_retire(since),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 10:00 UTC);

    fn rotation(published_minutes: i64, switched_minutes: Option<i64>) -> Rotation {
        let ago = |minutes| NOW - Duration::minutes(minutes);
        Rotation {
            next: "B".to_owned(),
            kms_key_id: None,
            published_at: ago(published_minutes),
            switched_at: switched_minutes.map(ago),
        }
    }

    fn decided(private: &[&str], public: &[&str], rotation: Option<&Rotation>, place: Place) -> Option<Step> {
        next_step(Kids { private, public, place }, rotation, NOW)
    }

    #[test]
    fn each_state_has_its_step_and_half_written_ones_too() {
        let wait = |then, minutes| Some(Step::Wait { then, until: NOW + Duration::minutes(minutes) });
        for (private, public, rotation, expected) in [
            (&["A"][..], &["A"][..], None, Some(Step::Begin)),
            (&["A", "B"], &["A"], None, Some(Step::Publish)),
            (&["A", "B"], &["A", "B"], Some(rotation(20, None)), wait("switch", 1)),
            (&["A", "B"], &["A", "B"], Some(rotation(21, None)), Some(Step::Switch)),
            (&["B"], &["A", "B"], Some(rotation(21, None)), Some(Step::NoteSwitch)),
            (&["B"], &["A", "B"], Some(rotation(50, Some(29))), wait("retire", 1)),
            (&["B"], &["A", "B"], Some(rotation(51, Some(30))), Some(Step::Retire)),
        ] {
            assert_eq!(
                decided(private, public, rotation.as_ref(), Place::Secret),
                expected,
                "{private:?} {public:?} {rotation:?}"
            );
        }
        for (both, rotation, expected) in [
            (&["A"][..], None, Some(Step::Begin)),
            (&["A", "B"], Some(rotation(20, None)), wait("switch", 1)),
            (&["A", "B"], Some(rotation(21, None)), Some(Step::Switch)),
            (&["B", "A"], Some(rotation(50, Some(29))), wait("retire", 1)),
            (&["B", "A"], Some(rotation(51, Some(30))), Some(Step::Retire)),
        ] {
            assert_eq!(decided(both, both, rotation.as_ref(), Place::OneSecret), expected, "{both:?} {rotation:?}");
        }
    }

    #[test]
    fn a_key_in_kms_signs_until_another_one_does() {
        let wait = |then, minutes| Some(Step::Wait { then, until: NOW + Duration::minutes(minutes) });
        for (signs, public, rotation, expected) in [
            ("A", &["A"][..], None, Some(Step::Begin)),
            ("A", &["A", "B"], Some(rotation(20, None)), wait("switch", 1)),
            ("A", &["A", "B"], Some(rotation(21, None)), Some(Step::Switch)),
            ("B", &["A", "B"], Some(rotation(21, None)), Some(Step::NoteSwitch)),
            ("B", &["A", "B"], Some(rotation(50, Some(29))), wait("retire", 1)),
            ("B", &["A", "B"], Some(rotation(51, Some(30))), Some(Step::Retire)),
            ("C", &["A", "B"], Some(rotation(51, Some(30))), None),
            ("A", &["A", "B"], Some(rotation(51, Some(30))), None),
            ("B", &["A"], None, None),
        ] {
            let decided = decided(&[signs], public, rotation.as_ref(), Place::Kms);
            assert_eq!(decided, expected, "{signs} {public:?} {rotation:?}");
        }
    }

    #[test]
    fn what_fits_no_step_is_not_guessed_at() {
        for (private, public, rotation, place) in [
            (&["A"][..], &["B"][..], None, Place::Secret),
            (&["A"], &["A", "B"], None, Place::Secret),
            (&["A", "B"], &["B"], None, Place::Secret),
            (&["A", "B"], &["A", "B"], None, Place::Secret),
            (&["A", "B", "C"], &["A"], None, Place::Secret),
            (&["A"], &["A", "B"], Some(rotation(99, None)), Place::Secret),
            (&["A", "B"], &["B", "A"], Some(rotation(99, None)), Place::Secret),
            (&["A", "C"], &["A", "C"], Some(rotation(99, None)), Place::Secret),
            (&["A", "B"], &["A", "B"], Some(rotation(99, Some(50))), Place::Secret),
            (&["B"], &["B"], Some(rotation(99, Some(50))), Place::Secret),
            (&["A", "B"], &["A", "B"], None, Place::OneSecret),
            (&["B", "A"], &["B", "A"], Some(rotation(99, None)), Place::OneSecret),
            (&["A", "B"], &["A", "B"], Some(rotation(99, Some(50))), Place::OneSecret),
        ] {
            assert_eq!(decided(private, public, rotation.as_ref(), place), None, "{private:?} {public:?} {rotation:?}");
        }
    }
}
