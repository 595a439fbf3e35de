//! One check: what is asked, how long it may take, and what is told of it.

use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use shared::extract::Json;
use tokio::{sync::Mutex, time::timeout};

use crate::Health;

/// No check waits longer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a look at Secrets Manager is good for: the route is public, and
/// each look is a call that is paid for and limited.
const SECRETS_REMEMBERED: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Healthy,
    Unhealthy,
    /// There is nothing to check.
    Disabled,
}

impl Status {
    pub(crate) fn code(self) -> StatusCode {
        if self == Self::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    }
}

/// What a check found: no host, no secret, no cause. The cause is in the log.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Check {
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
}

impl Check {
    pub(crate) const HEALTHY: Self = Self { status: Status::Healthy, latency_ms: None };
    pub(crate) const DISABLED: Self = Self { status: Status::Disabled, latency_ms: None };

    async fn of<E: std::fmt::Debug>(name: &str, attempt: impl Future<Output = Result<(), E>>) -> Self {
        let start = Instant::now();
        let status = match timeout(TIMEOUT, attempt).await {
            Ok(Ok(())) => Status::Healthy,
            Ok(Err(cause)) => {
                tracing::warn!(check = name, ?cause, "unhealthy");
                Status::Unhealthy
            }
            Err(_) => {
                tracing::warn!(check = name, cause = "timed out", "unhealthy");
                Status::Unhealthy
            }
        };
        Self { status, latency_ms: Some((start.elapsed().as_secs_f64() * 1e4).round() / 10.0) }
    }
}

impl IntoResponse for Check {
    fn into_response(self) -> Response {
        (self.status.code(), Json(self)).into_response()
    }
}

/// A check's last outcome, and when it was had.
pub(crate) type Remembered = Mutex<Option<(Instant, Check)>>;

impl Health {
    pub(crate) async fn database(&self) -> Check {
        Check::of("database", self.db.ping()).await
    }

    pub(crate) async fn secrets(&self) -> Check {
        let asked_at = Instant::now();
        // Held during the look: those who come meanwhile get its outcome.
        let mut last = self.last_secrets_check.lock().await;
        if let Some((at, check)) = *last
            && (at >= asked_at || (check.status == Status::Healthy && at.elapsed() < SECRETS_REMEMBERED))
        {
            return check;
        }
        let check = Check::of("secrets", self.secret_is_there()).await;
        *last = Some((Instant::now(), check));
        check
    }

    async fn secret_is_there(&self) -> Result<(), shared::config::Faults> {
        let secrets = self.secrets.read(&[&self.secret_id]).await?;
        let mut faults = shared::config::Faults::default();
        let _ = secrets.text(&self.secret_id, &mut faults);
        faults.or(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use shared::{
        config::Faults,
        secrets::{BoxFuture, SecretSource, Secrets},
        testing::TestApp,
    };

    use super::*;

    /// Counts the looks; while `hangs` is set, none of them ends.
    #[derive(Default)]
    struct Counted {
        looks: AtomicUsize,
        hangs: AtomicBool,
    }

    impl SecretSource for Counted {
        fn read<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Secrets, Faults>> {
            self.looks.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                if self.hangs.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                Ok(Secrets::new(ids.iter().map(|id| ((*id).to_owned(), "a secret".to_owned().into())).collect()))
            })
        }
    }

    async fn health(hangs: bool) -> (Health, Arc<Counted>) {
        let source = Arc::new(Counted { hangs: hangs.into(), ..Counted::default() });
        let app = TestApp::start(crate::routes()).await;
        (Health { secrets: source.clone(), ..app.group.clone() }, source)
    }

    #[tokio::test]
    async fn a_good_look_at_the_secrets_is_good_for_a_while() {
        let (health, source) = health(false).await;
        for _ in 0..3 {
            assert_eq!(health.secrets().await.status, Status::Healthy);
        }
        assert_eq!(source.looks.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn those_who_wait_for_a_look_share_its_outcome_and_none_waits_over_two_seconds() {
        let (health, source) = health(true).await;
        let start = Instant::now();
        let (one, two, three) = tokio::join!(health.secrets(), health.secrets(), health.secrets());
        assert_eq!([one, two, three].map(|check| check.status), [Status::Unhealthy; 3]);
        assert!(start.elapsed().as_secs_f64() < 2.5, "{:?}", start.elapsed());
        assert_eq!(source.looks.load(Ordering::Relaxed), 1);
        source.hangs.store(false, Ordering::Relaxed);
        assert_eq!(health.secrets().await.status, Status::Healthy, "a bad one is forgotten");
    }
}
