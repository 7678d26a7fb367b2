"""Networks that more than one lab uses, after the lab that builds them by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def lenet() -> torch.nn.Sequential:
    """LeNet as the lab *LeNet reads digits* builds it: images (n, 1, 28, 28) in, logits (n, 10) out, 61,706 weights.

    It pools before it keeps the positive part, which gives the same numbers in less time. Weights are drawn from torch's
    default generator, so seed that first. Source: LeCun and others, «Gradient-based learning applied to document
    recognition», 1998, with today's activations.
    """
    from collections import OrderedDict

    from torch import nn

    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, 5, padding=2),
            pool1=nn.MaxPool2d(2),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(6, 16, 5),
            pool2=nn.MaxPool2d(2),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            fc1=nn.Linear(16 * 5 * 5, 120),
            relu3=nn.ReLU(),
            fc2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            fc3=nn.Linear(84, 10),
        )
    )
