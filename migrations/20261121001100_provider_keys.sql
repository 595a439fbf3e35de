-- The keys of identity providers, shared by all execution environments: one
-- row per issuer, by the SHA-256 of its URL. It belongs to no tenant, so it
-- stands in `app`, outside row-level security; what it holds is public. The
-- runtime role reaches it through the functions below alone. See
-- docs/adr/0002-own-jwks-cache.md.
SET LOCAL ROLE tenantry_owner;

CREATE TABLE app.provider_keys (
    issuer       bytea       PRIMARY KEY CONSTRAINT provider_keys_issuer_length CHECK (octet_length(issuer) = 32),
    jwks         text,
    fetched_at   timestamptz,
    -- When somebody last set out to fetch, and whether nothing is known yet of how it went.
    attempted_at timestamptz NOT NULL,
    fetching     boolean     NOT NULL,
    CONSTRAINT provider_keys_fetched CHECK ((jwks IS NULL) = (fetched_at IS NULL))
);

-- Whether `at` is less than `life` after `since`, give or take a clock that is
-- a minute ahead.
CREATE FUNCTION app.is_within(since timestamptz, life interval, at timestamptz) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT coalesce(since > at - life AND since < at + interval '1 minute', false) $$;

-- Asks for the keys of a provider on behalf of one who has those that were
-- fetched at `known_at`, and finds them wanting. Claimed: the caller is the one
-- who fetches. Otherwise it has the newer ones here, or somebody fetches, or
-- did within 30 seconds; `jwks` is null where the caller has it already.
CREATE FUNCTION app.claim_provider_fetch(provider bytea, at timestamptz, known_at timestamptz)
    RETURNS TABLE (claimed boolean, jwks text, fetched_at timestamptz, attempted_at timestamptz, fetching boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' ROWS 1
AS $$
DECLARE
    held app.provider_keys;
BEGIN
    -- Read first: those who may not fetch lock nothing.
    SELECT * INTO held FROM app.provider_keys k WHERE k.issuer = provider;
    IF NOT FOUND THEN
        INSERT INTO app.provider_keys VALUES (provider, NULL, NULL, at, true) ON CONFLICT (issuer) DO NOTHING;
        claimed := FOUND;
        -- In passing, what nobody has asked for in a day.
        DELETE FROM app.provider_keys k WHERE claimed AND k.issuer IN (
            SELECT o.issuer FROM app.provider_keys o WHERE o.attempted_at < at - interval '1 day'
             LIMIT 10 FOR UPDATE SKIP LOCKED);
    ELSIF held.fetched_at IS NOT DISTINCT FROM known_at OR NOT app.is_within(held.fetched_at, '10 minutes', at) THEN
        -- Of any number at once, one finds it still so.
        UPDATE app.provider_keys k SET attempted_at = at, fetching = true
         WHERE k.issuer = provider AND NOT app.is_within(k.attempted_at, '30 seconds', at);
        claimed := FOUND;
    ELSE
        claimed := false;
    END IF;
    SELECT CASE WHEN k.fetched_at IS DISTINCT FROM known_at THEN k.jwks END, k.fetched_at, k.attempted_at, k.fetching
      INTO jwks, fetched_at, attempted_at, fetching
      FROM app.provider_keys k WHERE k.issuer = provider;
    RETURN NEXT;
END
$$;

-- What came of a fetch: keys, or none. Says whether the claim still held.
CREATE FUNCTION app.settle_provider_fetch(provider bytea, claimed_at timestamptz, keys text) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
    WITH settled AS (
        UPDATE app.provider_keys k
           SET fetching = false, jwks = coalesce(keys, k.jwks),
               fetched_at = CASE WHEN keys IS NULL THEN k.fetched_at ELSE claimed_at END
         WHERE k.issuer = provider AND k.attempted_at = claimed_at AND k.fetching
     RETURNING true)
    SELECT EXISTS (SELECT FROM settled)
$$;

GRANT EXECUTE ON FUNCTION
    app.claim_provider_fetch(bytea, timestamptz, timestamptz),
    app.settle_provider_fetch(bytea, timestamptz, text)
    TO tenantry_runtime;
RESET ROLE;
