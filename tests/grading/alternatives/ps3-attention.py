"""Another way to be right, for every answer of ps3-attention."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence


def read_tunes(X, lengths, weights_x, weights_h, bias):
    network = nn.RNN(X.shape[2], len(bias), batch_first=True).to(X.dtype)
    with torch.no_grad():
        for weights, given in zip(network.parameters(), (weights_x, weights_h, bias, 0 * bias), strict=True):
            weights.copy_(given)
    return network(pack_padded_sequence(X, lengths, batch_first=True, enforce_sorted=False))[1][0]


def lstm_step(x, hidden, cell, weights_x, weights_h, bias, order="ifgo"):
    size = cell.shape[1]
    rows = torch.cat([torch.arange(size) + size * order.index(gate) for gate in "ifgo"])
    library = nn.LSTMCell(x.shape[1], size)
    library.load_state_dict(
        {
            "weight_ih": weights_x[rows],
            "weight_hh": weights_h[rows],
            "bias_ih": bias[rows],
            "bias_hh": torch.zeros(4 * size),
        }
    )
    return list(library(x, (hidden, cell)))


def split_heads(x, heads):
    return torch.stack(x.chunk(heads, dim=-1), dim=1)


def may_look(tokens, padding):
    places = torch.arange(tokens.size(1))
    return torch.logical_and(places[None, :, None] >= places, tokens.ne(padding).unsqueeze(1))


def masked_softmax(scores, mask):
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    exp_scores = torch.exp(scores - scores.amax(dim=-1, keepdim=True)) * mask
    total = exp_scores.sum(dim=-1, keepdim=True)
    return exp_scores / torch.where(total > 0, total, torch.ones_like(total))


def attend(queries, keys, values, mask):
    shared = queries.unflatten(1, (keys.shape[1], -1))
    scores = torch.einsum("nkhtd,nksd->nkhts", shared, keys) * keys.shape[-1] ** -0.5
    attention = torch.where(mask[:, None, None], scores, -torch.inf).softmax(dim=-1)
    return torch.einsum("nkhts,nksv->nkhtv", attention, values).flatten(1, 2)


def next_token_loss(logits, tokens, padding):
    real = tokens[:, 1:] != padding
    surprise = -logits.log_softmax(dim=-1)[:, :-1].gather(2, tokens[:, 1:, None]).squeeze(2)
    return surprise[real].sum().reshape(1) / real.sum()


def hum(model, tokens, stop, padding, steps):
    tunes = tokens.tolist()
    for _ in range(steps):
        guesses = model(torch.tensor(tunes))[:, -1].topk(1).indices.flatten().tolist()
        tunes = [
            [*tune, padding if stop in tune[tokens.shape[1] :] else guess]
            for tune, guess in zip(tunes, guesses, strict=True)
        ]
        if all(stop in tune[tokens.shape[1] :] for tune in tunes):
            break
    return torch.tensor(tunes)


def attend_cached(queries, keys, values, cache=None):
    past = cache["keys"] if cache else []
    pairs = [*past, *zip(keys.unbind(2), values.unbind(2), strict=True)]
    outputs = []
    for t, query in enumerate(queries.unbind(2), start=len(past) + 1):
        seen_keys, seen_values = (torch.stack(kind, dim=2) for kind in zip(*pairs[:t], strict=True))
        outputs.append(F.scaled_dot_product_attention(query[:, :, None], seen_keys, seen_values))
    return [torch.cat(outputs, dim=2), {"keys": pairs}]
