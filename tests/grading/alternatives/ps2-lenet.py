"""Another way to be right, for every answer of ps2-lenet."""

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn
from torch.nn import functional as F


def cross_correlate(image, kernel, stride=1, padding=0):
    frame = np.zeros((image.shape[0] + 2 * padding, image.shape[1] + 2 * padding))
    frame[padding : padding + image.shape[0], padding : padding + image.shape[1]] = image
    return np.einsum("ijab,ab->ij", sliding_window_view(frame, kernel.shape)[::stride, ::stride], kernel)


def output_size(size, kernel, stride=1, padding=0):
    return np.int64(len(range(0, size + 2 * padding - kernel + 1, stride)))


def silent_batch_sizes(features_per_image, features_expected, largest):
    def works(batch):
        try:
            torch.zeros(batch, features_per_image).view(-1, features_expected)
        except RuntimeError:
            return False
        return True

    return list(filter(works, range(1, largest + 1)))


flatten = nn.Flatten()


class LeNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.ZeroPad2d(2),
            nn.Conv2d(1, 6, 5),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Linear(84, 10),
        )


def train_step(model, optimizer, X, y):
    loss = nn.CrossEntropyLoss()(model.train()(X), y)
    model.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@torch.inference_mode()
def evaluate(model, X, y, batch_size):
    before = model.training
    model.eval()
    logits = torch.cat([model(batch) for batch in X.split(batch_size)])
    model.train(before)
    return F.cross_entropy(logits, y), (logits.argmax(1) == y).float().mean()


def recall_precision(matrix):
    with np.errstate(all="ignore"):
        return [np.nan_to_num(np.diag(matrix) / matrix.sum(axis)) for axis in (1, 0)]


def most_confused(matrix):
    pairs = [(matrix[i, j], i, j) for i in range(len(matrix)) for j in range(len(matrix)) if i != j]
    return list(max(pairs)[1:])
