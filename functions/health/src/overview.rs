//! `GET /api/v1/health`

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use shared::extract::Json;

use crate::{
    Health,
    check::{Check, Status},
};

#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    status: Status,
    version: &'static str,
    checks: Checks,
}

#[derive(Debug, Serialize)]
struct Checks {
    database: Check,
    secrets: Check,
    cache: Check,
}

/// All checks at once.
pub(crate) async fn overview(State(health): State<Health>) -> (StatusCode, Json<Overview>) {
    let (database, secrets) = tokio::join!(health.database(), health.secrets());
    let healthy = database.status == Status::Healthy && secrets.status == Status::Healthy;
    let status = if healthy { Status::Healthy } else { Status::Unhealthy };
    let checks = Checks { database, secrets, cache: Check::DISABLED };
    (status.code(), Json(Overview { status, version: env!("CARGO_PKG_VERSION"), checks }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::testing::{ClosedPort, Event, TestApp};

    use crate::trial::start_with;

    const PATH: &str = "/api/v1/health";

    #[tokio::test]
    async fn a_healthy_function_says_so_of_every_part() {
        let app = TestApp::start(crate::routes()).await;
        let answer = app.send(Event::get(PATH)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.log);
        insta::assert_json_snapshot!(answer.json(), { ".version" => "[version]", ".**.latency_ms" => "[ms]" }, @r#"
        {
          "checks": {
            "cache": {
              "status": "disabled"
            },
            "database": {
              "latency_ms": "[ms]",
              "status": "healthy"
            },
            "secrets": {
              "latency_ms": "[ms]",
              "status": "healthy"
            }
          },
          "status": "healthy",
          "version": "[version]"
        }
        "#);
        assert_eq!(answer.json()["version"], env!("CARGO_PKG_VERSION"));
    }

    #[tokio::test]
    async fn one_unhealthy_part_makes_the_whole_unhealthy_and_nothing_is_told_of_it() {
        let closed = ClosedPort::take();
        let app = start_with(&[("DATABASE_PORT", &closed.address().port().to_string())]).await;
        let answer = app.send(Event::get(PATH)).await;
        assert_eq!(answer.status, 503);
        let body = answer.json();
        assert_eq!((&body["status"], &body["checks"]["secrets"]["status"]), (&json!("unhealthy"), &json!("healthy")));
        let database = body["checks"]["database"].as_object().unwrap();
        assert_eq!(database["status"], "unhealthy");
        assert_eq!(database.keys().collect::<Vec<_>>(), ["latency_ms", "status"]);
        assert!(answer.log.iter().any(|line| line["check"] == "database" && line["cause"].is_string()));
    }
}
