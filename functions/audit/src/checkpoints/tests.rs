use audit_verify::SignedCheckpoint;
use serde_json::{Value, json};
use shared::{
    App,
    auth::Role,
    testing::{Member, TestApp},
};

use crate::trial::get;

async fn note(app: &TestApp<App>, member: &Member, seqs: i64) {
    let sql = "INSERT INTO audit_checkpoints (tenant_id, seq, hash, signed_at, kid, signature)
               SELECT $1, n, sha256('a'), '2026-11-21T10:00:00.000001Z', 'key', sha256('b') || sha256('c')
                 FROM generate_series(1, $2) AS n";
    sqlx::query(sql).bind(member.tenant).bind(seqs).execute(&mut app.superuser().await).await.unwrap();
}

#[tokio::test]
async fn t2_checkpoints_are_shown_as_they_are_kept_newest_first_and_its_own_to_each_tenant() {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    note(&app, &ada, 5).await;
    note(&app, &eve, 1).await;
    let (mut seqs, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = get(&app, &ada, &format!("checkpoints?limit=2{cursor}")).await;
        assert_eq!(answer.status, 200, "{:?}", answer.log);
        let page = answer.json();
        for item in page["items"].as_array().unwrap() {
            let signed = SignedCheckpoint::read(item.to_string().as_bytes()).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&signed.to_json().unwrap()).unwrap(), *item);
            assert_eq!((&item["tenant_id"], &item["kid"]), (&json!(ada.tenant), &json!("key")));
            assert_eq!(item["time"], "2026-11-21T10:00:00.000001Z");
            seqs.push(signed.checkpoint.seq);
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seqs, [5, 4, 3, 2, 1]);
    assert_eq!(get(&app, &eve, "checkpoints").await.json()["items"].as_array().unwrap().len(), 1);
    let analyst = app.member(ada.tenant, Role::Analyst).await;
    assert_eq!(get(&app, &analyst, "checkpoints").await.code(), "PERM_001");
    assert_eq!(get(&app, &ada, "checkpoints?from_seq=1").await.status, 422);
}
