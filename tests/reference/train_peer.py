"""PyTorch as a contender of `cargo xtask bench --training`.

    train_peer.py transformers|channels-last FOLDER INPUTS.safetensors

It loads the model, puts zeros into its head as big_transfer does, and writes `ready MILLISECONDS`. To each line `step` on standard input it answers with the milliseconds
of one training step (forward, backward, SGD with momentum; all parameters) and the loss before it. `bench-train FOLDER
INPUTS.safetensors` of this project does the same.
"""

import os
import sys
import time
from pathlib import Path

RATE, MOMENTUM = 1e-3, 0.9


def main() -> None:
    kind, folder, inputs = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    start = time.perf_counter()
    import torch
    from safetensors.torch import load_file
    from transformers import BitForImageClassification, logging

    logging.disable_progress_bar()
    torch.set_num_threads(int(os.environ["BIT_BURN_THREADS"]))
    model = BitForImageClassification.from_pretrained(folder).train()
    for parameter in model.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    pixels = load_file(inputs)["pixel_values"]
    if kind == "channels-last":
        model = model.to(memory_format=torch.channels_last)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(len(pixels))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    print(f"ready {(time.perf_counter() - start) * 1e3:.3f}", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(pixels).logits, labels)
        loss.backward()
        optimizer.step()
        print(f"{(time.perf_counter() - start) * 1e3:.3f} {loss.item():.7g}", flush=True)


if __name__ == "__main__":
    main()
