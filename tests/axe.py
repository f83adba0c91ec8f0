"""What axe-core finds wrong in a page: names, roles, contrast, what the keyboard cannot reach."""

from pathlib import Path

import pytest

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
# All rules that axe has on by itself. It does not fetch style sheets again, which the page's policy
# forbids: only a rule that is off wants them.
RUN = """async (root) => {
  const asked = { preload: false, resultTypes: ["violations"] };
  const { violations } = await axe.run({ include: [[root]] }, asked);
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .flatMap(({ id, impact, nodes }) => nodes.map(({ target, html, failureSummary: said }) => (
      `${id} (${impact}) at ${target.join(" ")}\\n  ${html.slice(0, 200)}\\n  ${said}`)));
}"""


def examine(page, scene, root="html"):
    """Fail with every serious fault below `root`: the rule, the node, and what axe says of it."""
    if not AXE.exists():
        pytest.skip("no axe-core; `make types` brings it, where there is Node")
    page.evaluate(AXE.read_text("utf-8"))
    faults = page.evaluate(RUN, root)
    if faults:
        pytest.fail("\n".join([f"{scene}: {len(faults)} faults", *faults]), pytrace=False)
