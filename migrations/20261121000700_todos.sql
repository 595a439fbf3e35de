SET LOCAL ROLE tenantry_owner;

CREATE TABLE todos (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL,
    owner_id   uuid        NOT NULL,
    title      text        NOT NULL CONSTRAINT todos_title_length CHECK (char_length(title) BETWEEN 1 AND 200),
    notes      text        CONSTRAINT todos_notes_length CHECK (char_length(notes) <= 10000),
    completed  boolean     NOT NULL DEFAULT false,
    due_at     timestamptz,
    version    bigint      NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
-- Lists run newest first: ids are UUIDv7, so their order is the order of creation.
CREATE INDEX todos_of_owner ON todos (tenant_id, owner_id, id DESC);
ALTER TABLE todos ENABLE ROW LEVEL SECURITY;
ALTER TABLE todos FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON todos
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE, DELETE ON todos TO tenantry_runtime;
RESET ROLE;
