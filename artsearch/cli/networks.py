"""`python -m artsearch networks`: the table of networks, as Markdown; the README holds it, too."""

from __future__ import annotations

import click

HEAD = ("name", "network", "numbers a work", "side", "layer", "weights", "licence", "source")
#: Any network of timm, by its name there; its entry is made when it is asked for.
TIMM = ("`timm:NAME`", "any of timm", *["its own"] * 2, "the last", "download", *["its own"] * 2)


@click.command()
def networks() -> None:
    """Print the networks as a table: sizes, layers, weights and where they come from."""
    click.echo(table_of_networks())


def table_of_networks() -> str:
    """Return the registry as a Markdown table, a row an entry."""
    from artsearch.networks.registry import NETWORKS

    rows = [HEAD, ["---"] * len(HEAD), *map(_row, NETWORKS.values()), TIMM]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(network) -> list[str]:
    weights = network.weights
    pooled = f", pooled to {network.pool} × {network.pool}" if network.pool > 1 else ""
    return [
        f"`{network.name}`",
        network.title,
        f"{network.dims:,}",
        f"{network.size} px",
        f"`{network.layer}`{pooled}",
        f"{'package' if weights.package else 'download'}, {weights.megabytes} MB",
        network.licence,
        network.paper,
    ]
