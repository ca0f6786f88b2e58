-- The product's own tables, in a schema of their own: no name can collide with the CRM's.
-- They hold ids of CRM rows without foreign keys: history outlives the CRM's rows, a foreign key
-- check would ignore row-level security, and a deletion in the CRM must never be refused.

-- The product's clock: the database's, shifted by app.clock_offset when a rehearsal runs on past data.
CREATE FUNCTION keepwell.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT clock_timestamp()
       + coalesce(nullif(current_setting('app.clock_offset', true), ''), '0 s')::interval
$$;

CREATE TABLE keepwell.tenant_settings (
  tenant_id uuid PRIMARY KEY,
  settings jsonb NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT keepwell.clock()
);

CREATE TABLE keepwell.external_ids (
  tenant_id uuid NOT NULL,
  entity text NOT NULL,
  external_id text NOT NULL,
  internal_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, entity, external_id)
);
CREATE INDEX external_ids_internal ON keepwell.external_ids (tenant_id, internal_id);

CREATE TABLE keepwell.imports (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  mapping text NOT NULL,
  mapping_digest text NOT NULL,
  file_name text NOT NULL,
  file_digest text NOT NULL,
  rows_done bigint NOT NULL DEFAULT 0,
  rows_rejected bigint NOT NULL DEFAULT 0,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
  started_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  finished_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, mapping_digest, file_digest)
);

-- What happened, once each. occurred_at: when it happened; known_at: when we learnt of it.
-- A row is visible to a decision at `as_of` when both are at or before it.
CREATE TABLE keepwell.events (
  tenant_id uuid NOT NULL,
  source text NOT NULL,
  external_id text NOT NULL,
  contact_id uuid,
  type text NOT NULL,
  occurred_at timestamptz NOT NULL,
  known_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  subject text,
  amount_cents bigint,
  starts_at timestamptz,
  decision_id uuid,
  properties jsonb,
  PRIMARY KEY (tenant_id, source, external_id)
);
CREATE INDEX events_history ON keepwell.events (tenant_id, contact_id, occurred_at);

-- The consent ledger: the newest row of a contact, channel and purpose holds.
CREATE TABLE keepwell.consents (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  contact_id uuid NOT NULL,
  channel text NOT NULL,
  purpose text NOT NULL CHECK (purpose IN ('treatment', 'service', 'marketing')),
  status text NOT NULL CHECK (status IN ('granted', 'revoked')),
  basis text NOT NULL,
  evidence jsonb NOT NULL DEFAULT '{}',
  source text NOT NULL,
  external_id text,
  effective_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  recorded_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, source, external_id)
);
CREATE INDEX consents_of_contact ON keepwell.consents (tenant_id, contact_id, effective_at);

CREATE TABLE keepwell.rule_sets (
  tenant_id uuid NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  digest text NOT NULL,
  status text NOT NULL CHECK (status IN ('draft', 'shadow', 'live', 'retired')),
  document text NOT NULL,
  vocabulary text NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, name, version)
);
CREATE UNIQUE INDEX rule_sets_one_live ON keepwell.rule_sets (tenant_id, name) WHERE status = 'live';

CREATE TABLE keepwell.models (
  tenant_id uuid NOT NULL,
  digest text NOT NULL,
  kind text NOT NULL,
  artefact bytea NOT NULL,
  metrics jsonb NOT NULL,
  features jsonb NOT NULL,
  trained_until timestamptz NOT NULL,
  status text NOT NULL CHECK (status IN ('champion', 'challenger', 'retired')),
  created_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, digest)
);
CREATE UNIQUE INDEX models_one_champion ON keepwell.models (tenant_id, kind) WHERE status = 'champion';

-- Bandit states: every version kept; `effective_at` is the product's clock when it was learnt.
CREATE TABLE keepwell.policy_states (
  tenant_id uuid NOT NULL,
  policy text NOT NULL,
  version integer NOT NULL,
  digest text NOT NULL,
  state text NOT NULL,
  observations bigint NOT NULL,
  effective_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, policy, version)
);

CREATE TABLE keepwell.runs (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  kind text NOT NULL,
  as_of timestamptz NOT NULL,
  counts jsonb NOT NULL DEFAULT '{}',
  started_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  finished_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);

-- One row per decision, never changed. `profile` is all that the decision read about the contact.
CREATE TABLE keepwell.decisions (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  as_of timestamptz NOT NULL,
  trigger text NOT NULL,
  run_id uuid,
  action text,
  rule text,
  purpose text,
  subject text,
  reason text NOT NULL,
  channel text,
  slot text,
  variant text,
  send_at timestamptz,
  selection_probability double precision,
  score_cents double precision NOT NULL,
  hazard_30d double precision,
  hazard_60d double precision,
  hazard_90d double precision,
  health_score integer,
  health_tier text,
  experiment_group text NOT NULL,
  seed bigint NOT NULL,
  treatment json,
  profile json NOT NULL, -- json, not jsonb: the text is hashed, so it has to come back unchanged
  profile_digest text NOT NULL,
  rule_set_digest text NOT NULL,
  model_digest text,
  policy_state_version integer NOT NULL,
  policy_data_digest text NOT NULL,
  libraries text NOT NULL,
  decision_digest text NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX decisions_of_contact ON keepwell.decisions (tenant_id, contact_id, as_of DESC);

-- The trace: every candidate of a decision with the stage that removed it and each score term.
CREATE TABLE keepwell.candidates (
  tenant_id uuid NOT NULL,
  decision_id uuid NOT NULL,
  position smallint NOT NULL,
  action text,
  rule text,
  purpose text,
  subject text,
  removed_by text,
  reason text,
  channels text,
  propensity double precision,
  if_left double precision,
  effect double precision,
  effect_low double precision,
  effect_high double precision,
  value_cents bigint,
  context double precision,
  lever double precision,
  cost_cents double precision,
  fatigue_cents double precision,
  score_cents double precision,
  PRIMARY KEY (tenant_id, decision_id, position)
);

-- The outbox: at most one accepted request per id, at least one unless visibly failed,
-- suppressed or unknown. `id` is the provider's idempotency key.
CREATE TABLE keepwell.sends (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  decision_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  dedupe_key text NOT NULL,
  action text NOT NULL,
  purpose text NOT NULL,
  channel text NOT NULL,
  recipient text NOT NULL,
  content jsonb NOT NULL,
  content_source text NOT NULL,
  still jsonb NOT NULL DEFAULT '[]',
  state text NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'sending', 'sent', 'failed', 'suppressed', 'unknown')),
  attempts integer NOT NULL DEFAULT 0,
  lease_token bigint NOT NULL DEFAULT 0,
  lease_until timestamptz,
  next_at timestamptz NOT NULL,
  not_after timestamptz NOT NULL,
  provider_id text,
  reason text,
  checks jsonb,
  decided_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  sent_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, dedupe_key),
  FOREIGN KEY (tenant_id, decision_id) REFERENCES keepwell.decisions (tenant_id, id)
);
CREATE INDEX sends_due ON keepwell.sends (next_at) WHERE state = 'pending';
CREATE INDEX sends_leased ON keepwell.sends (lease_until) WHERE state = 'sending';
CREATE INDEX sends_of_contact ON keepwell.sends (tenant_id, contact_id, decided_at);
CREATE INDEX sends_of_decision ON keepwell.sends (tenant_id, decision_id);

CREATE TABLE keepwell.attempts (
  tenant_id uuid NOT NULL,
  send_id uuid NOT NULL,
  n integer NOT NULL,
  started_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  finished_at timestamptz,
  outcome text,
  detail text,
  PRIMARY KEY (tenant_id, send_id, n),
  FOREIGN KEY (tenant_id, send_id) REFERENCES keepwell.sends (tenant_id, id)
);

-- Which event counted as an outcome of which decision, and what it was worth.
CREATE TABLE keepwell.outcomes (
  tenant_id uuid NOT NULL,
  source text NOT NULL,
  external_id text NOT NULL,
  decision_id uuid NOT NULL,
  kind text NOT NULL,
  reward double precision NOT NULL CHECK (reward BETWEEN 0 AND 1),
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, source, external_id),
  FOREIGN KEY (tenant_id, decision_id) REFERENCES keepwell.decisions (tenant_id, id)
);
CREATE INDEX outcomes_of_decision ON keepwell.outcomes (tenant_id, decision_id);

-- One row per decision that was sent: the reward so far and what the bandit has learnt of it.
CREATE TABLE keepwell.rewards (
  tenant_id uuid NOT NULL,
  decision_id uuid NOT NULL,
  reward double precision NOT NULL CHECK (reward BETWEEN 0 AND 1),
  learned double precision,
  learned_version integer,
  updated_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, decision_id),
  FOREIGN KEY (tenant_id, decision_id) REFERENCES keepwell.decisions (tenant_id, id)
);
CREATE INDEX rewards_to_learn ON keepwell.rewards (tenant_id) WHERE learned IS DISTINCT FROM reward;

CREATE TABLE keepwell.api_keys (
  tenant_id uuid NOT NULL,
  id text NOT NULL,
  name text NOT NULL,
  secret_sha256 bytea NOT NULL,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  expires_at timestamptz,
  revoked_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE keepwell.idempotency_keys (
  tenant_id uuid NOT NULL,
  key text NOT NULL,
  request_sha256 bytea NOT NULL,
  status integer NOT NULL,
  response bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, key)
);

CREATE TABLE keepwell.audit_trail (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  at timestamptz NOT NULL DEFAULT keepwell.clock(),
  actor text NOT NULL,
  action text NOT NULL,
  entity text NOT NULL,
  entity_id text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (tenant_id, id)
);

CREATE FUNCTION keepwell.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: its rows are never changed', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER decisions_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON keepwell.decisions
  FOR EACH STATEMENT EXECUTE FUNCTION keepwell.refuse_change();
CREATE TRIGGER candidates_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON keepwell.candidates
  FOR EACH STATEMENT EXECUTE FUNCTION keepwell.refuse_change();
CREATE TRIGGER audit_trail_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON keepwell.audit_trail
  FOR EACH STATEMENT EXECUTE FUNCTION keepwell.refuse_change();
CREATE TRIGGER consents_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON keepwell.consents
  FOR EACH STATEMENT EXECUTE FUNCTION keepwell.refuse_change();

-- Narrow doors through row-level security. Each gives ids alone, never a row.
CREATE FUNCTION keepwell.tenant_id_for(wanted text) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT id FROM public.tenants WHERE slug = wanted
$$;
-- A tenant that the CRM has deleted has nothing to do any more, although its history is kept.
CREATE FUNCTION keepwell.tenants_with_due_sends() RETURNS SETOF uuid
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT due.tenant_id FROM (
    SELECT tenant_id FROM keepwell.sends WHERE state = 'pending' AND next_at <= keepwell.clock()
    UNION
    SELECT tenant_id FROM keepwell.sends WHERE state = 'sending' AND lease_until < keepwell.clock()
  ) due JOIN public.tenants t ON t.id = due.tenant_id
$$;
CREATE FUNCTION keepwell.tenants_to_learn() RETURNS SETOF uuid
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT DISTINCT r.tenant_id FROM keepwell.rewards r JOIN public.tenants t ON t.id = r.tenant_id
   WHERE r.learned IS DISTINCT FROM r.reward
$$;
CREATE FUNCTION keepwell.tenant_ids() RETURNS SETOF uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT id FROM public.tenants ORDER BY created_at, id
$$;
