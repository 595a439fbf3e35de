-- Where the exported part of a chain ends. By `ops {"action":"audit_retention"}`:
-- a month is exported, its records are anchored, and then it is dropped. See
-- docs/adr/0020-audit-retention.md.
SET LOCAL ROLE tenantry_owner;

CREATE TABLE audit_anchors (
    tenant_id uuid        NOT NULL CONSTRAINT audit_anchors_tenant REFERENCES tenants (id),
    seq       bigint      NOT NULL CONSTRAINT audit_anchors_seq CHECK (seq > 0),
    hash      bytea       NOT NULL CONSTRAINT audit_anchors_hash_length CHECK (octet_length(hash) = 32),
    at        timestamptz NOT NULL,
    CONSTRAINT audit_anchors_key PRIMARY KEY (tenant_id, seq)
);
COMMENT ON TABLE audit_anchors IS 'A record up to which, with it, the chain has been exported; `at` is the record''s time.';
ALTER TABLE audit_anchors ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_anchors FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_anchors
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- Drops a month, if every record in it is exported: none stands behind its
-- tenant's last anchor. Otherwise says whose is, and drops nothing. A month that
-- is not over, and the default, are never dropped.
--
-- Runs as the owner, who drops tables. Policies bind the owner as well, so it
-- steps out of them for two tables, while it holds them for itself alone.
CREATE FUNCTION app.drop_audit_partition(name text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    behind uuid;
    dropped bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_partitions'));
    IF NOT EXISTS (SELECT FROM app.audit_partitions() p
                    WHERE p.name = drop_audit_partition.name AND p.ends_at <= now()) THEN
        RAISE EXCEPTION '% is no month that is over', name USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('ALTER TABLE public.audit_events DETACH PARTITION public.%I', name);
    EXECUTE format('ALTER TABLE public.%I NO FORCE ROW LEVEL SECURITY', name);
    ALTER TABLE public.audit_anchors NO FORCE ROW LEVEL SECURITY;
    EXECUTE format('SELECT count(*) FROM public.%I', name) INTO dropped;
    EXECUTE format('SELECT e.tenant_id FROM (SELECT tenant_id, max(seq) AS seq FROM public.%I GROUP BY tenant_id) AS e'
                   ' WHERE NOT EXISTS (SELECT FROM public.audit_anchors a WHERE a.tenant_id = e.tenant_id AND a.seq >= e.seq)'
                   ' LIMIT 1', name) INTO behind;
    IF behind IS NOT NULL THEN
        RAISE EXCEPTION '% has records of % that are not exported', name, behind
              USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    ALTER TABLE public.audit_anchors FORCE ROW LEVEL SECURITY;
    EXECUTE format('DROP TABLE public.%I', name);
    RETURN dropped;
END
$$;

GRANT SELECT ON audit_anchors TO tenantry_runtime;
GRANT SELECT (tenant_id, seq, hash), INSERT (tenant_id, seq, hash, at) ON audit_anchors TO tenantry_maintenance;
GRANT EXECUTE ON FUNCTION app.drop_audit_partition(text) TO tenantry_maintenance;
RESET ROLE;
