-- Which contacts somebody has to look at, and when: at once after an event that rules wait for, or
-- at the moment when time alone lets a rule begin to hold.
--
-- A row per event that nobody has looked at yet, and at most one per contact for time. Rows are
-- added, never shared, by those who report events: no two of them ever wait for each other.
--
-- trigger: the event's type, or 'due' for time: every rule that waits for events.
-- failures, reason: checks of this row that failed, and the code of the last one.
CREATE TABLE keepwell.due_checks (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  contact_id uuid NOT NULL,
  check_at timestamptz NOT NULL,
  trigger text NOT NULL,
  failures integer NOT NULL DEFAULT 0,
  reason text,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX due_checks_due ON keepwell.due_checks (tenant_id, check_at);
CREATE INDEX due_checks_of_contact ON keepwell.due_checks (tenant_id, contact_id);
CREATE UNIQUE INDEX due_checks_one_for_time ON keepwell.due_checks (tenant_id, contact_id)
  WHERE trigger = 'due';

CREATE FUNCTION keepwell.tenants_with_due_checks() RETURNS SETOF uuid
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT t.id FROM public.tenants t, (SELECT keepwell.clock() AS now) c WHERE EXISTS (
    SELECT FROM keepwell.due_checks d WHERE d.tenant_id = t.id AND d.check_at <= c.now)
$$;
