# Copyright 2020 Google LLC
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""What google-research/big_transfer trains, from its bit_pytorch/models.py, bit_pytorch/train.py and bit_hyperrule.py.

Changed by bit-burn: widths, number of groups and number of stages are arguments, so that small networks can be
made too (`R50x1` has the original's); loading is left out; the step of the training loop is a function that is given
its batch, its mixup's lambda and permutation, and its learning rate's schedule.
"""

from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F


class StdConv2d(nn.Conv2d):

  def forward(self, x):
    w = self.weight
    v, m = torch.var_mean(w, dim=[1, 2, 3], keepdim=True, unbiased=False)
    w = (w - m) / torch.sqrt(v + 1e-10)
    return F.conv2d(x, w, self.bias, self.stride, self.padding,
                    self.dilation, self.groups)


def conv3x3(cin, cout, stride=1, groups=1, bias=False):
  return StdConv2d(cin, cout, kernel_size=3, stride=stride,
                   padding=1, bias=bias, groups=groups)


def conv1x1(cin, cout, stride=1, bias=False):
  return StdConv2d(cin, cout, kernel_size=1, stride=stride,
                   padding=0, bias=bias)


class PreActBottleneck(nn.Module):
  """Pre-activation (v2) bottleneck block."""

  def __init__(self, cin, cout, cmid, stride=1, groups=32):
    super().__init__()
    self.gn1 = nn.GroupNorm(groups, cin)
    self.conv1 = conv1x1(cin, cmid)
    self.gn2 = nn.GroupNorm(groups, cmid)
    self.conv2 = conv3x3(cmid, cmid, stride)  # Original code has it on conv1!!
    self.gn3 = nn.GroupNorm(groups, cmid)
    self.conv3 = conv1x1(cmid, cout)
    self.relu = nn.ReLU(inplace=True)

    if (stride != 1 or cin != cout):
      # Projection also with pre-activation according to paper.
      self.downsample = conv1x1(cin, cout, stride)

  def forward(self, x):
    out = self.relu(self.gn1(x))

    # Residual branch
    residual = x
    if hasattr(self, 'downsample'):
      residual = self.downsample(out)

    # Unit's branch
    out = self.conv1(out)
    out = self.conv2(self.relu(self.gn2(out)))
    out = self.conv3(self.relu(self.gn3(out)))

    return out + residual


class ResNetV2(nn.Module):
  """Implementation of Pre-activation (v2) ResNet mode."""

  def __init__(self, block_units, stem, widths, groups, head_size):
    super().__init__()
    self.root = nn.Sequential(OrderedDict([
        ('conv', StdConv2d(3, stem, kernel_size=7, stride=2, padding=3, bias=False)),
        ('pad', nn.ConstantPad2d(1, 0)),
        ('pool', nn.MaxPool2d(kernel_size=3, stride=2, padding=0)),
        # The following is subtly not the same!
        # ('pool', nn.MaxPool2d(kernel_size=3, stride=2, padding=1)),
    ]))

    body, cin = OrderedDict(), stem
    for b, (units, cout) in enumerate(zip(block_units, widths), start=1):
      block = OrderedDict()
      for i in range(1, units + 1):
        stride = 2 if b > 1 and i == 1 else 1
        block[f'unit{i:02d}'] = PreActBottleneck(cin, cout, cout // 4, stride, groups)
        cin = cout
      body[f'block{b}'] = nn.Sequential(block)
    self.body = nn.Sequential(body)

    self.head = nn.Sequential(OrderedDict([
        ('gn', nn.GroupNorm(groups, cin)),
        ('relu', nn.ReLU(inplace=True)),
        ('avg', nn.AdaptiveAvgPool2d(output_size=1)),
        ('conv', nn.Conv2d(cin, head_size, kernel_size=1, bias=True)),
    ]))
    nn.init.zeros_(self.head.conv.weight)
    nn.init.zeros_(self.head.conv.bias)

  def forward(self, x):
    x = self.head(self.body(self.root(x)))
    assert x.shape[-2:] == (1, 1)  # We should have no spatial shape left.
    return x[...,0,0]


def R50x1(head_size):
  return ResNetV2([3, 4, 6, 3], 64, [256, 512, 1024, 2048], 32, head_size)


def get_lr(step, supports, base_lr):
  """Returns learning-rate for `step` or None at the end."""
  # Linear warmup
  if step < supports[0]:
    return base_lr * step / supports[0]
  # End of training
  elif step >= supports[-1]:
    return None
  # Staircase decays by factor of 10
  else:
    for s in supports[1:]:
      if s < step:
        base_lr /= 10
    return base_lr


def mixup_data(x, y, l, indices):
  """Returns mixed inputs, pairs of targets, and lambda"""
  mixed_x = l * x + (1 - l) * x[indices]
  y_a, y_b = y, y[indices]
  return mixed_x, y_a, y_b


def mixup_criterion(criterion, pred, y_a, y_b, l):
  return l * criterion(pred, y_a) + (1 - l) * criterion(pred, y_b)


def optimizer(model):
  # Note: no weight-decay!
  return torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)


def train_step(model, optim, lr, micro_batches, mixup_l=None):
  """One optimizer step; a micro-batch is images, labels, and the permutation of its mixup. Returns the mean loss."""
  cri = torch.nn.CrossEntropyLoss()
  for param_group in optim.param_groups:
    param_group["lr"] = lr
  losses = []
  for x, y, indices in micro_batches:
    if mixup_l is not None:
      x, y_a, y_b = mixup_data(x, y, mixup_l, indices)
    logits = model(x)
    if mixup_l is not None:
      c = mixup_criterion(cri, logits, y_a, y_b, mixup_l)
    else:
      c = cri(logits, y)
    losses.append(float(c.data.cpu().numpy()))
    (c / len(micro_batches)).backward()
  optim.step()
  optim.zero_grad()
  return sum(losses) / len(losses)
