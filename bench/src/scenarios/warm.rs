//! Invocations one at a time, in a process that is warm.

use std::cell::RefCell;

use serde_json::Value;

use super::{HASH, HELLO, SELECT};
use crate::args::Args;
use crate::event::Event;
use crate::measure::{Plan, Subject, turns};
use crate::report::Report;
use crate::session::Session;
use crate::setting::{Distance, Setting};
use crate::{Result, relay};

/// Measures each scenario that is asked for.
///
/// # Errors
/// A function fails or answers wrongly.
pub(crate) fn run(args: &Args, setting: &Setting, report: &mut Report) -> Result<()> {
    if args.wants("live") {
        let health = Subject::new("GET health/live", "health", Distance::Near, 200, live).against(HELLO, None);
        measure(setting, report, args.plan(), vec![health, floor(HELLO, Distance::Near)])?;
    }
    let wanted = ["list", "create", "session", "login"].iter().any(|name| args.wants(name));
    if setting.database.is_none() || !wanted {
        return Ok(());
    }
    let (given, real) = (args.rtt.as_secs_f64() * 1000.0, relay::measured_rtt(args.rtt, 200)?.as_secs_f64() * 1000.0);
    report.note(&format!("Through the relay a round trip of {given:.2} ms takes {real:.2} ms; the rest is its own."));
    let session = if setting.has("auth") && setting.has("todos") { Some(Session::open(setting)?) } else { None };
    let session = RefCell::new(session);
    // Without a session only the floors run, and no event is asked for.
    let event = |make: fn(&Session) -> Vec<u8>| {
        let session = &session;
        move || session.borrow().as_ref().map(make).unwrap_or_default()
    };
    let (near, away) = (Distance::Near, Distance::Away(args.rtt));
    for name in ["list", "create", "session", "login"].into_iter().filter(|name| args.wants(name)) {
        if let Some(session) = session.borrow_mut().as_mut() {
            session.renew(setting)?;
        }
        let todos = |label, distance, status, make| Subject::new(label, "todos", distance, status, event(make));
        let (plan, mut subjects) = match name {
            "list" => (
                args.plan(),
                vec![
                    todos("GET todos", near, 200, Session::list).against(SELECT, Some(2.0)),
                    floor(SELECT, near),
                    todos("GET todos", away, 200, Session::list).against(SELECT, Some(1.25)).in_trips(1),
                    floor(SELECT, away),
                ],
            ),
            "create" => (
                args.plan(),
                vec![
                    todos("POST todos", near, 201, Session::create).against(SELECT, None),
                    todos("POST todos, keyed", near, 201, Session::create_keyed).against(SELECT, None),
                    floor(SELECT, near),
                    todos("POST todos", away, 201, Session::create).against(SELECT, None).in_trips(3),
                    todos("POST todos, keyed", away, 201, Session::create_keyed).against(SELECT, None),
                    floor(SELECT, away),
                ],
            ),
            "session" => {
                let auth = |label, distance, make| Subject::new(label, "auth", distance, 200, event(make));
                let keep = |answer: &Value| {
                    if let Some(session) = session.borrow().as_ref() {
                        session.answered(answer);
                    }
                };
                let refresh = |distance| auth("POST refresh", distance, Session::refresh).answered(keep);
                let subjects = vec![
                    auth("GET me", near, Session::me).against(SELECT, None),
                    auth("POST introspect", near, Session::introspect).against(SELECT, None),
                    refresh(near).against(SELECT, None),
                    floor(SELECT, near),
                    auth("GET me", away, Session::me).against(SELECT, Some(1.25)).in_trips(3),
                    auth("POST introspect", away, Session::introspect).against(SELECT, None),
                    refresh(away).against(SELECT, None),
                    floor(SELECT, away),
                ];
                (args.plan(), subjects)
            }
            _ => {
                let login = |distance| Subject::new("POST login", "auth", distance, 200, event(Session::login));
                let subjects = vec![login(near).against(HASH, Some(1.1)), floor(HASH, near), login(away)];
                (args.slow_plan(), subjects)
            }
        };
        if session.borrow().is_none() {
            subjects.retain(|subject| subject.floor.is_none() && subject.function != "auth");
        }
        measure(setting, report, plan, subjects)?;
    }
    Ok(())
}

fn measure(setting: &Setting, report: &mut Report, plan: Plan, mut subjects: Vec<Subject<'_>>) -> Result<()> {
    subjects.retain(|subject| setting.has(subject.function));
    let rows = turns(setting, &subjects, plan)?;
    report.turns(&subjects, &rows);
    Ok(())
}

fn floor(function: &'static str, distance: Distance) -> Subject<'static> {
    Subject::new("floor", function, distance, 200, live)
}

fn live() -> Vec<u8> {
    Event::new("GET", "/api/v1/health/live").to_bytes()
}
