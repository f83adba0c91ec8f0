"""Hooks: they catch what a layer gives, and leave no trace."""

import pytest
import torch
from torch import nn

from artsearch.base.errors import ArtsearchError
from artsearch.networks.hooks import LayerHook
from artsearch.networks.loading import layers

IMAGE = torch.linspace(-1, 1, 3 * 8 * 8).reshape(1, 3, 8, 8)


@pytest.fixture
def model():
    """A small network with names, an in-place ReLU and a module that is used twice."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3))
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(6, 2))


def hooks_of(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


class Halves(nn.Module):
    """Gives a pair, and has a layer that is never used."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Conv2d(3, 4, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.used(x).chunk(2, dim=1)


# Catching


def test_a_layer_is_caught_by_name(model):
    with LayerHook(model, "0.2") as hook:
        model(IMAGE)
    assert hook["0.2"].shape == (1, 6, 4, 4)
    assert torch.equal(hook.output, model[0](IMAGE))


def test_a_layer_is_caught_by_module(model):
    with LayerHook(model, model[0][2], model[1]) as hook:
        model(IMAGE)
    assert torch.equal(hook[model[0][2]], hook["0.2"])
    assert hook[model[1]].shape == (1, 6, 1, 1)


def test_several_layers_are_caught_at_once(model):
    with LayerHook(model, "0.0", "0.2", "4") as hook:
        model(IMAGE)
    assert {name: tuple(output.shape) for name, output in hook.outputs.items()} == {
        "0.0": (1, 4, 6, 6),
        "0.2": (1, 6, 4, 4),
        "4": (1, 2),
    }


def test_the_network_itself_is_a_layer(model):
    model.eval()
    with LayerHook(model, "") as hook:
        output = model(IMAGE)
    assert torch.equal(hook.output, output)


def test_an_in_place_layer_behind_does_not_change_what_was_caught(model):
    with LayerHook(model, "0.0") as hook:
        model(IMAGE)
    assert hook.output.min() < 0
    assert torch.equal(hook.output, model[0][0](IMAGE))


def test_what_was_caught_holds_no_gradient(model):
    with LayerHook(model, "0.0") as hook:
        model(IMAGE)
    assert not hook.output.requires_grad


def test_the_last_pass_counts(model):
    with LayerHook(model, "0.0") as hook:
        model(IMAGE)
        model(torch.cat([IMAGE, IMAGE]))
    assert len(hook.output) == 2


# Leaving


def test_hooks_are_gone_after_the_block(model):
    with LayerHook(model, "0.0", "4"):
        assert hooks_of(model) == 2
    assert hooks_of(model) == 0


def test_hooks_are_gone_after_an_exception(model):
    with pytest.raises(RuntimeError), LayerHook(model, "0.0", "4"):
        model(torch.zeros(1, 5, 8, 8))
    assert hooks_of(model) == 0


def test_nested_hooks_leave_one_by_one(model):
    with LayerHook(model, "0.0") as outer:
        with LayerHook(model, "0.0", "4") as inner:
            model(IMAGE)
        assert hooks_of(model) == 1
        model(2 * IMAGE)
    assert hooks_of(model) == 0
    assert not torch.equal(outer["0.0"], inner["0.0"])


def test_other_hooks_stay(model):
    handle = model[0].register_forward_hook(lambda *arguments: None)
    with LayerHook(model, "0"):
        model(IMAGE)
    assert hooks_of(model) == 1
    handle.remove()


def test_a_hook_can_be_used_again_and_forgets(model):
    hook = LayerHook(model, "0.0")
    with hook:
        model(IMAGE)
    with hook, pytest.raises(ArtsearchError, match="'0.0' gave nothing"):
        _ = hook.output
    assert hooks_of(model) == 0


# Mistakes


def test_an_unknown_layer_is_answered_with_the_nearest():
    model = nn.ModuleDict({"layer3": nn.ReLU(), "layer4": nn.ReLU()})
    with pytest.raises(ArtsearchError, match="'layer44'; did you mean 'layer4'.*see layers"):
        LayerHook(model, "layer44")


def test_a_module_of_another_network_is_refused(model):
    with pytest.raises(ArtsearchError, match="the Linear given is no module of this network"):
        LayerHook(model, nn.Linear(1, 1))
    with pytest.raises(ArtsearchError, match="the int given is no module of this network"):
        LayerHook(model, 4)


def test_no_layer_is_refused(model):
    with pytest.raises(ArtsearchError, match="no layer named"):
        LayerHook(model)


def test_only_what_is_hooked_can_be_asked_for(model):
    with LayerHook(model, "0", "4") as hook:
        model(IMAGE)
    with pytest.raises(ArtsearchError, match="unknown hooked layer '5'.*known: 0, 4"):
        hook["5"]
    with pytest.raises(ArtsearchError, match="2 layers are hooked; name one: 0, 4"):
        _ = hook.output


def test_a_layer_that_gives_nothing_says_why():
    model = Halves()
    with LayerHook(model, "unused", "") as hook:
        model(IMAGE)
    with pytest.raises(ArtsearchError, match="'unused' gave nothing: no image went through it"):
        hook["unused"]
    with pytest.raises(ArtsearchError, match="'' gives a tuple and no tensor"):
        hook[""]


# Listing


def test_layers_of_a_registered_network():
    table = layers("resnet50").set_index("layer")
    assert table.loc["layer4", "type"] == "Sequential"
    assert table.loc["layer4", "shape"] == (2048, 7, 7)
    assert table.loc["avgpool", "shape"] == (2048, 1, 1)
    assert table.loc["fc", "parameters"] == 2048 * 1000 + 1000
    assert layers("vgg16", size=96).set_index("layer").loc["features.30", "shape"] == (512, 3, 3)


def test_layers_of_any_model_need_its_size(model):
    table = layers(model, size=8)
    assert list(table["layer"]) == ["0", "0.0", "0.1", "0.2", "1", "2", "3", "4"]
    assert list(table["shape"])[1] == (4, 6, 6)
    with pytest.raises(ArtsearchError, match="2 × 2 pixels does not go through Sequential: .*size"):
        layers(model, size=2)
    assert hooks_of(model) == 0


def test_layers_without_a_tensor_are_left_out():
    assert list(layers(Halves(), size=8)["layer"]) == ["used"]


@pytest.mark.parametrize("size", [8, 2], ids=["goes through", "fails"])
def test_layers_leaves_every_module_in_its_mode(model, size):
    model.train()
    model[0].eval()
    before = [module.training for module in model.modules()]
    try:
        layers(model, size=size)
    except ArtsearchError:
        assert size == 2
    assert [module.training for module in model.modules()] == before
    assert any(before) and not all(before)


def test_an_unknown_network_has_no_layers():
    with pytest.raises(ArtsearchError, match="did you mean 'resnet50'"):
        layers("resnet5")
