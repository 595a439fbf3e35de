//! What the lists and the trail are asked for: one's own, and what is another's.

use shared::audit::Action;
use uuid::Uuid;

use super::world::World;

/// What a query is made of.
pub(super) struct Asked {
    pub(super) action: Action,
    pub(super) path: &'static str,
    pub(super) caller: usize,
    pub(super) other: usize,
}

/// The query of a GET without an id; none where nothing is asked for.
pub(super) fn query(world: &mut World, asked: &Asked) -> Option<String> {
    let other = &world.tenants[asked.other];
    let cursor = other.cursors.iter().find(|(path, _)| *path == asked.path).map(|(_, cursor)| cursor.clone());
    match (world.chance.below(8), cursor) {
        (0, Some(cursor)) => Some(format!("cursor={cursor}")),
        (1, _) => Some(format!("tenant_id={}", world.tenants[asked.other].id)),
        (2, _) => Some("limit=2".to_owned()),
        (3, _) => None,
        _ => own_to_the_route(world, asked),
    }
}

fn own_to_the_route(world: &mut World, &Asked { action, caller, other, .. }: &Asked) -> Option<String> {
    let which = world.chance.below(6);
    let (mine, theirs) = (&world.tenants[caller], &world.tenants[other]);
    let (member, stranger) = (&mine.members[0], &theirs.members[0]);
    match action {
        // What every marker begins with, one marker, an address and a name that are another's.
        Action::UsersList => Some(match which {
            0 => format!("q={}", theirs.marker),
            1 => format!("q={}%40example.com", stranger.user.simple()),
            2 => "q=user-&role=viewer".to_owned(),
            3 => "status=inactive".to_owned(),
            _ => "q=mk&limit=100".to_owned(),
        }),
        Action::AuditEvents => Some(match which {
            0 => format!("actor={}", stranger.user),
            1 => format!("object={}&outcome=failure", object(world, other)),
            2 => format!("actor={}&limit=5", member.user),
            3 => "from=2020-01-01T00%3A00%3A00Z&to=2099-01-01T00%3A00%3A00Z&limit=100".to_owned(),
            4 => "action=users.create".to_owned(),
            _ => "outcome=denied".to_owned(),
        }),
        // Mostly the end of the trail, which is long: the whole of it comes seldom.
        Action::AuditVerify | Action::AuditExport => {
            let whole = world.chance.below(40) == 0;
            let (near, back) = (world.tenants[caller].head_seq, world.chance.below(100));
            let from = near.saturating_sub(i64::try_from(back).unwrap_or_default()).max(1);
            (!whole).then(|| format!("from_seq={from}"))
        }
        _ => Some("limit=2".to_owned()),
    }
}

/// Something of that tenant's, by its id.
fn object(world: &mut World, tenant: usize) -> Uuid {
    let things = world.things.get("/api/v1/todos").map(Vec::as_slice).unwrap_or_default();
    let theirs: Vec<Uuid> = things.iter().filter(|thing| thing.tenant == tenant).map(|thing| thing.id).collect();
    let number = world.chance.below(theirs.len());
    theirs.get(number).copied().unwrap_or(world.tenants[tenant].id)
}
