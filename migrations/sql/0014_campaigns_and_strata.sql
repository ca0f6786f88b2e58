-- Campaigns of the CRM as rules, texts of the tenant's own, and the experiment's draws by stratum.

-- What became of each campaign when it was last taken in, and what of its counts is ours already:
-- the CRM's counters get the difference, so that nothing is counted twice and nothing is lost.
CREATE TABLE keepwell.campaigns (
  tenant_id uuid NOT NULL,
  campaign_id uuid NOT NULL,
  rule text NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'resting', 'refused', 'ended')),
  faults jsonb NOT NULL DEFAULT '[]',
  counted jsonb NOT NULL DEFAULT '{}',
  taken_in_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, campaign_id)
);

-- Texts that a tenant has written itself. A template's name is the digest of its texts: what a
-- decision was made with is never changed.
CREATE TABLE keepwell.message_texts (
  tenant_id uuid NOT NULL,
  template text NOT NULL,
  channel text NOT NULL CHECK (channel IN ('email', 'sms', 'call_task')),
  variant text NOT NULL,
  source text NOT NULL,
  written_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, template, channel, variant)
);

-- The number in (0, 1) that decides a contact's group, drawn once: evenly within its stratum.
CREATE TABLE keepwell.group_draws (
  tenant_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  number double precision NOT NULL CHECK (number > 0 AND number < 1),
  stratum text NOT NULL,
  drawn_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, contact_id)
);

-- Violations of the policy that audits have found; who answers for the tenant is told of each once.
CREATE TABLE keepwell.audit_findings (
  tenant_id uuid NOT NULL,
  kind text NOT NULL,
  id text NOT NULL,
  found_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, kind, id)
);

CREATE INDEX sends_of_action ON keepwell.sends (tenant_id, action);
CREATE UNIQUE INDEX keepwell_journey_stage_once
  ON customer_journey_stages (tenant_id, industry, stage_name) WHERE tenant_id IS NOT NULL
  AND automated_actions ->> 'written_by' = 'keepwell';
