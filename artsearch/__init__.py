"""artsearch: find visually similar artworks, and see what each network means by similar."""

import importlib

_WHERE = {
    "ArtMap": "map_widget",
    "ArtsearchError": "errors",
    "Blend": "descriptors",
    "CENTER_CROP": "transforms",
    "Collection": "collection",
    "FeatureExtractor": "features",
    "Features": "features",
    "ImageDataset": "collection",
    "LayerHook": "hooks",
    "METRICS": "index",
    "NETWORKS": "networks",
    "NO_CROP": "transforms",
    "Question": "question",
    "Results": "results",
    "Search": "search",
    "Searches": "search",
    "choose_networks": "networks",
    "compute_features": "features",
    "construct_ann_index": "index",
    "construct_exact_index": "index",
    "construct_index": "index",
    "layers": "hooks",
    "load_features": "store",
    "load_index": "index",
    "map_layout": "map",
    "open_image": "images",
    "recall_at_k": "evaluate",
    "save_features": "store",
    "stored_features": "extract",
    "transform_for": "transforms",
    "visualise_transforms": "plots",
}
__all__ = sorted(_WHERE)
__version__ = "0.1.0"


def __getattr__(name: str):
    # Each name is imported when it is first asked for: `import artsearch` costs no torch.
    if name not in _WHERE:
        raise AttributeError(f"module 'artsearch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"artsearch.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
