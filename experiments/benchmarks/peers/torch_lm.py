"""The benchmark's plain transformer in PyTorch, for a comparison on one machine; loci itself needs no Python.

    python3 torch_lm.py WIDTH LAYERS HEADS CONTEXT BATCH [--bf16] [--compile] [--threads N] [--steps N]

Trains on random bytes: pre-norm blocks, rotary positions, causal attention, a GELU of 4 x width, AdamW, norm
clipped at 1. Prints one line of JSON; tokens_per_second is the median over the timed steps.
"""
import argparse, json, statistics, time
import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for size in ("width", "layers", "heads", "context", "batch"):
    parser.add_argument(size, type=int)
parser.add_argument("--bf16", action="store_true", help="products in bfloat16 (autocast)")
parser.add_argument("--compile", action="store_true", help="torch.compile the model")
parser.add_argument("--threads", type=int, default=torch.get_num_threads())
parser.add_argument("--steps", type=int, default=8)
o = parser.parse_args()
torch.set_num_threads(o.threads)
torch.manual_seed(1)

half = o.width // o.heads // 2
angles = torch.outer(torch.arange(o.context), 10000.0 ** (-torch.arange(half) / half))
COS, SIN = angles.cos(), angles.sin()


def rotated(x):  # [batch, heads, time, 2 half]
    a, b = x.split(half, -1)
    return torch.cat((a * COS - b * SIN, b * COS + a * SIN), -1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(o.width) for _ in range(2))
        self.qkv = nn.Linear(o.width, 3 * o.width, bias=False)
        self.out = nn.Linear(o.width, o.width, bias=False)
        self.ffn = nn.Sequential(nn.Linear(o.width, 4 * o.width), nn.GELU(), nn.Linear(4 * o.width, o.width))

    def forward(self, x):
        heads = self.qkv(self.norms[0](x)).unflatten(-1, (3, o.heads, 2 * half)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(rotated(heads[0]), rotated(heads[1]), heads[2], is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.ffn(self.norms[1](x))


model = nn.Sequential(nn.Embedding(256, o.width), *(Layer() for _ in range(o.layers)), nn.LayerNorm(o.width),
                      nn.Linear(o.width, 256, bias=False))
run = torch.compile(model) if o.compile else model
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
text = torch.randint(0, 256, (o.batch, o.context + 1))


def step():
    begin = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=o.bf16):
        logits = run(text[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1).float(), text[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return time.perf_counter() - begin


for _ in range(3):
    step()
seconds = statistics.median(step() for _ in range(o.steps))
print(json.dumps({"peer": "torch " + torch.__version__, "width": o.width, "layers": o.layers, "heads": o.heads,
                  "context": o.context, "batch": o.batch, "precision": "bfloat16" if o.bf16 else "float32",
                  "compiled": o.compile, "threads": o.threads, "tokens_per_second": round(o.batch * o.context / seconds, 1)}))
