use serde_json::Value;
use shared::testing::TestApp;

use crate::trial::{chain, get};

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_whole_trail_is_taken_out_page_by_page_and_that_is_recorded() {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    chain(&app, ada.tenant, 6_000).await;
    chain(&app, eve.tenant, 3).await;
    let first = get(&app, &ada, "export").await;
    assert_eq!((first.status.as_u16(), first.header("content-type")), (200, "application/x-ndjson"), "{:?}", first.log);
    assert_eq!(first.header("link"), "</api/v1/audit/export?from_seq=5001>; rel=\"next\"");
    let second = get(&app, &ada, "export?from_seq=5001").await;
    assert_eq!(second.header("link"), "");
    let mut records = lines(&first.bytes);
    records.extend(lines(&second.bytes));
    assert_eq!(records.len(), 6_001, "with the record of the first page");
    assert!(records.iter().zip(1..).all(|(record, seq)| record["seq"] == seq));
    assert!(records.windows(2).all(|two| two[1]["prev_hash"] == two[0]["hash"]));
    assert!(records.iter().all(|record| record["tenant_id"] == ada.tenant.to_string()));
    assert_eq!(
        app.details(ada.tenant, "audit.export").await,
        [r#"{"from_seq":1,"records":5000}"#, r#"{"from_seq":5001,"records":1001}"#]
    );
    assert_eq!(lines(&get(&app, &eve, "export").await.bytes).len(), 3);
}

#[tokio::test]
async fn a_page_ends_before_lambda_would_refuse_it() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let sql = "SELECT app.audit_append('todos.update', 'success', NULL, $1, $1, $1, NULL, NULL,
                                       format('{\"n\":%s}', to_json(repeat('\"', 2000))))
                 FROM app.enter_tenant($1), generate_series(1, 2000)";
    sqlx::query(sql).bind(ada.tenant).execute(&mut app.superuser().await).await.unwrap();
    let (mut from, mut seen) = (1, 0);
    loop {
        let answer = get(&app, &ada, &format!("export?from_seq={from}")).await;
        let embedded = serde_json::to_string(std::str::from_utf8(&answer.bytes).unwrap()).unwrap();
        assert!(embedded.len() < 6_000_000, "{}", embedded.len());
        seen += lines(&answer.bytes).len();
        let Some((_, rest)) = answer.header("link").split_once("from_seq=") else { break };
        from = rest.split('>').next().unwrap().parse().unwrap();
        assert_eq!(from, seen + 1);
    }
    assert!(seen > 2000 && from > 1);
}

#[tokio::test]
async fn nothing_is_taken_out_of_an_empty_trail_or_from_behind_its_end() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    for target in ["export", "export?from_seq=9223372036854775807"] {
        let answer = get(&app, &ada, target).await;
        assert_eq!((answer.status.as_u16(), answer.bytes.len(), answer.header("link")), (200, 0, ""), "{target}");
    }
    for wrong in ["0", "-1", "x", "", "9223372036854775808"] {
        assert_eq!(get(&app, &ada, &format!("export?from_seq={wrong}")).await.code(), "VAL_001", "{wrong}");
    }
}
