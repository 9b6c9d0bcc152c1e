"""Grad-CAM of builtin:mnist in torch, written anew from the paper (Selvaraju et al. 2017, section 3):
writes crates/bit-transfer/src/explain_by_torch.json."""

import json
from pathlib import Path

import mnist
import numpy as np
import torch
from transformers import BitForImageClassification

OUTPUT = Path(__file__).resolve().parents[2] / "crates/bit-transfer/src/explain_by_torch.json"


def pixels() -> torch.Tensor:
    """Any picture that is easily made elsewhere."""
    places = np.arange(3 * 64 * 64)
    return torch.from_numpy((places * places % 251 / 125 - 1).astype(np.float32).reshape(1, 3, 64, 64))


def heat(network: BitForImageClassification, hidden_state: int, label: int) -> dict:
    state, states = network.bit.embedder(pixels().double()), []
    states.append(state)
    for stage in network.bit.encoder.stages:
        state = stage(state)
        states.append(state)
    logit = network.classifier(network.bit.pooler(network.bit.norm(state)))[0, label]
    chosen = states[hidden_state]
    (gradient,) = torch.autograd.grad(logit, chosen)
    alphas = gradient.mean(dim=(2, 3), keepdim=True)
    values = torch.relu((alphas * chosen).sum(dim=1))[0]
    values = (values / values.max().clamp(min=1e-30)).detach().numpy()
    return {"hidden_state": hidden_state, "class": label, "logit": round(logit.item(), 6),
            "values": values.round(6).tolist()}  # fmt: skip


if __name__ == "__main__":
    network = BitForImageClassification.from_pretrained(mnist.MODEL).double().eval()
    expected = network(pixels().double()).logits
    cases = [heat(network, state, label) for state in (2, 4) for label in (3, 8)]
    assert all(abs(expected[0, case["class"]].item() - case["logit"]) < 1e-5 for case in cases)
    OUTPUT.write_text(json.dumps(cases) + "\n")
