-- What outcomes have taught, by factor, arm and day of the decision: sums that do not depend on the
-- order in which they were added (bandits/evidence.py says which number is which).
CREATE TABLE keepwell.learned_evidence (
  tenant_id uuid NOT NULL,
  factor text NOT NULL,
  arm text NOT NULL,
  day integer NOT NULL,
  sums double precision[] NOT NULL,
  PRIMARY KEY (tenant_id, factor, arm, day)
);

-- How many days after its message the outcome came that made the reward what it is; and the same
-- as it was learnt.
ALTER TABLE keepwell.rewards ADD COLUMN delay_days integer NOT NULL DEFAULT 0;
ALTER TABLE keepwell.rewards ADD COLUMN learned_delay_days integer NOT NULL DEFAULT 0;

-- What a tenant lends to the others of its industry: counts by arm, nothing about anybody.
CREATE TABLE keepwell.lent_counts (
  tenant_id uuid NOT NULL,
  industry text NOT NULL,
  factor text NOT NULL,
  arm text NOT NULL,
  decisions double precision NOT NULL,
  reward double precision NOT NULL,
  PRIMARY KEY (tenant_id, factor, arm)
);

-- The sums of all others of the industry. Fewer than three lenders could be told apart.
CREATE FUNCTION keepwell.borrowed_counts(wanted text)
  RETURNS TABLE (factor text, arm text, tenants bigint, decisions double precision,
                 reward double precision)
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT c.factor, c.arm, count(*), sum(c.decisions), sum(c.reward) FROM keepwell.lent_counts c
   WHERE c.industry = wanted
     AND c.tenant_id IS DISTINCT FROM nullif(current_setting('app.tenant_id', true), '')::uuid
   GROUP BY c.factor, c.arm HAVING count(*) >= 3
$$;
