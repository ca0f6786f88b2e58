"""`keepwell`: all commands, and where each is; it is imported when it runs."""

from cli.later import group

_db = group(
    "db",
    "The database schema.",
    {
        "upgrade": "database_commands.upgrade_command",
    },
)
_decisions = group(
    "decisions",
    "Stored decisions.",
    {
        "explain": "decisions_commands.explain_command",
        "summary": "decision_summary_command.summary_command",
        "replay": "decisions_commands.replay_command",
        "replay-all": "decisions_commands.replay_all_command",
    },
)
_policy = group(
    "policy",
    "What limits and steers decisions.",
    {
        "show": "policy_commands.policy_show_command",
        "set": "policy_commands.policy_set_command",
        "machines": "policy_commands.policy_machines_command",
        "groups": "policy_commands.policy_groups_command",
        "versions": "policy_commands.policy_versions_command",
    },
)
_experiments = group(
    "experiments",
    "Experiments on messages.",
    {
        "list": "experiments_commands.list_experiments_command",
        "plan": "experiments_commands.plan_experiment_command",
        "show": "experiments_commands.show_experiment_command",
        "start": "experiments_commands.start_experiment_command",
        "stop": "experiments_commands.stop_experiment_command",
        "judge": "experiments_commands.judge_experiments_command",
        "evaluate": "experiments_evaluate_command.evaluate_command",
    },
)
_rules = group(
    "rules",
    "Rule files.",
    {
        "check": "rules_commands.check_command",
        "test": "rules_commands.examples_command",
        "coverage": "rules_analysis_commands.coverage_command",
        "conflicts": "rules_analysis_commands.conflicts_command",
        "diff": "rules_analysis_commands.diff_command",
        "publish": "rules_release_commands.publish_command",
        "new": "rules_new_command.new_command",
        "fmt": "rules_authoring_commands.fmt_command",
        "docs": "rules_authoring_commands.docs_command",
        "schema": "rules_authoring_commands.schema_command",
        "fields": "rules_authoring_commands.fields_command",
        "explain": "rules_contact_commands.explain_command",
        "why-not": "rules_contact_commands.why_not_command",
        "backtest": "rules_data_commands.backtest_command",
        "explain-code": "rules_codes_command.explain_code_command",
        "list": "rules_release_commands.list_command",
        "promote": "rules_release_commands.promote_command",
        "halt": "rules_release_commands.halt_command",
        "rollback": "rules_release_commands.rollback_command",
        "releases": "rules_release_commands.releases_command",
        "verify": "rules_due_commands.verify_command",
        "due": "rules_due_commands.due_command",
    },
)
_definition = group(
    "definition",
    "When a contact counts as gone.",
    {
        "show": "churn_commands.show_definition_command",
        "set": "churn_commands.set_definition_command",
    },
)
_churn = group(
    "churn",
    "How right the predictions were, and whether they still are.",
    {
        "report": "churn_commands.report_command",
        "drift": "churn_commands.drift_command",
        "pool": "churn_commands.pool_command",
        "definition": _definition,
    },
)
_models = group(
    "models",
    "Churn models: who serves, who challenged, and going back.",
    {
        "list": "models_commands.list_models_command",
        "show": "models_commands.show_model_command",
        "promote": "models_commands.promote_model_command",
        "rollback": "models_commands.rollback_model_command",
    },
)
_weights = group(
    "weights",
    "Weights of the parts of health.",
    {
        "show": "health_settings_commands.show_settings_command",
        "set": "health_settings_commands.set_weights_command",
        "fit": "health_settings_commands.fit_weights_command",
    },
)
_levels = group(
    "levels",
    "Where risk levels begin.",
    {
        "show": "health_settings_commands.show_settings_command",
        "set": "health_settings_commands.set_levels_command",
        "fit": "health_settings_commands.fit_levels_command",
    },
)
_health = group(
    "health",
    "Health of contacts: scores, overrides, weights, levels.",
    {
        "show": "health_contact_commands.show_health_command",
        "explain": "health_contact_commands.explain_health_command",
        "at-risk": "health_contact_commands.at_risk_command",
        "override": "health_contact_commands.override_command",
        "lift": "health_contact_commands.lift_override_command",
        "weights": _weights,
        "levels": _levels,
    },
)
app = group(
    "keepwell",
    "Keepwell decides, for each customer of a service business, what to do next.",
    {
        "demo": "demo_command.demo_command",
        "serve": "serve_command.serve_command",
        "worker": "worker_command.worker_command",
        "import": "import_command.import_command",
        "train": "health_commands.train_command",
        "score": "health_commands.score_command",
        "sentiment": "sentiment_command.sentiment_command",
        "decide": "decide_command.decide_command",
        "learn": "learn_command.learn_command",
        "learning": "learning_command.learning_command",
        "measure": "measure_command.measure_command",
        "strategies": "strategies_command.strategies_command",
        "lift": "experiments_commands.lift_command",
        "uplift": "experiments_commands.uplift_command",
        "insights": "insights_command.insights_command",
        "audit": "audit_command.audit_command",
        "what-if": "what_if_command.what_if_command",
        "doctor": "doctor_command.doctor",
        "db": _db,
        "decisions": _decisions,
        "policy": _policy,
        "experiments": _experiments,
        "rules": _rules,
        "approvals": "approvals_commands.approvals",
        "plan": "plan_commands.plan",
        "campaigns": "campaigns_commands.campaigns",
        "consent": "consent_commands.consent",
        "churn": _churn,
        "models": _models,
        "health": _health,
        "keys": "keys_command.keys",
    },
)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
