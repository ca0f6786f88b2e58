-- Every batch of outcomes makes a version of the bandits' state; a decision replays with the one it
-- names. What no decision names is computed again from the evidence, and need not be kept.
GRANT DELETE ON keepwell.policy_states TO keepwell_app;
