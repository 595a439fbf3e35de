//! What a record says beyond who, what, on which thing and with which outcome.

use serde::Serialize;
use uuid::Uuid;

use super::{Action, LogoutScope, ProviderField, TodoField, UserField};
use crate::auth::Role;

/// What may stand in a record's details: numbers, ids and words of closed
/// lists. Text does not, whoever wrote it: what a caller sent may be personal,
/// and a trail is never cleaned of it.
///
/// ```
/// fn may_be_recorded<T: shared::audit::Detail>() {}
/// may_be_recorded::<Option<u32>>();
/// ```
/// ```compile_fail
/// fn may_be_recorded<T: shared::audit::Detail>() {}
/// may_be_recorded::<Option<String>>();
/// ```
pub trait Detail: Serialize {
    /// Its form, for the documentation.
    fn form() -> String;
}

impl Detail for u32 {
    fn form() -> String {
        "number".into()
    }
}

impl Detail for u64 {
    fn form() -> String {
        "number".into()
    }
}

impl Detail for Uuid {
    fn form() -> String {
        "id".into()
    }
}

impl Detail for Role {
    fn form() -> String {
        "`viewer`, `analyst`, `admin`".into()
    }
}

impl<T: Detail> Detail for Option<T> {
    fn form() -> String {
        format!("{}, or null", T::form())
    }
}

impl<T: Detail> Detail for Vec<T> {
    fn form() -> String {
        format!("list of {}", T::form())
    }
}

macro_rules! details {
    ($($(#[doc = $doc:literal])+ $kind:ident { $($(#[doc = $of_field:literal])+ $field:ident: $type:ty,)* })*) => {
        /// The details of a record, as they are written: compact JSON, the
        /// fields in this order.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Details {
            $($(#[doc = $doc])+ $kind { $($(#[doc = $of_field])+ $field: $type,)* },)*
        }

        /// The kinds of [`Details`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DetailsKind {
            $($(#[doc = $doc])+ $kind,)*
        }

        impl Details {
            /// Which of them it is.
            #[must_use]
            pub const fn kind(&self) -> DetailsKind {
                match self { $(Self::$kind { .. } => DetailsKind::$kind),* }
            }
        }

        impl DetailsKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its fields in order, each with its name, meaning and form.
            #[must_use]
            pub fn fields(self) -> Vec<(&'static str, &'static str, String)> {
                match self {
                    $(Self::$kind => vec![
                        $((stringify!($field), concat!($($of_field),+).trim_start(), <$type as Detail>::form()),)*
                    ],)*
                }
            }
        }
    };
}

details! {
    /// Sessions ended with it.
    SessionsEnded {
        /// How many sessions it ended.
        sessions_ended: u32,
    }

    /// A sign-out.
    LoggedOut {
        /// Which sessions were to end: this one, the others, all.
        scope: LogoutScope,
        /// How many it ended.
        sessions_ended: u32,
    }

    /// A provider was changed.
    ProviderChanged {
        /// The fields that the request named; what stands in them is not recorded.
        fields: Vec<ProviderField>,
    }

    /// Records were taken out.
    TrailExported {
        /// The first record asked for.
        from_seq: u64,
        /// How many were given.
        records: u32,
    }

    /// A todo was changed.
    TodoChanged {
        /// The fields that the request named; what stands in them is not recorded.
        fields: Vec<TodoField>,
    }

    /// A user was changed, and its role with it or not.
    UserChanged {
        /// The fields that the request named; what stands in them is not recorded.
        fields: Vec<UserField>,
        /// The role before, where it changed.
        role_from: Option<Role>,
        /// The role from now on, where it changed.
        role_to: Option<Role>,
        /// How many sessions it ended.
        sessions_ended: u32,
    }
}

impl Details {
    /// The text that is recorded and hashed.
    ///
    /// # Panics
    /// In debug builds, where the catalogue does not name them for `action`.
    #[must_use]
    pub fn text_for(&self, action: Action) -> String {
        debug_assert!(action.entry().details.contains(&self.kind()), "{action:?} is not catalogued with {self:?}");
        serde_json::to_string(self).expect("numbers, ids and words have a JSON form")
    }
}

/// The fields that a request gave, of those that it may give.
#[must_use]
pub fn given<T: Copy>(fields: &[(T, bool)]) -> Vec<T> {
    fields.iter().filter(|(_, given)| *given).map(|(field, _)| *field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_one_compact_object_of_words_and_numbers_in_their_order() {
        let changed = Details::ProviderChanged { fields: vec![ProviderField::ClientSecret, ProviderField::Status] };
        let text = changed.text_for(Action::IdentityProvidersUpdate);
        assert_eq!(text, r#"{"fields":["client_secret","status"]}"#);
        let out = Details::LoggedOut { scope: LogoutScope::Global, sessions_ended: 3 };
        assert_eq!(out.text_for(Action::AuthLogout), r#"{"scope":"global","sessions_ended":3}"#);
        let demoted = Details::UserChanged {
            fields: vec![UserField::Role],
            role_from: Some(Role::Admin),
            role_to: Some(Role::Viewer),
            sessions_ended: 2,
        };
        assert_eq!(
            serde_json::to_string(&demoted).expect("JSON"),
            r#"{"fields":["role"],"role_from":"admin","role_to":"viewer","sessions_ended":2}"#
        );
    }

    #[test]
    #[should_panic(expected = "not catalogued")]
    fn details_stand_on_the_actions_that_the_catalogue_names() {
        let _ = Details::SessionsEnded { sessions_ended: 1 }.text_for(Action::TodosCreate);
    }

    #[test]
    fn every_action_is_named_once_after_its_group_and_means_something() {
        let mut names: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            let (name, entry) = (action.as_str(), action.entry());
            assert!(name.split('.').count() >= 2 && !name.contains(|c: char| c.is_ascii_uppercase()), "{name}");
            assert!(entry.meaning.ends_with('.') && !entry.meaning.contains('|'), "{name}");
            assert!(entry.records_success() || entry.details.is_empty(), "{name}: nothing is recorded to say them in");
        }
    }
}
