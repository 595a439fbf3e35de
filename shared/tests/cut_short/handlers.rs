//! A group whose handlers come to every bad end there is.

use axum::extract::State;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::{
    App, Caller, Code, Db, Result, Routes,
    access::Access::{AnyCaller, Public},
    audit::Action,
    db::Transaction,
    extract::Json,
};
use sqlx::{Executor, Row, postgres::PgRow};
use uuid::Uuid;

pub(crate) fn routes() -> Routes<App> {
    let action = Action::TodosCreate;
    Routes::new()
        .route(Method::GET, "/todos", AnyCaller, Action::TodosList, list)
        .route(Method::POST, "/todos", AnyCaller, action, creates)
        .route(Method::POST, "/panics", AnyCaller, action, panics)
        .route(Method::POST, "/waits", AnyCaller, action, waits)
        .route(Method::POST, "/sleeps", AnyCaller, action, sleeps)
        .route(Method::POST, "/fails", AnyCaller, action, fails)
        .route(Method::POST, "/breaks", AnyCaller, action, breaks)
        .route(Method::POST, "/leaves", AnyCaller, action, leaves)
        .route(Method::POST, "/forgets", AnyCaller, action, forgets)
        .route(Method::GET, "/kept", Public, Action::HealthRead, kept)
        .route(Method::GET, "/public-panic", Public, Action::HealthRead, public_panic)
}

async fn insert(db: &Db, caller: &Caller) -> Result<Transaction> {
    let mut transaction = db.begin(caller).await?;
    sqlx::query(
        "WITH todo AS (INSERT INTO todos SELECT $1, gen_random_uuid(), $2, 'x', false, NULL, 1, now(), now() RETURNING id)
         SELECT app.audit(id) FROM todo",
    )
    .bind(caller.tenant_id())
    .bind(caller.user_id())
    .fetch_one(&mut transaction)
    .await?;
    Ok(transaction)
}

async fn creates(caller: Caller, State(db): State<Db>) -> Result<StatusCode> {
    insert(&db, &caller).await?.commit().await?;
    Ok(StatusCode::CREATED)
}

async fn panics(caller: Caller, State(db): State<Db>) -> Result<StatusCode> {
    let _transaction = insert(&db, &caller).await?;
    panic!("secret-of-the-panic");
}

/// Waits for nothing, with a transaction open.
async fn waits(caller: Caller, State(db): State<Db>) -> Result<StatusCode> {
    let _transaction = insert(&db, &caller).await?;
    std::future::pending().await
}

/// Waits for the database, in the middle of a statement.
async fn sleeps(caller: Caller, State(db): State<Db>) -> Result<StatusCode> {
    let mut transaction = insert(&db, &caller).await?;
    transaction.execute("SELECT pg_sleep(4)").await?;
    Ok(StatusCode::CREATED)
}

async fn fails(caller: Caller, State(db): State<Db>) -> Result<StatusCode> {
    let _transaction = insert(&db, &caller).await?;
    Err(Code::NotAllowedInState.into())
}

async fn breaks(caller: Caller, State(db): State<Db>) -> Result<StatusCode> {
    let mut transaction = insert(&db, &caller).await?;
    transaction.execute("SELECT 1/0").await?;
    Ok(StatusCode::CREATED)
}

/// Answers well, and never commits.
async fn leaves(caller: Caller, State(db): State<Db>) -> Result<StatusCode> {
    let _transaction = insert(&db, &caller).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Does to its connection what a pooler does between two transactions.
async fn forgets(caller: Caller, State(db): State<Db>) -> Result<StatusCode> {
    let mut transaction = db.begin(&caller).await?;
    transaction.execute("DEALLOCATE ALL").await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many prepared statements the server keeps for this connection.
async fn kept(State(db): State<Db>) -> Result<Json<i64>> {
    let count =
        || sqlx::query("SELECT count(*) FROM pg_prepared_statements").try_map(|row: PgRow| row.try_get::<i64, _>(0));
    db.fetch_one(count).await.map(Json)
}

async fn public_panic() -> StatusCode {
    panic!("secret-of-the-panic");
}

/// What the connection shows: the rows, and the settings outside of a tenant.
async fn list(caller: Caller, State(db): State<Db>) -> Result<Json<Value>> {
    let settings = db
        .fetch_one(|| {
            sqlx::query(
                "SELECT coalesce(current_setting('app.tenant_id', true), '') || coalesce(current_setting('app.user_id', true), '')
                     || (SELECT count(*) FROM todos) || (SELECT count(*) FROM users)",
            )
            .try_map(|row: PgRow| row.try_get::<String, _>(0))
        })
        .await?;
    let (tenant, session) = (caller.tenant_id(), caller.session_id());
    let owners = db
        .fetch_all(move || {
            sqlx::query("SELECT t.tenant_id FROM app.enter($1, $2) AS caller, LATERAL (SELECT * FROM todos WHERE caller.tenant_id IS NOT NULL) AS t")
                .bind(tenant)
                .bind(session)
                .try_map(|row: PgRow| row.try_get::<Uuid, _>(0))
        })
        .await?;
    Ok(Json(json!({ "outside": settings, "owners": owners })))
}
