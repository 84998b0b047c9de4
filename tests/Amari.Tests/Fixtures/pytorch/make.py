"""Writes the files of this folder with PyTorch (python3-torch 1.13.1 of Debian 12): /usr/bin/python3 make.py"""

import json
import os
from collections import OrderedDict

import torch
from torch import nn

torch.manual_seed(0)
expected = {}


def numbers(tensor):
    return {"shape": list(tensor.shape), "data": tensor.detach().double().reshape(-1).tolist()}


def save(name, content, tensors, **options):
    torch.save(content, name, **options)
    expected[name] = {key: numbers(value) for key, value in tensors.items()}


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).flatten(1))


model = Network()
model(torch.randn(5, 1, 4, 4))  # moves the running statistics
state = model.state_dict()
save("model.pt", state, state)
save("model-legacy.pt", state, state, _use_new_zipfile_serialization=False)
save("model-protocol4.pt", state, state, pickle_protocol=4)
save("model-legacy-protocol4.pt", state, state, _use_new_zipfile_serialization=False, pickle_protocol=4)

base = torch.arange(12.0).reshape(3, 4)
tensors = OrderedDict(
    float64=torch.tensor([1.5, -2.25], dtype=torch.float64),
    float16=torch.tensor([1.5, -65504.0], dtype=torch.float16),
    bfloat16=torch.tensor([1.5, -3e38], dtype=torch.bfloat16),
    int64=torch.tensor([2**53, -1]),
    int32=torch.tensor([7, -8], dtype=torch.int32),
    int16=torch.tensor([7, -8], dtype=torch.int16),
    int8=torch.tensor([7, -8], dtype=torch.int8),
    uint8=torch.tensor([7, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    scalar=torch.tensor(3.5),
    empty=torch.zeros(0, 4),
    transposed=base.T,
    slice=base[1:, ::2],
    row=base[2],
    whole=base,
    expanded=torch.tensor([2.0]).expand(3, 2),
    parameter=nn.Parameter(torch.tensor([4.0, 5.0])),
)
save("tensors.pt", tensors, tensors)
save("tensors-legacy.pt", tensors, tensors, _use_new_zipfile_serialization=False)

# A training checkpoint as in PyTorch's tutorials.
model.zero_grad()
adam = torch.optim.Adam(model.parameters(), lr=0.01)
model(torch.randn(5, 1, 4, 4)).square().sum().backward()
adam.step()
save(
    "checkpoint.pt",
    {"epoch": 3, "model_state_dict": model.state_dict(), "optimizer_state_dict": adam.state_dict(), "loss": 0.25},
    model.state_dict(),
)


def continued(name, make, **options):
    """The state after 3 steps, the gradients of 3 further ones, and the parameters before and after those."""
    used, unused = nn.Linear(3, 4), nn.Linear(2, 2)
    optimizer = make(used, unused)
    gradients = [[torch.randn_like(p) for p in used.parameters()] for _ in range(6)]

    def steps(some):
        for step in some:
            for p, g in zip(used.parameters(), step):
                p.grad = g.clone()
            optimizer.step()
        return [numbers(p) for p in [*used.parameters(), *unused.parameters()]]

    before = steps(gradients[:3])
    state = optimizer.state_dict()
    state["param_groups"][0].update(options)
    torch.save(state, name)
    expected[name] = {"before": before, "gradients": [[numbers(g) for g in step] for step in gradients[3:]], "after": steps(gradients[3:])}


def groups(used, unused, first, second):
    return [{"params": [used.weight], **first}, {"params": [used.bias, *unused.parameters()], **second}]


for kind in torch.optim.AdamW, torch.optim.Adam:
    continued(
        f"{kind.__name__.lower()}.pt",
        lambda used, unused: kind(
            groups(
                used,
                unused,
                {"lr": 0.02, "weight_decay": 0.1, "betas": (0.8, 0.95)},
                {"lr": 0.01, "eps": 1e-3, "amsgrad": True, "maximize": True},
            )
        ),
    )
continued(
    "sgd.pt",
    lambda used, unused: torch.optim.SGD(
        groups(used, unused, {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True}, {"momentum": 0.8, "dampening": 0.3, "maximize": True}),
        lr=0.05,
    ),
)
continued(
    "sgd-plain.pt",
    lambda used, unused: torch.optim.SGD([*used.parameters(), *unused.parameters()], lr=0.05),
    lr=torch.tensor(0.05),  # as later versions allow
    initial_lr=0.2,  # as schedulers note
)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch executed",)


torch.save({"weight": Malicious()}, "malicious.pt")
torch.save({"weight": Malicious()}, "malicious-legacy.pt", _use_new_zipfile_serialization=False)

with open("expected.json", "w") as file:
    json.dump(expected, file, separators=(",", ":"))
