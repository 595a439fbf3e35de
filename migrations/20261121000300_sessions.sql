SET LOCAL ROLE tenantry_owner;

CREATE TABLE sessions (
    tenant_id      uuid        NOT NULL,
    id             uuid        NOT NULL,
    user_id        uuid        NOT NULL,
    created_at     timestamptz NOT NULL,
    last_used_at   timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    generation     integer     NOT NULL DEFAULT 0,
    user_agent     text        CONSTRAINT sessions_user_agent_length CHECK (char_length(user_agent) <= 512),
    source_address text,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON COLUMN sessions.generation IS 'The one refresh token of this session that may still be used.';
CREATE INDEX sessions_of_user ON sessions (tenant_id, user_id) WHERE ended_at IS NULL;
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sessions
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- A refresh token is stored as its SHA-256 only.
CREATE TABLE refresh_tokens (
    tenant_id  uuid        NOT NULL,
    session_id uuid        NOT NULL,
    generation integer     NOT NULL,
    token_hash bytea       NOT NULL CONSTRAINT refresh_tokens_hash_length CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    rotated_at timestamptz,
    PRIMARY KEY (tenant_id, session_id, generation),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON refresh_tokens
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON sessions, refresh_tokens TO tenantry_runtime;
RESET ROLE;
