-- A tenant's rules are a release: files of fixed versions and the statuses that people gave to rules.
-- The newest release is in force; none is ever changed, so each decision's rules can be found again.

-- members: [{name, version, digest}], digest: SHA-256 of the texts.
-- statuses: {rule id: {status, meaning}}; one holds while the rule still has this meaning.
-- digest: SHA-256 of both; a release that goes back to an earlier one has its digest again.
CREATE TABLE keepwell.rule_releases (
  tenant_id uuid NOT NULL,
  number integer NOT NULL,
  digest text NOT NULL,
  members jsonb NOT NULL,
  statuses jsonb NOT NULL DEFAULT '{}',
  made_by text NOT NULL,
  approved_by text,
  reason text NOT NULL DEFAULT '',
  made_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, number)
);
CREATE INDEX rule_releases_digest ON keepwell.rule_releases (tenant_id, digest);

-- What a rule of this meaning would have proposed in the past; asked for before it goes live.
CREATE TABLE keepwell.rule_backtests (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  rule_id text NOT NULL,
  meaning text NOT NULL,
  from_at timestamptz NOT NULL,
  to_at timestamptz NOT NULL CHECK (to_at > from_at),
  result jsonb NOT NULL,
  made_by text NOT NULL,
  made_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX rule_backtests_of_rule ON keepwell.rule_backtests (tenant_id, rule_id, meaning);

CREATE INDEX rule_sets_digest ON keepwell.rule_sets (tenant_id, digest);

CREATE TRIGGER rule_releases_immutable BEFORE UPDATE OR DELETE OR TRUNCATE
  ON keepwell.rule_releases FOR EACH STATEMENT EXECUTE FUNCTION keepwell.refuse_change();
CREATE TRIGGER rule_backtests_immutable BEFORE UPDATE OR DELETE OR TRUNCATE
  ON keepwell.rule_backtests FOR EACH STATEMENT EXECUTE FUNCTION keepwell.refuse_change();

-- The number that an event carries, e.g. the score of an answered survey.
ALTER TABLE keepwell.events ADD COLUMN value double precision
  CHECK (value > '-Infinity' AND value < 'Infinity');
