//! A JSON object as text, member by member.

use serde_json::Value;

/// A JSON object whose names may stand twice, in any spelling, and whose values
/// may be anything: both are kept as they will stand in the text.
#[derive(Debug, Clone)]
pub(crate) struct Object(Vec<(String, String)>);

impl Object {
    /// The members of `value`.
    pub(crate) fn of(value: &Value) -> Self {
        let members = value.as_object().into_iter().flatten();
        Self(members.map(|(name, value)| (quoted(name), value.to_string())).collect())
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    }

    /// What stands for `name`, as text; `null` where nothing does.
    pub(crate) fn get(&self, name: &str) -> String {
        let found = self.0.iter().find(|(known, _)| *known == quoted(name));
        found.map_or_else(|| "null".to_owned(), |(_, value)| value.clone())
    }

    /// Sets a member, or adds it.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(known, _)| *known == quoted(name)) {
            Some((_, old)) => *old = value.into(),
            None => self.add(name, value),
        }
    }

    /// Adds a member, whether or not it is there.
    pub(crate) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((quoted(name), value.into()));
    }

    /// The same, with the first letter of its name as an escape.
    pub(crate) fn add_escaped(&mut self, name: &str, value: impl Into<String>) {
        let first = name.chars().next().map_or(0, u32::from);
        self.0.push((format!("\"\\u{first:04x}{}\"", name.get(1..).unwrap_or_default()), value.into()));
    }

    /// Removes a member.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| *known != quoted(name));
    }

    /// Turns the order of its members round.
    pub(crate) fn reverse(&mut self) {
        self.0.reverse();
    }
}

/// `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_may_stand_twice_and_its_other_spelling_is_the_same_name() {
        let mut object = Object::of(&json!({ "alg": "ES256", "kid": "k" }));
        assert_eq!(object.text(), r#"{"alg":"ES256","kid":"k"}"#);
        object.add_escaped("alg", r#""none""#);
        assert_eq!(object.text(), r#"{"alg":"ES256","kid":"k","\u0061lg":"none"}"#);
        let read: Value = serde_json::from_str(&object.text()).unwrap();
        assert_eq!(read, json!({ "alg": "none", "kid": "k" }));
        object.remove("alg");
        object.set("kid", "7");
        assert_eq!((object.get("kid"), object.get("typ")), ("7".to_owned(), "null".to_owned()));
    }
}
