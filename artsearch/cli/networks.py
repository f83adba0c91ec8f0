"""`python -m artsearch networks`: the table of networks, as Markdown; the README holds it, too."""

from __future__ import annotations

import click

HEAD = ("name", "network", "numbers a work", "side", "taken", "weights", "licence", "good for")
HEAD += ("source",)
#: Any network of timm, by its name there; its entry is made when it is asked for.
TIMM = ("`timm:NAME`", "any of timm", *["its own"] * 2, "its own output", "download", "its own")
TIMM += ("a comparison", "its own")
OPEN_CLIP = ("`open_clip:NAME`", "any of open_clip", *["its own"] * 2, "projection", "download")
OPEN_CLIP += ("its own", 'words: `search.ask("a mountain lake")`', "its own")


@click.command()
@click.option("--plain", is_flag=True, help="Without what is on this machine.")
def networks(plain: bool) -> None:
    """Print the networks as a table: sizes, licences, and whether their weights are here."""
    click.echo(table_of_networks(look=not plain))


def table_of_networks(look: bool = False) -> str:
    """Return the registry as a Markdown table, a row an entry.

    With `look` it says of each whether its weights are on this machine.
    """
    from artsearch.networks.registry import NETWORKS

    rows = [HEAD, ["---"] * len(HEAD), *(_row(one, look) for one in NETWORKS.values())]
    rows += [TIMM, OPEN_CLIP]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(network, look: bool) -> list[str]:
    pooled = f", pooled to {network.pool} × {network.pool}" if network.pool > 1 else ""
    return [
        f"`{network.name}`",
        network.title,
        f"{network.dims:,}",
        f"{network.size} px",
        f"`{network.layer}`{pooled}" if network.layer else network.descriptor,
        _weights(network.weights, look),
        f"{network.licence}{', not commercial' if network.is_non_commercial else ''}",
        network.good_for,
        network.paper,
    ]


def _weights(weights, look: bool) -> str:
    from artsearch.base.errors import WeightsError
    from artsearch.networks.weights import find_weights

    source = f"{'package' if weights.package else 'download'}, {weights.megabytes} MB"
    if not look:
        return source
    try:
        return f"here ({source})" if find_weights(weights) else source
    except WeightsError as error:
        return f"{source}; {error}"
