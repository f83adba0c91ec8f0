"""What a module does not import until it is needed: a command that asks nothing of torch starts."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "timm", "fastai", "onnxruntime", "datasets", "sklearn", "ray"}


@pytest.mark.parametrize(
    ("code", "without"),
    [
        ("import artsearch", HEAVY | {"pandas"}),
        (
            "import artsearch, artsearch.networks.registry, artsearch.networks.hooks\n"
            "assert artsearch.NETWORKS['resnet50'].dims == 2048\n"
            "artsearch.choose_networks('vgg16,efficientnet_lite0')",
            HEAVY | {"pandas", "huggingface_hub"},
        ),
        (
            "import artsearch.gallery.widget, artsearch.evaluate.repaint, artsearch.fetch.wikiart",
            HEAVY,
        ),
        ("import artsearch.cli.commands", HEAVY | {"pandas"}),
    ],
    ids=["package", "registry", "modules", "command"],
)
def test_importing_costs_nothing_heavy(code, without):
    code += f"\nimport sys; print(*{without!r} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
