"""artsearch: find visually similar artworks, and see what each network means by similar."""

import importlib

_WHERE = {
    "ArtMap": "gallery.map_widget",
    "ArtsearchError": "base.errors",
    "Blend": "features.blend",
    "CENTER_CROP": "networks.transforms",
    "Collection": "works.collection",
    "FeatureExtractor": "features.extractor",
    "Features": "features.features",
    "LayerHook": "networks.hooks",
    "METRICS": "index.factory",
    "NETWORKS": "networks.registry",
    "NO_CROP": "networks.transforms",
    "Network": "networks.network",
    "Question": "search.question",
    "Results": "search.results",
    "Search": "search.search",
    "Searches": "search.searches",
    "Words": "search.question",
    "choose_networks": "networks.registry",
    "compute_features": "features.compute",
    "construct_ann_index": "index.factory",
    "construct_exact_index": "index.factory",
    "construct_index": "index.factory",
    "layers": "networks.loading",
    "load_features": "features.store",
    "load_index": "index.factory",
    "map_layout": "show.map",
    "open_image": "works.images",
    "recall_at_k": "evaluate.labels",
    "save_features": "features.store",
    "stored_features": "features.extract",
    "transform_for": "networks.registry",
    "visualise_transforms": "show.figures",
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
