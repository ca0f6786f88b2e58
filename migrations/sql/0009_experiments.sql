-- Experiments on messages. What was planned is never changed; a stopped one is over for good.
CREATE TABLE keepwell.experiments (
  tenant_id uuid NOT NULL,
  name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_.-]{0,79}$'),
  action text NOT NULL,
  arms text[] NOT NULL, -- content variants; the first is the control
  rate double precision NOT NULL,
  smallest double precision NOT NULL,
  alpha double precision NOT NULL,
  power double precision NOT NULL,
  units_per_arm integer NOT NULL,
  mixture double precision NOT NULL,
  state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'running', 'stopped')),
  planned_by text NOT NULL,
  planned_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  started_at timestamptz,
  stopped_at timestamptz,
  verdict text CHECK (verdict IN ('winner', 'no_difference', 'harmful', 'stopped_by_hand')),
  verdict_arm text,
  reason text,
  PRIMARY KEY (tenant_id, name)
);
CREATE UNIQUE INDEX experiments_one_running ON keepwell.experiments (tenant_id, action)
  WHERE state = 'running';

-- What people of the tenant have to know: an experiment was stopped, and why.
CREATE TABLE keepwell.experiment_notices (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  at timestamptz NOT NULL DEFAULT keepwell.clock(),
  kind text NOT NULL,
  subject text NOT NULL,
  detail jsonb NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- What is told beside the specified columns of communication_insights.
ALTER TABLE communication_insights ADD COLUMN detail jsonb;

-- what the holdout did is counted with every learning
CREATE INDEX decisions_of_holdout ON keepwell.decisions (tenant_id, as_of)
  WHERE experiment_group = 'holdout';
