-- Notes are sealed under their tenant's data key. What stood there in plain
-- text is dropped, not carried over: a migration has no key, and this schema
-- was deployed nowhere before.
SET LOCAL ROLE tenantry_owner;

ALTER TABLE todos DROP COLUMN notes;
-- 10000 characters of at most 4 bytes, and what sealing adds (97 bytes).
ALTER TABLE todos ADD COLUMN notes_ciphertext bytea
    CONSTRAINT todos_notes_length CHECK (octet_length(notes_ciphertext) BETWEEN 97 AND 40097);

RESET ROLE;
