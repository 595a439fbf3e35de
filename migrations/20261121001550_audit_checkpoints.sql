-- Checkpoints of the audit trail, by `ops {"action":"audit_checkpoint"}`: the
-- maintenance role reads the chain of the tenant that it has entered. It has no
-- policy of its own there: without a tenant it sees no row.
SET LOCAL ROLE tenantry_owner;
GRANT SELECT ON audit_events, audit_heads TO tenantry_maintenance;
RESET ROLE;
