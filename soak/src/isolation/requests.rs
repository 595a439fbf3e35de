//! Requests that are sent several at a time: of as many tenants, so that the
//! order does not matter.

use futures_util::future::join_all;
use shared::{access::Route, audit::Action, testing::Answer};

use super::{
    answers, arguments,
    plan::{Planned, Wish, plan},
    world::World,
};
use crate::Result;

/// A costly route comes once in so many times that it is chosen.
const SELDOM: usize = 200;

/// Sends so many requests at once, and judges what comes of them.
///
/// # Errors
/// A [`super::world::Leak`], or an answer that none of these requests may get.
pub(super) async fn send(world: &mut World, at_once: usize) -> Result<()> {
    let mut planned: Vec<Planned> = Vec::new();
    let first = world.chance.below(world.peopled());
    for number in 0..at_once {
        let caller = (first + number) % world.peopled();
        let (function, route) = choose(world, &planned);
        planned.push(plan(world, (function, route), caller, Wish::Any).await?);
    }
    let functions = &world.functions;
    let answers = join_all(planned.iter().map(|planned| async {
        let mut answers = Vec::new();
        for (event, patience) in &planned.events {
            let answering = functions[planned.sent.function].send(event.clone());
            let answer = match patience {
                Some(patience) => tokio::time::timeout(*patience, answering).await.ok(),
                None => Some(answering.await),
            };
            let is_over = answer.is_none();
            answers.push(answer);
            if is_over {
                break;
            }
        }
        answers
    }));
    let answers: Vec<Vec<Option<Answer>>> = answers.await;
    for (planned, answers) in planned.into_iter().zip(answers) {
        answers::judge(world, planned, answers).await?;
    }
    Ok(())
}

/// Sends one request of this tenant to this route.
///
/// # Errors
/// As [`send`].
pub(super) async fn send_one(world: &mut World, route: (usize, Route), caller: usize, wish: Wish) -> Result<()> {
    let mut planned = plan(world, route, caller, wish).await?;
    let mut answers = Vec::new();
    for (event, patience) in &mut planned.events {
        *patience = None;
        answers.push(Some(world.functions[planned.sent.function].send(event.clone()).await));
    }
    answers::judge(world, planned, answers).await
}

/// A route, the likelier the more it weighs. What has one place in the world
/// comes once at a time.
fn choose(world: &mut World, planned: &[Planned]) -> (usize, Route) {
    let is_alone = |action| matches!(action, Action::AuthSignup | Action::AuthOidcLogin);
    loop {
        let mut left = world.chance.below(world.weights());
        for (function, of) in world.functions.iter().enumerate() {
            let Some(route) = of.routes().iter().find(|route| {
                let weight = arguments::weight(route);
                let is_it = left < weight;
                left = left.saturating_sub(weight);
                is_it
            }) else {
                continue;
            };
            let route = route.clone();
            let again = arguments::is_costly(route.action) && world.chance.below(SELDOM) > 0
                || is_alone(route.action) && planned.iter().any(|other| other.sent.route.action == route.action);
            if !again {
                return (function, route);
            }
            break;
        }
    }
}
