"""`keepwell`: all commands."""

import typer

from cli.approvals_commands import approvals
from cli.audit_command import audit_command
from cli.churn_commands import (
    drift_command,
    report_command,
    set_definition_command,
    show_definition_command,
)
from cli.database_commands import upgrade_command
from cli.decide_command import decide_command
from cli.decision_summary_command import summary_command
from cli.decisions_commands import explain_command as explain_decision_command
from cli.decisions_commands import replay_all_command, replay_command
from cli.demo_command import demo_command
from cli.doctor_command import doctor
from cli.experiments_commands import (
    judge_experiments_command,
    lift_command,
    list_experiments_command,
    plan_experiment_command,
    show_experiment_command,
    start_experiment_command,
    stop_experiment_command,
    uplift_command,
)
from cli.experiments_evaluate_command import evaluate_command
from cli.health_commands import score_command, train_command
from cli.health_contact_commands import (
    at_risk_command,
    explain_health_command,
    lift_override_command,
    override_command,
    show_health_command,
)
from cli.health_settings_commands import (
    fit_levels_command,
    fit_weights_command,
    set_levels_command,
    set_weights_command,
    show_settings_command,
)
from cli.import_command import import_command
from cli.insights_command import insights_command
from cli.keys_command import keys
from cli.learn_command import learn_command
from cli.measure_command import measure_command
from cli.models_commands import (
    list_models_command,
    promote_model_command,
    rollback_model_command,
    show_model_command,
)
from cli.plan_commands import plan
from cli.policy_commands import (
    policy_machines_command,
    policy_set_command,
    policy_show_command,
    policy_versions_command,
)
from cli.rules_analysis_commands import conflicts_command, coverage_command, diff_command
from cli.rules_authoring_commands import (
    docs_command,
    fields_command,
    fmt_command,
    schema_command,
)
from cli.rules_codes_command import explain_code_command
from cli.rules_commands import check_command, examples_command
from cli.rules_contact_commands import explain_command, why_not_command
from cli.rules_data_commands import backtest_command
from cli.rules_due_commands import due_command, verify_command
from cli.rules_new_command import new_command
from cli.rules_release_commands import (
    halt_command,
    list_command,
    promote_command,
    publish_command,
    releases_command,
    rollback_command,
)
from cli.sentiment_command import sentiment_command
from cli.serve_command import serve_command
from cli.what_if_command import what_if_command
from cli.worker_command import worker_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keepwell decides, for each customer of a service business, what to do next.",
)


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=text)
    app.add_typer(group, name=name)
    return group


app.command("demo")(demo_command)
app.command("serve")(serve_command)
app.command("worker")(worker_command)
app.command("import")(import_command)
app.command("train")(train_command)
app.command("score")(score_command)
app.command("sentiment")(sentiment_command)
app.command("decide")(decide_command)
app.command("learn")(learn_command)
app.command("measure")(measure_command)
app.command("lift")(lift_command)
app.command("uplift")(uplift_command)
app.command("insights")(insights_command)
app.command("audit")(audit_command)
app.command("what-if")(what_if_command)
app.command("doctor")(doctor)

_database = _group("db", "The database schema.")
_database.command("upgrade")(upgrade_command)

_decisions = _group("decisions", "Stored decisions.")
_decisions.command("explain")(explain_decision_command)
_decisions.command("summary")(summary_command)
_decisions.command("replay")(replay_command)
_decisions.command("replay-all")(replay_all_command)

_policy = _group("policy", "What limits and steers decisions.")
_policy.command("show")(policy_show_command)
_policy.command("set")(policy_set_command)
_policy.command("machines")(policy_machines_command)
_policy.command("versions")(policy_versions_command)

_experiments = _group("experiments", "Experiments on messages.")
_experiments.command("list")(list_experiments_command)
_experiments.command("plan")(plan_experiment_command)
_experiments.command("show")(show_experiment_command)
_experiments.command("start")(start_experiment_command)
_experiments.command("stop")(stop_experiment_command)
_experiments.command("judge")(judge_experiments_command)
_experiments.command("evaluate")(evaluate_command)

_rules = _group("rules", "Rule files.")
_rules.command("check")(check_command)
_rules.command("test")(examples_command)
_rules.command("coverage")(coverage_command)
_rules.command("conflicts")(conflicts_command)
_rules.command("diff")(diff_command)
_rules.command("publish")(publish_command)
_rules.command("new")(new_command)
_rules.command("fmt")(fmt_command)
_rules.command("docs")(docs_command)
_rules.command("schema")(schema_command)
_rules.command("fields")(fields_command)
_rules.command("explain")(explain_command)
_rules.command("why-not")(why_not_command)
_rules.command("backtest")(backtest_command)
_rules.command("explain-code")(explain_code_command)
_rules.command("list")(list_command)
_rules.command("promote")(promote_command)
_rules.command("halt")(halt_command)
_rules.command("rollback")(rollback_command)
_rules.command("releases")(releases_command)
_rules.command("verify")(verify_command)
_rules.command("due")(due_command)


app.add_typer(approvals, name="approvals")
app.add_typer(plan, name="plan")
_churn = _group("churn", "How right the predictions were, and whether they still are.")
_churn.command("report")(report_command)
_churn.command("drift")(drift_command)
_definition = typer.Typer(no_args_is_help=True, help="When a contact counts as gone.")
_churn.add_typer(_definition, name="definition")
_definition.command("show")(show_definition_command)
_definition.command("set")(set_definition_command)

_models = _group("models", "Churn models: who serves, who challenged, and going back.")
_models.command("list")(list_models_command)
_models.command("show")(show_model_command)
_models.command("promote")(promote_model_command)
_models.command("rollback")(rollback_model_command)

_health = _group("health", "Health of contacts: scores, overrides, weights, levels.")
_health.command("show")(show_health_command)
_health.command("explain")(explain_health_command)
_health.command("at-risk")(at_risk_command)
_health.command("override")(override_command)
_health.command("lift")(lift_override_command)
for _name, _text, _set, _fit in (
    ("weights", "Weights of the parts of health.", set_weights_command, fit_weights_command),
    ("levels", "Where risk levels begin.", set_levels_command, fit_levels_command),
):
    _settings = typer.Typer(no_args_is_help=True, help=_text)
    _health.add_typer(_settings, name=_name)
    _settings.command("show")(show_settings_command)
    _settings.command("set")(_set)
    _settings.command("fit")(_fit)

app.add_typer(keys, name="keys")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
