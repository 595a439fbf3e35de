//! Prints `docs/AUDIT_EVENTS.md` from the catalogue; `make generate` runs it.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use shared::audit::{Action, DetailsKind, Effect};

const HEAD: &str = "# Audit events

<!-- Generated from shared/src/audit by `make generate`; do not edit. -->

What the trail's `action` says, and what a record of it means. [AUDIT](AUDIT.md) tells the rest. The meaning is that of a
success; refused (`denied`, where the caller may not) or failed (`failure`) it did not happen, and `reason` is the
[code](ERROR_CODES.md) that the caller was told. Where a success is *not recorded*, the trail holds refusals only.
`object` is what `object_id` is the id of; a refusal has the id that the path named, if it named one.";

fn main() {
    println!("{HEAD}");
    let mut group = "";
    for action in Action::ALL {
        let (name, entry) = (action.as_str(), action.entry());
        let prefix = name.split('.').next().unwrap_or(name);
        if prefix != group {
            group = prefix;
            println!("\n## {group}\n| action | object | success | meaning |\n|---|---|---|---|");
        }
        let success = match entry.effect {
            Effect::Changes => "recorded",
            Effect::ReadsProtected => "recorded, a protected read",
            Effect::Reads => "not recorded",
        };
        println!("| `{name}` | {} | {success} | {} |", entry.object.as_str(), entry.meaning);
    }
    println!("\n## Details\n");
    println!(
        "Successes of these actions say more, in `details`: numbers, ids and words of closed lists, never a text."
    );
    for kind in DetailsKind::ALL {
        let bearers = Action::ALL.iter().filter(|action| action.entry().details.contains(kind));
        let bearers: Vec<_> = bearers.map(|action| format!("`{}`", action.as_str())).collect();
        if bearers.is_empty() {
            continue;
        }
        println!("\n{}\n\n| field | form | meaning |\n|---|---|---|", bearers.join(", "));
        for (field, meaning, form) in kind.fields() {
            println!("| `{field}` | {form} | {meaning} |");
        }
    }
}
