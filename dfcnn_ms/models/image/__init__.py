"""Networks that read a clip as a picture and give one output for it, in the form in which they were made for CIFAR.

Each is a table of layers (:mod:`~dfcnn_ms.models.image.layers`), from which its Cell is built and its parameters are
counted. The room is free of MindSpore.
"""

from __future__ import annotations

from dfcnn_ms.models.image.bc_resnet import BcResNet
from dfcnn_ms.models.image.dense_net import DenseNet
from dfcnn_ms.models.image.dual_path import DualPathNet
from dfcnn_ms.models.image.network import ImageNetwork
from dfcnn_ms.models.image.resnet import ResNet
from dfcnn_ms.models.image.resnext import ResNext
from dfcnn_ms.models.image.vgg import Vgg
from dfcnn_ms.models.image.wide_resnet import WideResNet

#: kind -> value
IMAGE_NETWORKS: dict[str, type[ImageNetwork]] = {
    "vgg": Vgg,
    "resnet": ResNet,
    "wide_resnet": WideResNet,
    "resnext": ResNext,
    "dual_path": DualPathNet,
    "dense_net": DenseNet,
    "bc_resnet": BcResNet,
}

__all__ = [
    "IMAGE_NETWORKS",
    "BcResNet",
    "DenseNet",
    "DualPathNet",
    "ImageNetwork",
    "ResNet",
    "ResNext",
    "Vgg",
    "WideResNet",
]
