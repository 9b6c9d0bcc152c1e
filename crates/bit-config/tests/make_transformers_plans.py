"""Writes transformers_plans.json: what transformers 5.23.0 (torch 2.15) builds from BiT configurations.

For each case the text of `config.json` as transformers writes it, the parameters in the order of the state_dict,
and for each block [stride, dilation, drop path rate]; then the messages of configurations it refuses, and the
names of its activations.

Usage: python make_transformers_plans.py
"""

import json
import pathlib

import torch
from transformers import BitConfig, BitForImageClassification, BitModel
from transformers.activations import ACT2CLS

SMALL = dict(embedding_size=16, hidden_sizes=[32, 64, 128, 128], depths=[1, 2, 2, 1], num_groups=8)
CASES = [
    dict(),
    dict(num_labels=0, drop_path_rate=0.1),
    SMALL | dict(num_labels=10, drop_path_rate=0.3, out_features=["stem", "stage2", "stage4"]),
    SMALL | dict(output_stride=16, layer_type="bottleneck", drop_path_rate=0.2, hidden_act="gelu"),
    SMALL | dict(output_stride=8, layer_type="bottleneck", global_padding="same", num_labels=1),
    SMALL | dict(output_stride=16, out_indices=[1, -2, -1], id2label={0: "cat", 1: "dog"}),
    SMALL | dict(output_stride=8, problem_type="multi_label_classification", num_labels=5),
    SMALL | dict(output_stride=1, layer_type="bottleneck", depths=[2, 2, 2, 3]),
    SMALL | dict(output_stride=64, num_channels=1, embedding_dynamic_padding=True),
    dict(embedding_size=64, hidden_sizes=[256, 512, 1024], depths=[3, 4, 9], layer_type="bottleneck",
         global_padding="SAME", embedding_dynamic_padding=True, num_labels=3),
    dict(embedding_size=10, hidden_sizes=[24, 40, 56], depths=[1, 1, 1], num_groups=1, drop_path_rate=0.9),
    # Only the base model of a bottleneck network runs there with another width than 1.
    SMALL | dict(width_factor=2, layer_type="bottleneck", num_labels=0),
]
REFUSED = [
    dict(layer_type="foo"),
    dict(global_padding="foo"),
    dict(problem_type="single_label_classification", num_labels=1),
    dict(out_features=["stem", "foo"]),
    dict(out_features=["stem", "stem"]),
    dict(out_features=["stage2", "stage1"]),
    dict(out_indices=[0, 7]),
    dict(out_indices=[1, 1]),
    dict(out_indices=[4, -1]),
    dict(out_indices=[2, 1]),
    dict(out_indices=[-1, 0]),
    dict(out_features=["stage1"], out_indices=[1, 2]),
    dict(out_features=["stage1", "stage2"], out_indices=[1, 3]),
]


def plan(kwargs):
    config = BitConfig(**kwargs)
    whole = config.width_factor == 1
    with torch.device("meta"):
        model = BitForImageClassification(config) if whole else BitModel(config)
    base = model.bit if whole else model
    prefix = "" if whole else "bit."
    blocks = [
        [
            [layer.conv2.stride[0], layer.conv2.dilation[0], getattr(layer.drop_path, "drop_prob", 0.0)]
            for layer in stage.layers
        ]
        for stage in base.encoder.stages
    ]
    return {
        "config": config.to_json_string(),
        "parameters": [[prefix + name, list(p.shape)] for name, p in model.state_dict().items()],
        "blocks": blocks,
    }


def message(kwargs):
    try:
        BitConfig(**kwargs)
    except Exception as error:
        while error.__cause__ is not None:
            error = error.__cause__
        return str(error)
    raise SystemExit(f"{kwargs} was accepted")


result = {
    "plans": [plan(kwargs) for kwargs in CASES],
    "refused": [{"config": {"model_type": "bit"} | kwargs, "message": message(kwargs)} for kwargs in REFUSED],
    "activations": list(ACT2CLS),
}
path = pathlib.Path(__file__).with_suffix("").with_name("transformers_plans.json")
path.write_text(json.dumps(result, indent=None, separators=(",", ":")) + "\n")
