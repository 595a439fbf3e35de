-- A stored answer of a creating request is sealed: it may hold what is
-- encrypted everywhere else. Those that are there are in plain text and are
-- dropped with their keys; a request that is sent again over this moment is a
-- first one. See docs/ARCHITECTURE.md, "Idempotency".
SET LOCAL ROLE tenantry_owner;
TRUNCATE idempotency_keys;
ALTER TABLE idempotency_keys DROP COLUMN body, ADD COLUMN body_ciphertext bytea NOT NULL;
COMMENT ON COLUMN idempotency_keys.body_ciphertext IS 'Sealed under the request''s own key and one of ours: shared/src/idempotency/answer_key.rs.';
RESET ROLE;
