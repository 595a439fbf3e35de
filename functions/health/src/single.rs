//! `GET /api/v1/health/{live,ready,database,secrets,cache}`

use axum::extract::State;

use crate::{
    Health,
    check::{Check, Status},
};

/// The process answers; nothing is touched.
pub(crate) async fn live() -> Check {
    Check::HEALTHY
}

/// Requests can be served: database and secrets can be had.
pub(crate) async fn ready(State(health): State<Health>) -> Check {
    let (database, secrets) = tokio::join!(health.database(), health.secrets());
    if database.status == Status::Healthy { secrets } else { database }
}

/// The database answers.
pub(crate) async fn database(State(health): State<Health>) -> Check {
    health.database().await
}

/// Secrets Manager answers.
pub(crate) async fn secrets(State(health): State<Health>) -> Check {
    health.secrets().await
}

/// No cache is configured in this version.
pub(crate) async fn cache() -> Check {
    Check::DISABLED
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Instant};

    use http::Method;
    use serde_json::json;
    use shared::testing::{ClosedPort, Event, TestApp};

    use crate::trial::{connections, start_with};

    fn path(check: &str) -> String {
        format!("/api/v1/health/{check}")
    }

    #[tokio::test]
    async fn every_check_is_healthy_and_quick_where_nothing_is_wrong() {
        let app = TestApp::start(crate::routes()).await;
        for (check, status, measured) in [
            ("live", "healthy", false),
            ("ready", "healthy", true),
            ("database", "healthy", true),
            ("secrets", "healthy", true),
            ("cache", "disabled", false),
        ] {
            let answer = app.send(Event::get(&path(check))).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!(status)), "{check}");
            assert_eq!(answer.json()["latency_ms"].is_number(), measured, "{check}");
            let mut durations_ms = Vec::new();
            for _ in 0..5 {
                let again = app.send(Event::get(&path(check))).await;
                durations_ms.push(again.request_line()["duration_ms"].as_f64().unwrap());
            }
            let best_ms = durations_ms.into_iter().fold(f64::MAX, f64::min);
            assert!(best_ms < 100.0, "{check}: {best_ms} ms");
        }
    }

    #[tokio::test]
    async fn live_touches_nothing() {
        let app = start_with(&[("DATABASE_SECRET_ID", "absent")]).await;
        let answer = app.send(Event::get(&path("live"))).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "healthy" })));
        assert_eq!(answer.log.len(), 1, "only the request's own line: {:?}", answer.log);
        assert_eq!(connections(&app).await, 0);
        let app = TestApp::start(crate::routes()).await;
        for check in ["live", "cache", "secrets"] {
            app.send(Event::get(&path(check))).await;
            assert_eq!(connections(&app).await, 0, "{check}");
        }
        app.send(Event::get(&path("database"))).await;
        assert_eq!(connections(&app).await, 1);
    }

    #[tokio::test]
    async fn a_database_that_is_gone_is_told_without_a_cause() {
        let closed = ClosedPort::take();
        let port = closed.address().port().to_string();
        let app = start_with(&[("DATABASE_PORT", &port)]).await;
        for (check, status) in [("database", 503), ("ready", 503), ("secrets", 200), ("live", 200)] {
            let answer = app.send(Event::get(&path(check))).await;
            assert_eq!(answer.status, status, "{check}");
            let body = String::from_utf8(answer.bytes.to_vec()).unwrap();
            assert!(!body.contains(&port) && !body.contains("127.0.0.1") && !body.contains("refused"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_database_that_hangs_is_given_up_within_two_seconds() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port().to_string();
        let app = start_with(&[("DATABASE_PORT", &port)]).await;
        for check in ["database", "ready"] {
            let start = Instant::now();
            let answer = app.send(Event::get(&path(check))).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (503, &json!("unhealthy")));
            assert!(start.elapsed().as_secs_f64() < 2.2, "{check}: {:?}", start.elapsed());
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_missing_is_told_without_its_name() {
        let app = start_with(&[("DATABASE_SECRET_ID", "absent")]).await;
        for check in ["secrets", "database", "ready"] {
            let answer = app.send(Event::get(&path(check))).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (503, &json!("unhealthy")), "{check}");
            assert!(!String::from_utf8_lossy(&answer.bytes).contains("absent"), "{check}");
        }
        app.secrets.set("absent", json!({ "username": "tenantry_runtime", "password": "wrong" }).to_string());
        let answer = app.send(Event::get(&path("database"))).await;
        assert_eq!(answer.status, 503);
        assert!(!format!("{:?}{:?}", answer.bytes, answer.log).contains("wrong"), "{:?}", answer.log);
    }

    #[tokio::test]
    async fn it_is_healthy_again_as_soon_as_what_it_asks_is() {
        let app = TestApp::start(crate::routes()).await;
        assert_eq!(app.send(Event::get(&path("ready"))).await.status, 200);
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tenantry_runtime'
                       AND datname = current_database()";
        sqlx::query(kill).execute(&mut app.superuser().await).await.unwrap();
        assert_eq!(app.send(Event::get(&path("ready"))).await.status, 200, "a dead connection is replaced");
    }

    #[tokio::test]
    async fn what_no_function_serves_is_answered_in_our_form() {
        let app = TestApp::start(crate::routes()).await;
        for target in ["/", "/api/v1", "/api/v1/nothing", "/api/v1/health/nothing", "/api/v1/health/", "/%00", "/a//b"]
        {
            let answer = app.send(Event::get(target).header("x-request-id", "mine")).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (404, "REQ_005"), "{target}");
            assert_eq!((answer.header("x-request-id"), answer.header("api-version")), ("mine", "1"));
            assert_eq!(answer.json()["error"]["request_id"], "mine");
        }
        assert_eq!(app.send(Event::from_file("unknown-path")).await.code(), "REQ_005");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = app.send(Event::new(&method, &path("live"))).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (405, "REQ_004"), "{method}");
            assert_eq!(answer.header("allow"), "GET,HEAD");
        }
        let head = app.send(Event::new(&Method::HEAD, &path("live"))).await;
        assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
    }
}
