"""`cubbyhole world`: run seeds of the world, say what they met, and how to see a violation again."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Annotated

import structlog
import typer

from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.many import run_all
from cubbyhole.simulator.world.mutations import survey
from cubbyhole.simulator.world.run import SERVERS, Plan, Report

COVERS_FROM = 20  # seeds from which on nothing that could happen may be missing

app = typer.Typer(add_completion=False)


@app.command()
def world(
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    banks: Annotated[int, typer.Option(min=1, max=500, help="Banks in the world.")] = 3,
    days: Annotated[int, typer.Option(min=1, max=31, help="Days that it goes on.")] = 2,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to run, one after the other.")] = 1,
    often: Annotated[float, typer.Option(min=0.0, max=10.0, help="Scales how many faults there are.")] = 1.0,
    real_keys: Annotated[bool, typer.Option(help="Sign and check journals with real Ed25519 keys.")] = False,
    server: Annotated[str, typer.Option(help="memory (quick) or sql (the real services on SQLite).")] = "memory",
    jobs: Annotated[int, typer.Option(min=0, max=64, help="Processes; 0 for one a core.")] = 0,
    cover: Annotated[
        bool, typer.Option(help="Fail where something that could happen never did (always from 20 seeds on).")
    ] = False,
    mutate: Annotated[bool, typer.Option(help="Run the faulty variants of the production code instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Run the bank core, the domain and the ingest in a seeded world, and check what must always hold."""
    # What the controllers log in the world is about made-up faults; the findings are printed here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if mutate:
        raise typer.Exit(_mutate(seeds if seeds > 1 else 12, as_json))
    if server not in SERVERS:
        raise typer.BadParameter(f"{server!r} is none of {', '.join(SERVERS)}")
    one = Plan(seed=seed, banks=banks, days=days, often=often, real_keys=real_keys, server=server)
    coverage = Coverage()
    violations = 0
    for report in run_all([replace(one, seed=at) for at in range(seed, seed + seeds)], coverage, jobs):
        violations += report.violation is not None
        if as_json or report.violation is not None or seeds == 1:
            typer.echo(json.dumps(as_dict(report)) if as_json else as_text(report))
    missing = coverage.missing()
    summary = {
        "seeds": seeds, "violations": violations, "never_happened": missing, "faults": dict(coverage.faults),
        "reasons": dict(coverage.reasons), "outcomes": dict(coverage.outcomes),
        "transitions": {f"{s} {f}": n for (s, f), n in coverage.transitions.items()},
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        typer.echo(f"{seeds} seeds, {violations} violations; never happened: {', '.join(missing) or 'nothing'}")
    if violations or (missing and (cover or seeds >= COVERS_FROM)):
        raise typer.Exit(1)


def as_dict(report: Report) -> dict[str, object]:
    return {
        "seed": report.plan.seed, "banks": report.plan.banks, "days": report.plan.days, "violation": report.violation,
        "invariant": report.invariant, "lines": report.lines, "taps": report.taps, "pulses": report.pulses,
        "cpu_s": round(report.cpu_s, 3), "replay": report.plan.command(),
    }  # fmt: skip


def as_text(report: Report) -> str:
    if report.violation is not None:
        return f"VIOLATION of {report.violation}\n  seed {report.plan.seed}; see it again: {report.plan.command()}"
    return (
        f"seed {report.plan.seed}: {report.plan.banks} banks, {report.plan.days} days, {report.taps} taps, "
        f"{report.lines} journal lines, {report.pulses} pulses in {report.cpu_s:.1f} s of one core: all held"
    )


def _mutate(seeds: int, as_json: bool) -> int:
    survived = 0
    for found in survey(seeds):
        survived += found.caught_by is None
        if as_json:
            typer.echo(
                json.dumps(
                    {
                        "mutation": found.name,
                        "invariant": found.invariant,
                        "caught_by": found.caught_by,
                        "seeds": found.seeds,
                    }
                )
            )
        else:
            how = (
                f"caught by {found.caught_by!r} after {found.seeds} seeds"
                if found.caught_by
                else f"SURVIVED {found.seeds} seeds"
            )
            typer.echo(f"{found.invariant} | {found.name}: {how}")
    return 1 if survived else 0
