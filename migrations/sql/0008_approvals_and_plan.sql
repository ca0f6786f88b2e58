-- What waits for a person, and what a person said of the days ahead.

-- A decided message that somebody has to approve before it goes into the outbox. It holds the very
-- message, so what is approved is what is sent. Silence never approves: it expires.
-- message: the outbox row to be. reason: for refused, what the person said; for overtaken, the
-- gate's code.
CREATE TABLE keepwell.approvals (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  action text NOT NULL,
  rule text NOT NULL,
  subject text NOT NULL,
  channel text NOT NULL,
  score_cents double precision NOT NULL,
  message jsonb NOT NULL,
  state text NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'approved', 'refused', 'expired', 'overtaken')),
  asked_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  expires_at timestamptz NOT NULL,
  settled_by text,
  settled_at timestamptz,
  reason text,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, id) REFERENCES keepwell.decisions (tenant_id, id)
);
-- nobody is asked twice for the same thing at a time
CREATE UNIQUE INDEX approvals_one_waiting ON keepwell.approvals (tenant_id, contact_id, rule, subject)
  WHERE state = 'waiting';
CREATE INDEX approvals_by_state ON keepwell.approvals (tenant_id, state, expires_at);

-- What a person said of planned messages: approved in advance, held until a day, or struck.
-- One row per contact, rule and subject; the newest that is in force counts.
CREATE TABLE keepwell.plan_marks (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  contact_id uuid NOT NULL,
  rule text NOT NULL,
  subject text NOT NULL,
  verdict text NOT NULL CHECK (verdict IN ('approved', 'held', 'struck')),
  reason text NOT NULL DEFAULT '',
  made_by text NOT NULL,
  made_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  until_at timestamptz NOT NULL,
  withdrawn_by text,
  withdrawn_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX plan_marks_of_contact ON keepwell.plan_marks (tenant_id, contact_id);

-- A message that never left does not stand in the way of the one that takes its place.
ALTER TABLE keepwell.sends DROP CONSTRAINT sends_tenant_id_dedupe_key_key;
CREATE UNIQUE INDEX sends_once ON keepwell.sends (tenant_id, dedupe_key)
  WHERE state NOT IN ('suppressed', 'failed');

-- Decisions of a moment, for summaries: a few pages, whatever the number of rows.
CREATE INDEX decisions_by_moment ON keepwell.decisions USING brin (as_of);
CREATE INDEX runs_by_moment ON keepwell.runs (tenant_id, kind, as_of);
