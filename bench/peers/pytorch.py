"""CLIP ViT-B/16 in PyTorch on the CPU, for comparison: images a second, and CLIP-AGIQA's text-and-head step in the padded form.

Usage: python3 bench/peers/pytorch.py [threads] [rounds]; prints one line of JSON. Weights are random: only time is measured.
With no rounds (0), only the speed of a matrix product in GFLOP/s.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads, mask=None):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mask = mask

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attention(y, y, y, need_weights=False, attn_mask=self.mask)[0]
        y = self.up(self.ln_2(x))
        return x + self.down(y * torch.sigmoid(1.702 * y))


class Vision(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 768, 16, 16, bias=False)
        self.cls = nn.Parameter(torch.randn(768))
        self.positions = nn.Parameter(torch.randn(197, 768))
        self.ln_pre, self.ln_post = nn.LayerNorm(768), nn.LayerNorm(768)
        self.blocks = nn.Sequential(*[Block(768, 12) for _ in range(12)])
        self.proj = nn.Linear(768, 512, bias=False)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.positions
        return self.proj(self.ln_post(self.blocks(self.ln_pre(x))[:, 0]))


def least(run, rounds):
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    if rounds == 0:
        a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
        print(2 * 1.024**3 / least(lambda: a @ b, 8))
        return
    vision = Vision().eval().requires_grad_(False)
    images = torch.randn(8, 3, 224, 224)

    def encode():
        with torch.no_grad():
            vision(images)

    encoding = least(encode, rounds) / len(images)

    mask = torch.full((77, 77), float("-inf")).triu(1)
    text = nn.Sequential(*[Block(512, 8, mask) for _ in range(12)], nn.LayerNorm(512)).requires_grad_(False)
    projection = torch.randn(512, 512) / 512**0.5
    fixed = 0.02 * torch.randn(6, 77, 512)
    context = nn.Parameter(0.02 * torch.randn(16, 512))
    head = nn.Sequential(nn.Dropout(0.5), nn.Linear(3584, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 1))
    optimizer = torch.optim.SGD([context, *head.parameters()], lr=0.002, momentum=0.9, weight_decay=5e-4)
    features = F.normalize(torch.randn(32, 512), dim=1)
    mos = torch.rand(32)

    def step():
        prompts = torch.cat([fixed[:, :1], context.expand(6, -1, -1), fixed[:, 17:]], 1)
        words = F.normalize(text(prompts)[:, 19] @ projection, dim=1)
        joined = torch.cat([features, words.flatten().expand(32, -1)], 1)
        loss = F.mse_loss(head(joined).squeeze(1), mos)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    result = {
        "version": torch.__version__,
        "threads": threads,
        "picturesPerSecond": 1 / encoding,
        "stepSeconds": least(step, rounds),
    }
    print(json.dumps(result))


main()
