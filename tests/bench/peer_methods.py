"""The peers, each used as its own documentation says; runs in the environment of one of them.

The job comes as JSON: peer, network, library and architecture, size, layer, folder of works, folder
to write in. Nothing of this project is imported here but the other end of the pipe.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from worker import serve

Round = Callable[[], int]


def img2vec_pytorch(job: dict) -> tuple[Round, dict]:
    """Lists of images into get_vec, 16 at a time: it has no batch size of its own."""
    import numpy as np
    import torch
    from PIL import Image
    from torchvision import models

    without_downloads("resnet50")
    # Its VGG-16 is the one with batch normalisation: the plain one takes its place, so that the
    # backbone is the same. Both have the layer that it takes.
    models.vgg16_bn = lambda weights: models.vgg16()
    from img2vec_pytorch import Img2Vec

    img2vec = Img2Vec(cuda=torch.cuda.is_available(), model=job["architecture"])
    paths = sorted(Path(job["folder"]).iterdir())

    def run() -> int:
        rows = []
        for start in range(0, len(paths), 16):
            images = [Image.open(path).convert("RGB") for path in paths[start : start + 16]]
            rows.append(img2vec.get_vec(images))
        return len(np.concatenate(rows))

    run()
    return run, {"note": "its get_vec with lists of 16; VGG-16 without batch normalisation"}


def imagededup(job: dict) -> tuple[Round, dict]:
    """encode_images on the folder, with the network as a CustomModel; its batch is 64."""
    import torch
    from torchvision import transforms

    # Merely importing it downloads MobileNet.
    without_downloads("mobilenet_v3_small")
    from imagededup.methods import CNN
    from imagededup.utils import CustomModel

    size = job["size"]
    steps = [
        transforms.Resize((size, size)),
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ]
    model = as_features(job, torch)
    config = CustomModel(job["network"], model, transforms.Compose(steps))
    encoder = CNN(verbose=False, model_config=config)

    def run() -> int:
        return len(encoder.encode_images(job["folder"]))

    run()
    return run, {"note": "its CustomModel, with its own batch of 64"}


def thingsvision(job: dict) -> tuple[Round, dict]:
    """extract_features over its own dataset and loader, with the batch of 32 of its README."""
    import torch
    from thingsvision import get_extractor
    from thingsvision.utils.data import DataLoader, ImageDataset

    extractor = get_extractor(
        model_name=job["architecture"],
        source=job["library"],
        device="cuda" if torch.cuda.is_available() else "cpu",
        pretrained=False,
    )
    size = job["size"]
    # As in its README, 256 and 224; in the same proportion for networks that see more. The
    # networks of timm bring their own and do not look at these.
    transforms = extractor.get_transformations(resize_dim=round(size / 0.875), crop_dim=size)
    backend = extractor.get_backend()

    def run() -> int:
        dataset = ImageDataset(
            root=job["folder"], out_path=job["scratch"], backend=backend, transforms=transforms
        )
        batches = DataLoader(dataset=dataset, batch_size=32, backend=backend)
        features = extractor.extract_features(
            batches=batches, module_name=job["layer"], flatten_acts=True, output_type="ndarray"
        )
        return len(features)

    run()
    return run, {"note": "its extract_features, with the batch of 32 of its README"}


def without_downloads(name: str) -> None:
    """Let torchvision build a network with random weights, whichever weights are asked for."""
    from torchvision import models

    build = getattr(models, name)
    setattr(models, name, lambda weights: build())


def as_features(job: dict, torch):
    """Return a network up to its last pooling, with random weights, as a CustomModel is to be."""
    if job["library"] == "timm":
        import timm

        return timm.create_model(job["architecture"], num_classes=0).eval()
    import torchvision

    model = torchvision.models.get_model(job["architecture"], weights=None)
    if hasattr(model, "fc"):
        model.fc = torch.nn.Identity()
    else:
        model.classifier = model.classifier[:-1]
    return model.eval()


PEERS: dict[str, Callable[[dict], tuple[Round, dict]]] = {
    "img2vec_pytorch": img2vec_pytorch,
    "imagededup": imagededup,
    "thingsvision": thingsvision,
}

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    serve(partial(PEERS[job["method"]], job))
