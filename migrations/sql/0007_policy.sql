-- The policy's numbers in force for a tenant, every version kept: the whole of them, so that a
-- decision can be replayed, and what the tenant itself has set.
CREATE TABLE keepwell.policy_versions (
  tenant_id uuid NOT NULL,
  version integer NOT NULL,
  digest text NOT NULL,
  shipped_digest text NOT NULL,
  numbers text NOT NULL,
  changed jsonb NOT NULL,
  set_by text NOT NULL,
  reason text NOT NULL DEFAULT '',
  effective_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, version)
);
CREATE INDEX policy_versions_digest ON keepwell.policy_versions (tenant_id, digest);
CREATE TRIGGER policy_versions_immutable
  BEFORE UPDATE OR DELETE OR TRUNCATE ON keepwell.policy_versions
  FOR EACH STATEMENT EXECUTE FUNCTION keepwell.refuse_change();

-- What of a budget is given or promised in a period; the row is the lock that makes it exact.
CREATE TABLE keepwell.budget_balances (
  tenant_id uuid NOT NULL,
  budget text NOT NULL,
  period_start date NOT NULL,
  used_cents bigint NOT NULL CHECK (used_cents >= 0),
  PRIMARY KEY (tenant_id, budget, period_start)
);

-- What each decision's message gives; `released_at` when it was not sent after all.
CREATE TABLE keepwell.budget_reservations (
  tenant_id uuid NOT NULL,
  decision_id uuid NOT NULL,
  budget text NOT NULL,
  period_start date NOT NULL,
  cents bigint NOT NULL CHECK (cents > 0),
  limit_cents bigint NOT NULL,
  reserved_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  released_at timestamptz,
  PRIMARY KEY (tenant_id, decision_id)
);

-- The account of the contact when the message was promised: one message for a household.
ALTER TABLE keepwell.sends ADD COLUMN household uuid;
CREATE INDEX sends_of_household ON keepwell.sends (tenant_id, household, action)
  WHERE household IS NOT NULL;

ALTER TABLE keepwell.candidates
  ADD COLUMN capacity double precision,
  ADD COLUMN carried_by uuid;
ALTER TABLE keepwell.decisions
  ADD COLUMN lever_cost_cents double precision,
  ADD COLUMN needs_approval boolean;

-- A message that ends unsent gives back what it had reserved, whoever ends it.
CREATE FUNCTION keepwell.release_budget() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  held keepwell.budget_reservations%ROWTYPE;
BEGIN
  UPDATE keepwell.budget_reservations SET released_at = keepwell.clock()
   WHERE tenant_id = NEW.tenant_id AND decision_id = NEW.decision_id AND released_at IS NULL
  RETURNING * INTO held;
  IF FOUND THEN
    UPDATE keepwell.budget_balances SET used_cents = used_cents - held.cents
     WHERE tenant_id = held.tenant_id AND budget = held.budget
       AND period_start = held.period_start;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER sends_release_budget AFTER UPDATE OF state ON keepwell.sends
  FOR EACH ROW WHEN (NEW.state IN ('suppressed', 'failed') AND OLD.state IS DISTINCT FROM NEW.state)
  EXECUTE FUNCTION keepwell.release_budget();
